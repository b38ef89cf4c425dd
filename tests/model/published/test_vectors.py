"""Our decoders against the published samplers themselves: what those decided on the script was recorded by
`record.py`, which names where they came from; here the same canvases must be asked about and the same answers found."""

from __future__ import annotations

import json
from functools import partial
from itertools import groupby
from typing import Any

import pytest

from model.blockwise import Grid, blockwise
from model.canvas import before_end
from model.decoders import Job
from model.infill import Whole, expanding, in_place
from model.policies import Credit, Dynamic, FixedSteps, Hierarchy, Scheduled, Threshold
from model.sampler import Run, Start
from model.tokenizer import EOS, INS_1, MASK
from tests.model.published.script import STATIC_STEPS, THRESHOLD, VECTORS, Script, ScriptBackend

CASES = json.loads(VECTORS.read_text())["cases"]
MEASURES = {"entropy": "entropy", "maskgit_plus": "confidence", "topk_margin": "margin"}


def way(name: str, block: int) -> Start:
    family, *rest = name.split(", ")
    if family in ("llada", "dream"):
        policy = FixedSteps(STATIC_STEPS) if rest[0] == "fixed" else Threshold(THRESHOLD)
        reuse: Any = rest[1] if len(rest) > 1 else "none"
        return partial(in_place, policy=policy, whole=Whole(block, reuse, shifted=family == "dream"))
    if family == "sdar":
        policy = FixedSteps(STATIC_STEPS, of=block) if rest == ["static"] else Dynamic(THRESHOLD)
        return partial(blockwise, policy=policy, grid=Grid(block))
    if family == "dinfer":
        policy = Hierarchy(THRESHOLD, 0.3) if rest == ["hierarchy"] else Credit(THRESHOLD)
        return partial(blockwise, policy=policy, grid=Grid(block))
    if family == "coda":
        scheduled = Scheduled(int(rest[1]), MEASURES[rest[0]])  # type: ignore[arg-type]
        return partial(in_place, policy=scheduled, whole=Whole(64, shifted=True))
    return partial(expanding, opened=4)


def decoded(case: dict[str, Any]) -> tuple[list[int], list[list[int]]]:
    more = (INS_1,) if case["way"] == "dreamon" else ()
    ids = (EOS, 24, 25, 26, 27, 28, 29, *more)
    script = Script(ids, case["seed"], case["end_bias"], spread=0.3)
    block = case["block"]
    backend = ScriptBackend(script, block if case["way"].startswith(("sdar", "dinfer")) else 1)
    job = Job(case["prompt"], limit=case["limit"], block=block, chunk=block, after=case["after"])
    [lane] = Run(backend, [job], way(case["way"], block)).finish()
    return lane.canvas.tokens, [[start, *canvas] for start, canvas in script.calls]


def asked(case: dict[str, Any]) -> list[list[int]]:
    """The published forwards that decided something: some loops run a block once more when it is done, and Dream's
    schedule has steps that free no mask."""

    def is_open(call: list[int]) -> bool:
        start, canvas = call[0], call[1:]
        return MASK in (
            canvas[: case["block"]] if start else canvas
        )  # at a start there is a cache: of one block

    calls = [call for call in case["calls"] if is_open(call)]
    return [call for call, _ in groupby(calls)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['way']}, {case['seed']}")
def test_decisions_are_those_of_the_published_code(case: dict[str, Any]) -> None:
    answer, calls = decoded(case)
    assert answer == before_end(case["answer"])
    if EOS not in case["answer"]:  # behind an end ours decides nothing more
        assert calls == asked(case)

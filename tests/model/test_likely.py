"""What is prepared for the first requests is what they then ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.backends.graphs import captures, rounded
from model.backends.interface import Backend, Candidates, Shape
from model.cache import KVCache
from model.config import BASE, NANO, ModelConfig
from model.decoders import Job
from model.families.ways import way_of
from model.likely import of_own
from model.sampler import Run
from tests.model.test_gpu_backend import PLAIN

SIZE = 9472
LLADA = {"policy": "threshold", "threshold": 0.9, "block": 32, "reuse": "dual"}


def met_by(config: ModelConfig, values: dict[str, Any], job: Job) -> set[Shape]:
    """The shapes of the graphs that a way to decode asks for, of a network that is sure of little."""
    asked: set[Shape] = set()

    class Unsure(Backend):
        description = "unsure"

        def __init__(self) -> None:
            self.config = config

        def new_cache(self, capacity: int) -> KVCache:
            return KVCache(np.zeros((capacity, 1)))

        def forward(self, passes: Any) -> list[Candidates]:
            keys = max(each.cache.length + each.rows for each in passes)
            wanted = sum(len(each.wanted) for each in passes)
            shape = rounded(Shape(len(passes), max(p.rows for p in passes), max(1, wanted), keys), SIZE)
            asked.update([shape] if shape is not None else [])
            found = []
            for each in passes:
                ids = [*each.causal, *(each.canvas[i] for i in each.keep)]
                each.cache.append(ids, np.zeros((len(ids), 1)))
                n = len(each.wanted)
                logp = np.log(np.linspace(0.1, 0.2, n * 8).reshape(n, 8)[:, ::-1])
                found.append(Candidates(np.full((n, 8), 40), logp, np.ones(n)))
            return found

    way = way_of(config, values, {})
    Run(Unsure(), [job], way.start).finish()
    return asked


@pytest.mark.parametrize(
    ("config", "values", "after"),
    [
        (replace(PLAIN, clean_block=0, block=32), LLADA, 240),
        (replace(PLAIN, clean_block=0, block=32), {**LLADA, "reuse": "prefix"}, 240),
        (replace(PLAIN, clean_block=32, block=32), {"policy": "threshold", "threshold": 0.9}, 0),
        (
            replace(PLAIN, clean_block=32, block=32, shifted=True),
            {"policy": "threshold", "threshold": 0.9, "sub_block": 8},
            0,
        ),
    ],
    ids=["dual cache", "prefix cache", "blocks", "shifted"],
)
def test_what_a_way_asks_for_is_what_it_says(config: ModelConfig, values: dict[str, Any], after: int) -> None:
    """A request in the middle of a long file."""
    job = Job([40] * 1216, limit=64, chunk=1024, after=[41] * after)
    warmed = captures(way_of(config, values, {}).shapes, SIZE)
    asked = met_by(config, values, job)
    assert len(warmed) <= 16
    assert len(asked) >= (2 if config.clean_block == 0 else 1)
    # What is left of a prompt behind its last chunk has any number of rows.
    assert {each for each in asked if config.clean_block == 0 or each.rows <= 64} <= set(warmed)


def test_what_is_captured_at_loading_is_bounded_and_the_likeliest_first() -> None:
    of_llada = captures(way_of(replace(PLAIN, clean_block=0), LLADA, {}).shapes, SIZE)
    assert of_llada[:3] == [Shape(1, 32, 32, keys) for keys in (1024, 2048, 512)]
    assert {(2, 32, 64), (2, 32, 32), (1, 512, 64)} <= {(s.batch, s.rows, s.wanted) for s in of_llada}
    assert len(of_llada) == 16
    own = captures(of_own(BASE), SIZE)
    assert own[:2] == [Shape(1, 32, 32, 512), Shape(1, 64, 32, 512)]
    assert {64, 128, 256, 512} <= {s.rows for s in own if s.wanted == s.rows}
    assert any(shape.batch == 2 for shape in own)
    assert len(own) == 16
    assert captures(of_own(NANO, 8), 896)[0] == Shape(1, 8, 8, 512)
    assert captures((), SIZE) == []

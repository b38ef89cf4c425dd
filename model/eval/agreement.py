"""How far two back ends agree: the same requests, the tokens that each commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from model.backends.interface import Backend
from model.checkpoint import Decoding
from model.engine import DiffusionEngine, EngineRun
from model.eval.cases import Case
from model.tokenizer import Tokenizer


@dataclass(frozen=True)
class Agreement:
    """Shares of requests answered with identical tokens, and of positions with the same token."""

    requests: int
    answers: float
    tokens: float


def agreement(
    first: Backend, second: Backend, tokenizer: Tokenizer, decoding: Decoding, cases: Sequence[Case]
) -> Agreement:
    """Decode `cases` on both and compare the answers before any trimming or verdict."""
    shown = replace(decoding, min_confidence=0.0)
    engines = [DiffusionEngine(b, tokenizer, shown) for b in (first, second)]
    same = equal = total = 0
    for case in cases:
        a, b = (_tokens(engine, case) for engine in engines)
        same += a == b
        total += max(len(a), len(b), 1)
        equal += sum(x == y for x, y in zip(a, b, strict=False)) + (not a and not b)
    return Agreement(len(cases), round(same / max(1, len(cases)), 4), round(equal / max(1, total), 4))


def _tokens(engine: DiffusionEngine, case: Case) -> list[int]:
    run = EngineRun(engine, case.request)
    while run.step():
        pass
    return [token for lane in run.sampler.lanes for token in lane.canvas.tokens]

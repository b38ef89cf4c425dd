"""Full-attention families' decoders against plain implementations of the published algorithms.

LLaDA's fixed steps, Fast-dLLM v1's threshold and factor with its prefix and dual caches, Dream's schedule by entropy,
margin and confidence, DreamOn's masks that double and vanish.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.cache import KVCache
from model.decoders import Decoder, Job
from model.infill import LENGTHS, Whole, expanding, in_place, of_unknown_length
from model.policies import Factor, FixedSteps, Policy, Scheduled, Threshold, TokenEditing
from model.sampler import Run
from model.tokenizer import EOS, INS_1, MASK
from tests.model.published.script import Script, ScriptBackend

SEEDS = st.integers(0, 10_000)
TEXTS = st.lists(st.integers(24, 29), min_size=1, max_size=8)
ENDS = st.sampled_from([-4.0, 0.0, 30.0])


def run(script: Script, job: Job, start) -> list[int]:
    [lane] = Run(ScriptBackend(script), [job], start).finish()
    return lane.canvas.tokens


def before(answer: list[int]) -> list[int]:
    return answer[: answer.index(EOS)] if EOS in answer else answer


def sure_count(rule: str, confidence: list[float], opened: int, step: int) -> int:
    """How many masks a step decides, of confidences from the highest to the lowest."""
    if rule == "threshold":
        return max(1, sum(p >= 0.5 for p in confidence))
    if rule == "factor":
        fits = [n for n, p in enumerate(confidence, 1) if p >= 1 - 1.2 / (n + 1)]
        return max(fits, default=1)
    return max(1, opened // 3 + (step < opened % 3))


RULES: dict[str, Policy] = {"threshold": Threshold(0.5), "factor": Factor(1.2), "fixed": FixedSteps(3)}


def fast_dllm(
    script: Script,
    prompt: list[int],
    limit: int,
    after: list[int],
    block: int,
    rule: str,
    reuse: str,
    shifted: bool,
) -> list[int]:
    """Fast-dLLM v1's loops over blocks; what the caches hold is what stood there in the block's first pass."""
    x = [*prompt, *[MASK] * limit, *after]
    first, end = len(prompt), len(prompt) + limit
    for start in range(first, end, block):
        stop = min(start + block, end)
        opened, step, cached, begin, last = x[start:stop].count(MASK), 0, [], 0, len(x)
        while MASK in before(x[first:stop]):
            logp = script.ask(cached, x[begin:last], begin)
            masks = [i for i in range(start, stop) if x[i] == MASK]
            row = {i: logp[max(0, i - shifted - begin)] for i in masks}
            order = sorted(masks, key=lambda i: (-float(np.exp(row[i].max())), i))
            count = sure_count(rule, [float(np.exp(row[i].max())) for i in order], opened, step)
            frozen = list(x)
            for i in [start] if shifted and reuse != "none" and step == 0 else order[:count]:
                x[i] = script.best(row[i])
            if reuse != "none" and step == 0:
                begin, last = start, stop if reuse == "dual" else len(x)
                cached = frozen[:start] + (frozen[stop:] if reuse == "dual" else [])
            step += 1
        if EOS in x[first:stop]:
            break
    return before(x[first:end])


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("reuse", ["none", "prefix", "dual"])
@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=30, deadline=None)
@given(
    seed=SEEDS, prompt=TEXTS, after=TEXTS, bias=ENDS, limit=st.integers(1, 14), block=st.sampled_from([4, 6])
)
def test_caches_and_thresholds_are_those_of_fast_dllm(
    shifted, reuse, rule, seed, prompt, after, bias, limit, block
) -> None:
    plain, engine = Script(seed=seed, end_bias=bias), Script(seed=seed, end_bias=bias)
    expected = fast_dllm(plain, prompt, limit, after, block, rule, reuse, shifted)
    way = Whole(block, reuse, shifted)

    def start(job: Job, cache: KVCache) -> Decoder:
        return in_place(job, cache, RULES[rule], way)

    assert run(engine, Job(prompt, limit=limit, after=after), start) == expected
    assert engine.calls == plain.calls


def doubt(logp: np.ndarray, measure: str) -> float:
    logp = logp[np.argsort(-logp, kind="stable")]
    p = np.exp(logp)
    if measure == "margin":
        return -float(p[0] - p[1])
    return -float(p[0]) if measure == "confidence" else float(-(p * np.maximum(logp, -1e4)).sum())


def dream(
    script: Script, prompt: list[int], limit: int, after: list[int], steps: int, measure: str
) -> list[int]:
    """Dream's loop over time steps, those that free nothing included."""
    x = [*prompt, *[MASK] * limit, *after]
    first, time = len(prompt), np.linspace(1, 1e-3, steps + 1)
    for i in range(steps):
        masks = [j for j in range(first, first + limit) if x[j] == MASK]
        if MASK not in before(x[first : first + limit]):
            break
        share = 1 - time[i + 1] / time[i] if i < steps - 1 else 1
        count = int(len(masks) * share)
        if count == 0:
            continue
        logp = script.ask([], x, 0)
        row = {j: logp[j - 1] for j in masks}
        order = sorted(masks, key=lambda j: (doubt(row[j], measure), j))
        for j in order[:count]:
            x[j] = script.best(row[j])
    return before(x[first : first + limit])


@pytest.mark.parametrize("measure", ["entropy", "margin", "confidence"])
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, prompt=TEXTS, after=TEXTS, bias=ENDS, limit=st.integers(1, 12), steps=st.integers(1, 20))
def test_the_schedule_is_that_of_dream(measure, seed, prompt, after, bias, limit, steps) -> None:
    plain, engine = Script(seed=seed, end_bias=bias), Script(seed=seed, end_bias=bias)
    expected = dream(plain, prompt, limit, after, steps, measure)

    def start(job: Job, cache: KVCache) -> Decoder:
        return in_place(job, cache, Scheduled(steps, measure), Whole(64, shifted=True))

    assert run(engine, Job(prompt, limit=limit, after=after), start) == expected
    assert engine.calls == plain.calls


def dream_on(script: Script, prompt: list[int], limit: int, after: list[int], opened: int) -> list[int]:
    """DreamOn's loop: one token a step, then expansion, then deletion of the ends and the masks behind them."""
    middle, budget = [MASK] * min(opened, limit), limit
    while MASK in middle:
        logp = script.ask([], [*prompt, *middle, *after], 0)
        if len(middle) >= limit or budget == 0:
            logp = np.where(np.array(script.ids) == INS_1, -1e30, logp)
            logp = logp - np.log(np.exp(logp).sum(-1, keepdims=True))
        masks = [i for i, t in enumerate(middle) if t == MASK]
        row = {i: logp[len(prompt) + i - 1] for i in masks}
        at = min(masks, key=lambda i: (doubt(row[i], "entropy"), i))
        middle[at] = script.best(row[at])
        if EOS in middle:
            end = middle.index(EOS)
            middle = [EOS if i >= end and t == MASK else t for i, t in enumerate(middle)]
        if middle[at] == INS_1:
            middle[at : at + 1] = [MASK, MASK]
            budget -= 1
        middle = [t for t in middle if t != EOS]
    return middle


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, prompt=TEXTS, after=TEXTS, bias=ENDS, limit=st.integers(1, 12), opened=st.integers(1, 6))
def test_masks_double_and_vanish_as_in_dreamon(seed, prompt, after, bias, limit, opened) -> None:
    ids = (EOS, 24, 25, 26, 27, 28, 29, INS_1)
    plain, engine = Script(ids, seed, bias), Script(ids, seed, bias)
    expected = dream_on(plain, prompt, limit, after, opened)

    def start(job: Job, cache: KVCache) -> Decoder:
        return expanding(job, cache, opened)

    assert run(engine, Job(prompt, limit=limit, after=after), start) == expected
    assert engine.calls == plain.calls


@given(seed=SEEDS, prompt=TEXTS, after=TEXTS, limit=st.integers(4, 40))
@settings(max_examples=20, deadline=None)
def test_of_unknown_lengths_the_surest_is_taken(seed, prompt, after, limit) -> None:
    plain, engine = Script(seed=seed, end_bias=-50), Script(seed=seed, end_bias=-50)
    sure = {}
    for n in [n for n in LENGTHS if n <= limit]:
        logp = plain.ask([], [*prompt, *[MASK] * n, *after], 0)
        sure[n] = float(np.mean([logp[len(prompt) + i].max() for i in range(n)]))
    length = max(sure, key=lambda n: sure[n])

    def start(job: Job, cache: KVCache) -> Decoder:
        return of_unknown_length(job, cache, Threshold(0.0), Whole(64))

    assert len(run(engine, Job(prompt, limit=limit, after=after), start)) == length
    assert engine.calls[: len(sure)] == plain.calls


@pytest.mark.parametrize("shifted", [False, True])
@given(seed=SEEDS, prompt=TEXTS, after=TEXTS, limit=st.integers(4, 40))
@settings(max_examples=20, deadline=None)
def test_with_a_cache_the_lengths_are_tried_behind_the_first_ones_prompt(
    shifted, seed, prompt, after, limit
) -> None:
    plain, engine = Script(seed=seed, end_bias=-50), Script(seed=seed, end_bias=-50)
    sure, begin = {}, 0
    for n in [n for n in LENGTHS if n <= limit]:
        ids = [*prompt, *[MASK] * n, *after]
        logp = plain.ask(ids[:begin], ids[begin:], begin)
        at = len(prompt) - shifted - begin
        sure[n] = float(np.mean([logp[at + i].max() for i in range(n)]))
        begin = len(prompt) - shifted
    length = max(sure, key=lambda n: sure[n])

    def start(job: Job, cache: KVCache) -> Decoder:
        return of_unknown_length(job, cache, Threshold(0.0), Whole(64, "dual", shifted))

    assert len(run(engine, Job(prompt, limit=limit, after=after), start)) == length
    assert engine.calls[: len(sure)] == plain.calls


@pytest.mark.parametrize("reuse", ["none", "prefix", "dual"])
def test_a_sure_network_writes_the_same_with_every_cache_though_it_may_edit(reuse) -> None:
    """An editing policy looks at decided tokens too; at a block's first one the cached steps have nothing to say."""
    prompt, answer = [24, 24], [24, 25, 26, 27, 28, 29, 24, 25]

    class Sure(Script):
        def scores(self, cached, canvas, row):
            start, _ = self.calls[-1]
            at = start + row + 1 - len(prompt)  # rows are shifted
            wanted = answer[at] if 0 <= at < len(answer) else 29
            return np.where(np.array(self.ids) == wanted, 0.0, -9.0)

    def start(job: Job, cache: KVCache) -> Decoder:
        return in_place(job, cache, TokenEditing(0.5, 0.5), Whole(4, reuse, shifted=True))

    assert run(Sure(), Job(prompt, limit=len(answer)), start) == answer

"""Block-causal families' decoders against plain, slow implementations of the published algorithms: the same canvases in
the same order, and the same answer.

SDAR's static and dynamic remasking; LLaDA2.1's joint thresholds; Fast-dLLM v2's sub-blocks of shifted rows; dInfer's
hierarchy and credit. Whole sequences are recomputed where the decoders use a cache; of equals the first is taken.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.blockwise import Grid, blockwise
from model.cache import KVCache
from model.decoders import Decoder, Job
from model.policies import Credit, Dynamic, FixedSteps, Hierarchy, Policy, TokenEditing
from model.sampler import Run
from model.tokenizer import EOS, MASK
from tests.model.published.script import Script, ScriptBackend

SEEDS = st.integers(0, 10_000)
PROMPTS = st.lists(st.integers(24, 29), min_size=1, max_size=13)
BIASES = st.sampled_from([-4.0, 0.0, 1.0, 30.0])


def ours(script: Script, prompt: list[int], limit: int, policy: Policy, grid: Grid) -> list[int]:
    if isinstance(policy, FixedSteps):
        policy = replace(policy, of=grid.size)

    def start(job: Job, cache: KVCache) -> Decoder:
        return blockwise(job, cache, policy, grid)

    job = Job(prompt, limit=limit, block=grid.size, chunk=grid.size)
    [lane] = Run(ScriptBackend(script, grid.size), [job], start).finish()
    return lane.canvas.tokens


def until_end(answer: list[int], limit: int) -> list[int]:
    answer = answer[: answer.index(EOS)] if EOS in answer else answer
    return answer[:limit]


def is_decided(block: list[int], begin: int) -> bool:
    """No mask before the answer's end: what follows cannot change the answer any more."""
    new = block[begin:]
    return MASK not in (new[: new.index(EOS)] if EOS in new else new)


def plain_blocks(
    script: Script, prompt: list[int], limit: int, size: int, decide, edits: int = 0
) -> list[int]:
    """The loop that SDAR and LLaDA2 share; `decide` maps what is known of a step to new ids."""
    x = list(prompt)
    while len(x) - len(prompt) < limit and EOS not in x[len(prompt) :]:
        begin = len(x) // size * size
        block = [*x[begin:], *[MASK] * (begin + size - len(x))]
        fixed = len(x) - begin
        new_from = max(0, len(prompt) - begin)
        opened, step, post, memory = block.count(MASK), 0, 0, {}
        while True:
            active = [t == MASK for t in block]
            if not edits and (not any(active) or is_decided(block, new_from)):
                break
            if not any(active):
                post += 1
                if post > edits:
                    break
            logp = script.ask(x[:begin], block, begin)
            changed = decide(script, logp, list(block), active, fixed, opened, step, memory)
            if not any(active) and changed == block:
                break
            block, step = changed, step + 1
        x = [*x[:begin], *block]
    return until_end(x[len(prompt) :], limit)


def share(opened: int, steps: int, step: int) -> int:
    return max(1, opened // steps + (step < opened % steps))


def static(steps, script, logp, block, active, fixed, opened, step, memory):
    confidence = [float(np.exp(row.max())) if a else -1.0 for row, a in zip(logp, active, strict=True)]
    order = sorted(range(len(block)), key=lambda i: (-confidence[i], i))
    for i in order[: min(share(len(block), steps, step), sum(active))]:
        block[i] = script.best(logp[i])
    return block


def dynamic(tau, script, logp, block, active, fixed, opened, step, memory):
    sure = [i for i, a in enumerate(active) if a and np.exp(logp[i].max()) > tau]
    if not sure:
        return static(1 << 30, script, logp, block, active, fixed, opened, step, memory)
    for i in sure:
        block[i] = script.best(logp[i])
    return block


def joint(tau, tau_edit, script, logp, block, active, fixed, opened, step, memory):
    found = [(script.best(row), float(np.exp(row.max()))) for row in logp]
    masks = [i for i, a in enumerate(active) if a]
    transfer = {i for i in masks if found[i][1] > tau}
    if masks and not transfer:
        transfer = {max(masks, key=lambda i: (found[i][1], -i))}
    edits = {
        i
        for i, a in enumerate(active)
        if not a and i >= fixed and found[i][1] > tau_edit and found[i][0] != block[i]
    }
    for i in transfer | edits:
        block[i] = found[i][0]
    return block


def hierarchy(tau, low, script, logp, block, active, fixed, opened, step, memory):
    p = [float(np.exp(row.max())) for row in logp]
    chosen, run = set(), []
    for i in [*range(len(block)), None]:
        if i is not None and active[i]:
            run.append(i)
            continue
        if run:
            top = max(p[j] for j in run)
            chosen |= {j for j in run if p[j] == top and p[j] > low}
        run = []
    masks = [i for i, a in enumerate(active) if a]
    chosen |= {i for i in masks if p[i] > tau} | {max(masks, key=lambda i: (p[i], -i))}
    for i in chosen:
        block[i] = script.best(logp[i])
    return block


def credit(rule, script, logp, block, active, fixed, opened, step, memory):
    matrix = memory.setdefault("credit", np.zeros_like(logp))
    matrix *= rule.beta if step else 1
    for i, a in enumerate(active):
        if a:
            matrix[i, logp[i].argmax()] += np.exp(logp[i].max()) ** rule.gamma
    fused = logp + rule.alpha * np.log(matrix + 1)
    fused -= np.log(np.exp(fused).sum(-1, keepdims=True))
    masks = [i for i, a in enumerate(active) if a]
    p = {i: float(np.exp(fused[i].max())) for i in masks}
    bar = min(rule.tau, max(p.values()) - 1e-5)
    for i in masks:
        if p[i] >= bar:
            block[i] = script.best(fused[i])
    return block


CASES = {
    "static": (FixedSteps(3), partial(static, 3), 0),
    "one by one": (FixedSteps(1 << 30), partial(static, 1 << 30), 0),
    "dynamic": (Dynamic(0.5), partial(dynamic, 0.5), 0),
    "all at once": (Dynamic(0.0), partial(dynamic, 0.0), 0),
    "joint": (TokenEditing(0.5, 0.3), partial(joint, 0.5, 0.3), 4),
    "joint, for speed": (TokenEditing(0.3, 0.0), partial(joint, 0.3, 0.0), 4),
    "hierarchy": (Hierarchy(0.6, 0.3), partial(hierarchy, 0.6, 0.3), 0),
    "credit": (Credit(0.7), partial(credit, Credit(0.7)), 0),
}


@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize("name", CASES)
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, prompt=PROMPTS, bias=BIASES, limit=st.integers(1, 20))
def test_decisions_are_the_published_ones(size, name, seed, prompt, bias, limit) -> None:
    policy, decide, edits = CASES[name]
    plain, engine = Script(seed=seed, end_bias=bias), Script(seed=seed, end_bias=bias)
    expected = plain_blocks(plain, prompt, limit, size, decide, edits)
    found = ours(engine, prompt, limit, policy, Grid(size, post_edits=edits))
    assert found == expected
    assert engine.calls == plain.calls


def sub_blocks(script: Script, prompt: list[int], limit: int, size: int, part: int, tau: float) -> list[int]:
    """Fast-dLLM v2: a block's first token comes from the clean row before it, the others from their left neighbours."""
    x, known = list(prompt), len(prompt)
    if len(x) % size == 0:
        x.append(next_token(script, x, size))
    while len(x) - known < limit and EOS not in x[known:]:
        begin = len(x) // size * size
        x += [MASK] * (begin + size - len(x))
        new_from = max(0, known - begin)
        for start in range(begin, begin + size, part):
            while MASK in x[start : start + part] and not is_decided(x[begin:], new_from):
                logp = script.ask(x[:begin], x[begin:], begin)
                masks = [i for i in range(start, start + part) if x[i] == MASK]
                p = {i: float(np.exp(logp[i - 1 - begin].max())) for i in masks}
                for i in masks:
                    if p[i] > tau or i == max(masks, key=lambda j: (p[j], -j)):
                        x[i] = script.best(logp[i - 1 - begin])
        if is_decided(x[begin:], new_from) and (EOS in x[known:] or len(x) - known >= limit):
            break
        x.append(next_token(script, x, size))
    return until_end(x[known:], limit)


def next_token(script: Script, x: list[int], size: int) -> int:
    begin = len(x) - size
    return script.best(script.scores(x[:begin], x[begin:], size - 1))


@settings(max_examples=80, deadline=None)
@given(
    seed=SEEDS, prompt=PROMPTS, bias=BIASES, limit=st.integers(1, 30), tau=st.sampled_from([0.0, 0.5, 1.0])
)
def test_sub_blocks_are_decided_as_published(seed, prompt, bias, limit, tau) -> None:
    plain, engine = Script(seed=seed, end_bias=bias), Script(seed=seed, end_bias=bias)
    expected = sub_blocks(plain, prompt, limit, 8, 4, tau)
    found = ours(engine, prompt, limit, Dynamic(tau), Grid(8, part=4, shifted=True))
    assert found == expected
    assert engine.calls == plain.calls

"""LLaDA2.2's blocks with insertion and deletion against a plain implementation of the algorithm as it is served."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.blockwise import Grid
from model.cache import KVCache
from model.decoders import Decoder, Job
from model.indel import Joint, by_insertion_and_deletion
from model.sampler import Run
from model.tokenizer import DEL, EOS, INS_1, MASK
from tests.model.published.script import Script, ScriptBackend

IDS = (EOS, 24, 25, 26, 27, 28, DEL, INS_1)
SPECIAL = (MASK, DEL, INS_1)


def plain(
    script: Script, prompt: list[int], limit: int, size: int, tau: float, tau_edit: float, budget: int
) -> list[int]:
    x = list(prompt)
    while len(x) - len(prompt) < limit and EOS not in x[len(prompt) :]:
        begin = len(x) // size * size
        fixed = len(x) - begin
        x = [*x[:begin], *one_block(script, x[:begin], x[begin:], fixed, size, tau, tau_edit, budget)]
    answer = x[len(prompt) :]
    return (answer[: answer.index(EOS)] if EOS in answer else answer)[:limit]


def one_block(script, before, head, fixed, size, tau, tau_edit, budget) -> list[int]:
    block = [*head, *[MASK] * (size - fixed)]
    original = [False] * fixed + [True] * (size - fixed)
    updates = post = 0
    seen: set[tuple[int, ...]] = set()
    history: dict[int, set[int]] = {}
    while True:
        logp = script.ask(before, block, len(before))
        x = [script.best(row) for row in logp]
        p = [float(np.exp(row.max())) for row in logp]
        masks = [i for i in range(fixed, size) if block[i] == MASK]
        first_ones = [i for i in masks if original[i]]
        updates += 1
        if not first_ones:
            post += 1
        final = (budget > 0 and post >= budget) or (budget == 0 and not first_ones) or updates > size + budget
        if final or not first_ones:
            fills = list(masks)
        else:
            need = 1 + len(masks) - len(first_ones)
            fills = [i for i in masks if p[i] > tau]
            if len(fills) < need:
                fills = sorted(masks, key=lambda i: (-p[i], i))[: min(need, len(masks))]
            if budget == 0 and not [i for i in first_ones if i not in fills]:
                final, fills = True, list(masks)
        edits = [i for i in range(fixed, size) if i not in masks and p[i] > tau_edit and x[i] != block[i]]
        write = sorted({*fills, *edits})
        if not write:
            return block
        if final:
            for i in write:
                if x[i] in SPECIAL:
                    x[i] = best_without(script, logp[i], set(SPECIAL))
        elif tuple(block) in seen:
            changing = [i for i in write if x[i] != block[i]]
            if changing:
                i = min(changing, key=lambda i: (p[i], i))
                x[i] = best_without(script, logp[i], history.get(i, set()))
        if not final:
            seen.add(tuple(block))
        for i in write:
            history.setdefault(i, set()).add(x[i])
        block, original = rewritten(block, original, {i: x[i] for i in write}, fixed, size)
        if final:
            return block


def best_without(script: Script, logp: np.ndarray, without: set[int]) -> int:
    left = [i for i in range(len(IDS)) if IDS[i] not in without]
    return int(IDS[max(left, key=lambda i: (logp[i], -i))]) if left else script.best(logp)


def rewritten(block, original, tokens, fixed, size) -> tuple[list[int], list[bool]]:
    out: list[tuple[int, bool]] = list(zip(block[:fixed], original[:fixed], strict=True))
    for i in range(fixed, size):
        token = tokens.get(i, block[i])
        if token == INS_1:
            out += [(MASK, False), (block[i], original[i])]
        elif token != DEL:
            out.append((token, original[i]))
    out = [*out, *[(MASK, False)] * size][:size]
    return [t for t, _ in out], [o for _, o in out]


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    prompt=st.lists(st.integers(24, 28), min_size=1, max_size=9),
    bias=st.sampled_from([-4.0, 0.0, 30.0]),
    limit=st.integers(1, 14),
    tau=st.sampled_from([0.0, 0.3, 0.6]),
    tau_edit=st.sampled_from([0.0, 0.4]),
    budget=st.integers(0, 5),
)
def test_insertion_and_deletion_as_served(seed, prompt, bias, limit, tau, tau_edit, budget) -> None:
    slow, engine = Script(IDS, seed, bias), Script(IDS, seed, bias)
    expected = plain(slow, prompt, limit, 6, tau, tau_edit, budget)

    def start(job: Job, cache: KVCache) -> Decoder:
        return by_insertion_and_deletion(job, cache, Joint(tau, tau_edit, budget), Grid(6))

    [lane] = Run(ScriptBackend(engine, 6), [Job(prompt, limit=limit, chunk=6)], start).finish()
    assert lane.canvas.tokens == expected
    assert engine.calls == slow.calls

"""Tokens a second of a whole answer, at a stated trace: so many tokens committed at every forward, whatever the network
says. Random weights have no confidence to go by; the trace of a trained model is its own.

Every forward counts, the passes that commit a finished block too: with our engine they are part of the next block's
first. Beside it the plain loops of published samplers on the same weights, as their repositories have them: the same
trace, PyTorch's own operations, one pass after the other; and an autoregressive `transformers` model of the same shape.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.backends.gpu import GpuBackend
from model.backends.interface import Backend, Candidates, Pass
from model.blockwise import Grid, blockwise
from model.cache import KVCache
from model.decoders import Job
from model.policies import FixedSteps
from model.sampler import Run, Start
from model.tokenizer import EOS, FIRST_TEXT_ID, MASK
from model.transformer import Transformer, masked


@dataclass(frozen=True)
class TraceFigures:
    """One way to decode. Tokens a second of one sequence behind a prompt of `cache` tokens, prefill apart."""

    name: str
    shape: str
    weights: str
    cache: int
    block: int
    committed: int
    tokens: int
    forwards: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds


def ours(
    backend: GpuBackend, weights: str, cache: int, block: int, committed: int, tokens: int
) -> TraceFigures:
    """The engine's own loop: the sampler, its policies on the host, fused commits. No token ends the answer."""
    prompt = [30 + i % 50 for i in range(cache // block * block)]
    steps = -(-block // committed)
    seconds, forwards = 0.0, 0
    for attempt in range(2):  # the first captures graphs
        run = Run(
            _Endless(backend), [Job(prompt, limit=tokens, block=block, chunk=1024)], _start(block, steps)
        )
        while run.prefills * 1024 < len(prompt) - 1024:
            run.step()
        began = time.perf_counter()
        run.finish()
        seconds, forwards = time.perf_counter() - began, run.forwards
        if attempt:
            assert run.lanes[0].tokens == tokens
    return TraceFigures(
        "ours", backend.config.name, weights, cache, block, committed, tokens, forwards, seconds
    )


def _start(block: int, steps: int) -> Start:
    return lambda job, cache: blockwise(job, cache, FixedSteps(steps), Grid(block))


class _Endless(Backend):
    """A back end under which nothing ends: random weights would say `<eos>` somewhere."""

    def __init__(self, backend: GpuBackend) -> None:
        self._backend, self.config, self.description = backend, backend.config, backend.description

    def new_cache(self, capacity: int) -> KVCache:
        return self._backend.new_cache(capacity)

    def forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        return self._backend.forward(passes)

    def allow(self, ids: Sequence[int]) -> np.ndarray:
        return self._backend.allow([i for i in ids if i != EOS])


@torch.inference_mode()
def plain_blocks(network: Transformer, cache: int, block: int, committed: int, tokens: int) -> TraceFigures:
    """SDAR's published loop: a cache that grows, a pass for every commit, scores of all rows over the whole vocabulary,
    the softmax and the choice on the device."""
    masks = torch.full((block,), MASK, device=network.table.weight.device)
    past = _clean(network, _prompt(network, cache // block * block), _nothing(network))

    def denoised(ids: torch.Tensor) -> torch.Tensor:
        return _commit(network, _rows(network, ids, past, is_canvas=True)[0][0], ids, committed)

    denoised(masks)  # what happens only at first
    _wait(network)
    began, forwards = time.perf_counter(), 0
    for _ in range(tokens // block):
        ids = masks
        while bool((ids == MASK).any()):
            ids, forwards = denoised(ids), forwards + 1
        past, forwards = _clean(network, ids, past), forwards + 1
    _wait(network)
    made = cache, block, committed, tokens, forwards, time.perf_counter() - began
    return TraceFigures("plain loop, block cache (SDAR)", network.config.name, "plain", *made)


@torch.inference_mode()
def plain_whole(network: Transformer, cache: int, block: int, committed: int, tokens: int) -> TraceFigures:
    """LLaDA's published loop: no cache, every row of prompt and answer in every step."""
    prompt, past = _prompt(network, cache), _nothing(network)
    ids = torch.cat((prompt, torch.full((tokens,), MASK, device=prompt.device)))

    def denoised(start: int, stop: int) -> torch.Tensor:
        hidden, _ = _rows(network, ids, past, is_canvas=True)
        return _commit(network, hidden[0, start:stop], ids[start:stop], committed)

    denoised(cache, cache + block)  # what happens only at first
    _wait(network)
    began, forwards = time.perf_counter(), 0
    for start in range(cache, cache + tokens, block):
        stop = min(start + block, cache + tokens)
        while bool((ids[start:stop] == MASK).any()):
            ids[start:stop], forwards = denoised(start, stop), forwards + 1
    _wait(network)
    made = cache, block, committed, tokens, forwards, time.perf_counter() - began
    return TraceFigures("plain loop, no cache (LLaDA)", network.config.name, "plain", *made)


def _prompt(network: Transformer, length: int) -> torch.Tensor:
    """Text ids, whichever."""
    return torch.arange(length, device=network.table.weight.device) % 50 + 30


def _nothing(network: Transformer) -> torch.Tensor:
    """Keys and values of no token."""
    config, weight = network.config, network.table.weight
    shape = (1, config.layers, 2, config.kv_heads, 0, config.head_size)
    return torch.zeros(shape, dtype=weight.dtype, device=weight.device)


def _rows(
    network: Transformer, ids_T: torch.Tensor, past: torch.Tensor, is_canvas: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows that see the past and each other, by PyTorch's own attention."""
    t, s = len(ids_T), past.shape[4]
    positions = torch.arange(s, s + t, device=ids_T.device)[None]
    flags = torch.full((1, t), is_canvas, device=ids_T.device)
    sees = torch.ones(1, t, s + t, dtype=torch.bool, device=ids_T.device)
    return network(ids_T[None], positions, flags, masked(sees), past)


def _clean(network: Transformer, ids_T: torch.Tensor, past: torch.Tensor) -> torch.Tensor:
    """The cache with clean tokens behind it."""
    _, new = _rows(network, ids_T, past, is_canvas=False)
    return torch.cat((past, new), dim=4)


def _commit(
    network: Transformer, hidden_TC: torch.Tensor, ids_T: torch.Tensor, committed: int
) -> torch.Tensor:
    """The surest masks decided."""
    logits = network.logits(hidden_TC).float()
    logits[:, :FIRST_TEXT_ID] = -torch.inf
    p_T, best_T = logits.softmax(-1).max(-1)
    confidence_T = torch.where(ids_T == MASK, p_T, -torch.inf)
    count = min(committed, int((ids_T == MASK).sum()))
    chosen = torch.topk(confidence_T, count).indices
    ids_T = ids_T.clone()
    ids_T[chosen] = best_T[chosen]
    return ids_T


def _wait(network: Transformer) -> None:
    device = network.table.weight.device
    if device.type == "cuda":
        torch.cuda.synchronize(device)

"""Tokens a second of whole answers, at a stated trace of commits (`model/bench/gpu/commits.py`), whatever the network
says: random weights have no confidence to go by.

Every forward counts, the passes that commit a finished block too: with our engine they are part of the next block's
first. Beside it the plain loops of published samplers on the same weights, as their repositories have them: the same
trace, PyTorch's own operations, one pass after the other; and an autoregressive `transformers` model of the same shape.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from model.backends.gpu import GpuBackend
from model.backends.interface import Backend, Candidates, Pass
from model.bench.gpu.commits import Commits, Replay, forwards
from model.bench.gpu.shapes import random_text
from model.blockwise import Grid, blockwise
from model.cache import KVCache
from model.decoders import Decoder, Job
from model.sampler import Run
from model.tokenizer import EOS, FIRST_TEXT_ID, MASK
from model.transformer import Transformer, masked


@dataclass(frozen=True)
class TraceFigures:
    """One way to decode. Tokens a second of all sequences of a batch, each behind a prompt of `cache` tokens, prefill
    apart. `committed` is how many tokens a forward commits in the mean; `tokens` are those of one sequence."""

    name: str
    shape: str
    weights: str
    batch: int
    cache: int
    block: int
    trace: str
    committed: float
    tokens: int
    forwards: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.batch * self.tokens / self.seconds


def ours(
    backend: GpuBackend, weights: str, batch: int, cache: int, commits: Commits, tokens: int
) -> TraceFigures:
    """The engine's own loop: the sampler, its policies on the host, fused commits. No token ends an answer."""
    block = commits.size
    length = cache // block * block
    prompts = [random_text(backend.config, length, seed) for seed in range(batch)]
    seconds, done = 0.0, 0
    for attempt in range(2):  # the first captures graphs
        jobs = [Job(each, limit=tokens, block=block, chunk=backend.chunk) for each in prompts]
        run = Run(_Endless(backend), jobs, partial(_replayed, commits=commits), width=batch)
        while run.prefills * backend.chunk < length - backend.chunk:
            run.step()
        began = time.perf_counter()
        run.finish()
        seconds, done = time.perf_counter() - began, run.forwards
        if attempt:
            assert all(lane.tokens == tokens for lane in run.lanes)
    shape = backend.config.name
    made = weights, batch, cache, block, commits.name, commits.per_forward, tokens, done, seconds
    return TraceFigures("ours", shape, *made)


def _replayed(job: Job, cache: KVCache, commits: Commits) -> Decoder:
    return blockwise(job, cache, Replay(commits), Grid(commits.size))


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
def plain_blocks(network: Transformer, cache: int, commits: Commits, tokens: int) -> TraceFigures:
    """SDAR's published loop: a cache that grows, a pass for every commit, scores of all rows over the whole vocabulary,
    the softmax and the choice on the device."""
    block = commits.size
    masks = torch.full((block,), MASK, device=network.table.weight.device)
    past = _clean(network, _prompt(network, cache // block * block), _nothing(network))

    def denoised(ids: torch.Tensor, count: int) -> torch.Tensor:
        return _commit(network, _rows(network, ids, past, is_canvas=True)[0][0], ids, count)

    denoised(masks, 1)  # what happens only at first
    wait(network.table.weight.device)
    began, done = time.perf_counter(), 0
    for counts in forwards(commits, tokens):
        ids = masks
        for count in counts:
            ids, done = denoised(ids, count), done + 1
        past, done = _clean(network, ids, past), done + 1
    wait(network.table.weight.device)
    seconds = time.perf_counter() - began
    return _figures("plain loop, block cache (SDAR)", network, cache, commits, tokens, done, seconds)


@torch.inference_mode()
def plain_whole(network: Transformer, cache: int, commits: Commits, tokens: int) -> TraceFigures:
    """LLaDA's published loop: no cache, every row of prompt and answer in every step."""
    block = commits.size
    prompt, past = _prompt(network, cache), _nothing(network)
    ids = torch.cat((prompt, torch.full((tokens,), MASK, device=prompt.device)))

    def denoised(start: int, stop: int, count: int) -> torch.Tensor:
        hidden, _ = _rows(network, ids, past, is_canvas=True)
        return _commit(network, hidden[0, start:stop], ids[start:stop], count)

    denoised(cache, cache + block, 1)  # what happens only at first
    wait(network.table.weight.device)
    began, done = time.perf_counter(), 0
    for start, counts in zip(range(cache, cache + tokens, block), forwards(commits, tokens), strict=True):
        stop = min(start + block, cache + tokens)
        for count in counts:
            ids[start:stop], done = denoised(start, stop, count), done + 1
    wait(network.table.weight.device)
    seconds = time.perf_counter() - began
    return _figures("plain loop, no cache (LLaDA)", network, cache, commits, tokens, done, seconds)


def _figures(
    name: str, network: Transformer, cache: int, commits: Commits, tokens: int, forwards: int, seconds: float
) -> TraceFigures:
    made = commits.size, commits.name, commits.per_forward, tokens, forwards, seconds
    return TraceFigures(name, network.config.name, "plain", 1, cache, *made)


def _prompt(network: Transformer, length: int) -> torch.Tensor:
    """That of our first sequence."""
    return torch.tensor(random_text(network.config, length, 0), device=network.table.weight.device)


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
    count = min(committed, int((ids_T == MASK).sum()))  # the published loops look, too
    chosen = torch.topk(confidence_T, count).indices
    ids_T = ids_T.clone()
    ids_T[chosen] = best_T[chosen]
    return ids_T


def wait(device: torch.device) -> None:
    """Until all that was launched is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

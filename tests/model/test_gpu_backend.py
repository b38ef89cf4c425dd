"""The GPU's back end against the plain PyTorch one, which stacks caches and masks.

On a CPU it runs the kernels' references; with a GPU these tests run compiled, in float32, graphs included.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.backends.gpu import GpuBackend
from model.backends.interface import Backend, BackendError, Candidates, Pass
from model.backends.network import Network
from model.backends.products import Weights
from model.backends.torch import TorchBackend
from model.config import Experts, ModelConfig
from model.tokenizer import EOS, FIRST_TEXT_ID, MASK
from model.transformer import Transformer

PLAIN = ModelConfig("plain", 120, 32, 2, 4, 2, 16, 48, context=96, region_limit=32, embedding_norm=False)
CONFIGS = {
    "tri-mode": replace(PLAIN, embedding_norm=True),
    "llama": replace(PLAIN, qk_norm=False, tied=False),
    "qwen2": replace(PLAIN, qk_norm=False, qkv_bias=True),
    "blocks of 4": replace(PLAIN, clean_block=4),
    "full attention": replace(PLAIN, clean_block=0),
    "half turned": replace(PLAIN, rotary_size=8),
    "experts": replace(PLAIN, experts=Experts(8, 2, 16, shared_ff=16, dense_layers=1)),
}


@pytest.fixture(scope="module")
def device() -> torch.device:
    if os.environ.get("REQUIRE_GPU") == "1" and not torch.cuda.is_available():
        pytest.fail("REQUIRE_GPU=1, and PyTorch finds no GPU")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def network_of(config: ModelConfig, device: torch.device) -> Transformer:
    torch.manual_seed(1)
    network = Transformer(config)
    for parameter in network.parameters():  # residual branches start at zero and would hide mistakes
        torch.nn.init.normal_(parameter, std=0.3)
    return network.to(device)


def both(config: ModelConfig, device: torch.device, **options) -> tuple[TorchBackend, GpuBackend]:
    plain = TorchBackend(network_of(config, device))
    return plain, GpuBackend(Network(network_of(config, device).eval(), Weights()), **options)


def ids(count: int, seed: int) -> list[int]:
    return np.random.default_rng(seed).integers(FIRST_TEXT_ID, 120, count).tolist()


def same(found: list[Candidates], wanted: list[Candidates]) -> None:
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a.ids_RK, b.ids_RK)
        np.testing.assert_allclose(a.logp_RK, b.logp_RK, atol=2e-4)
        np.testing.assert_allclose(a.entropy_R, b.entropy_R, atol=2e-4)


def conversation(backend: Backend, block: int) -> list[list[Candidates]]:
    """Two sequences: prompts in chunks, a canvas with the last chunk, steps, a commit with the next canvas."""
    first, second = backend.new_cache(80), backend.new_cache(80)
    fill, text = backend.allow([EOS]), backend.allow([])
    said = [backend.forward([Pass(first, ids(4 * block, 1), (), (), fill)])]
    masks = [MASK] * 4
    for tail in (ids(2 * block, 2), []):
        rows = [len(tail) + i for i in range(4)]
        passes = [
            Pass(first, tail, masks, rows, fill),
            Pass(second, ids(block, 3) if tail else [], masks, [1, 0] if not tail else [block + 2], text),
        ]
        said.append(backend.forward(passes))
    commit = [*ids(3, 4), *[EOS] * (block - 3 if block > 3 else 0)]
    said.append(backend.forward([Pass(first, commit, [MASK, 60, MASK], range(len(commit) + 3), fill)]))
    first.truncate(2 * block)
    said.append(backend.forward([Pass(first, (), masks, range(4), fill)]))
    return said


@pytest.mark.gpu
@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "full attention"])
def test_a_conversation_says_the_same(name: str, device: torch.device) -> None:
    config = CONFIGS[name]
    plain, fused = both(config, device)
    block = max(4, config.clean_block)
    for found, wanted in zip(conversation(fused, block), conversation(plain, block), strict=True):
        same(found, wanted)


@pytest.mark.gpu
@pytest.mark.parametrize("keep", [range(5), [*range(5), *range(9, 14)], [12, 3]])
def test_canvas_rows_are_kept_for_later_steps(keep, device: torch.device) -> None:
    """As the caches of full attention do: what stands before a block, or before and behind it."""
    said = []
    for backend in both(CONFIGS["full attention"], device):
        cache, allowed = backend.new_cache(80), backend.allow([EOS])
        canvas = [*ids(5, 1), *[MASK] * 4, *ids(5, 2)]
        steps = [backend.forward([Pass(cache, (), canvas, range(14), allowed, start=0, keep=list(keep))])]
        assert cache.tokens == [canvas[i] for i in keep]
        steps += [
            backend.forward([Pass(cache, (), [MASK, 70, MASK, 71], [0, 2], allowed, start=5)])
            for _ in range(2)
        ]
        said.append(steps)
    for found, wanted in zip(*said, strict=True):
        same(found, wanted)


def test_caches_take_over_prefixes_and_slots_are_used_again(device: torch.device) -> None:
    plain, fused = both(CONFIGS["tri-mode"], device)
    said = []
    for backend in (plain, fused):
        old, new = backend.new_cache(80), backend.new_cache(80)
        backend.forward([Pass(old, ids(20, 1), (), (), backend.allow([]))])
        new.append(old.tokens[:12], old.first(12))
        said.append(backend.forward([Pass(new, ids(3, 2), [MASK] * 2, range(5), backend.allow([]))]))
    same(said[1], said[0])
    slots = {fused.new_cache(10).slot for _ in range(50)}  # type: ignore[attr-defined]
    assert len(slots) == 1  # each was given back before the next was taken
    held = [fused.new_cache(10) for _ in range(30)]
    assert len({cache.slot for cache in held}) == 30  # type: ignore[attr-defined]


def test_a_pool_that_grows_keeps_what_is_in_it(device: torch.device) -> None:
    plain, fused = both(CONFIGS["tri-mode"], device)
    said = []
    for backend in (plain, fused):
        cache = backend.new_cache(80)
        backend.forward([Pass(cache, ids(20, 1), (), (), backend.allow([]))])
        others = [backend.new_cache(80) for _ in range(20)]
        said.append(backend.forward([Pass(cache, (), [MASK] * 4, range(4), backend.allow([]))]))
        del others
    same(said[1], said[0])


def test_a_request_beyond_the_context_is_refused(device: torch.device) -> None:
    _, fused = both(PLAIN, device)
    with pytest.raises(BackendError, match=r"needs 100000 rows of cache"):
        fused.new_cache(100_000)


def test_rows_beyond_a_slot_are_refused(device: torch.device) -> None:
    _, fused = both(PLAIN, device)
    cache = fused.new_cache(40)
    cache.claim([30] * (cache.capacity - 3))  # type: ignore[attr-defined]
    with pytest.raises(BackendError, match="rows are more than a cache's"):
        fused.forward([Pass(cache, (), [MASK] * 4, range(4), fused.allow([]))])


def test_out_of_memory_is_tried_again_and_then_said(device: torch.device, monkeypatch) -> None:
    """A GPU that another process has filled: what is remembered goes first, the process lives on."""
    _, fused = both(PLAIN, device)
    cache = fused.new_cache(40)
    relieved: list[str] = []
    fused.on_pressure(lambda: relieved.append("store"))
    ask = [Pass(cache, (), [MASK] * 4, range(4), fused.allow([]))]
    fine = fused.forward(ask)
    work, failures = fused._forward, [1]

    def fails(passes):
        if failures[0]:
            failures[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
        return work(passes)

    monkeypatch.setattr(fused, "_forward", fails)
    same(fused.forward(ask), fine)
    assert relieved == ["store"]
    failures[0] = 2
    with pytest.raises(
        BackendError, match=r"out of memory \(CUDA out of memory. Tried to allocate 2.00 GiB.\)"
    ):
        fused.forward(ask)
    same(fused.forward(ask), fine)


@pytest.mark.gpu
@pytest.mark.parametrize("experts", [None, Experts(8, 2, 144, shared_ff=48, dense_layers=1)], ids=str)
@pytest.mark.parametrize("kind", ["int8", "fp8", "int4"])
def test_smaller_weights_say_nearly_the_same(kind, experts: Experts | None, device: torch.device) -> None:
    config = replace(PLAIN, width=128, ff=256, heads=4, head_size=32, experts=experts)
    said = []
    for weights in (Weights(), Weights(kind)):
        torch.manual_seed(1)
        network = Transformer(config)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        backend = GpuBackend(Network(network.to(device).eval(), weights))
        cache = backend.new_cache(80)
        said += backend.forward([Pass(cache, ids(20, 1), [MASK] * 8, range(28), backend.allow([]))])
    exact, small = said
    error = np.abs(np.exp(small.logp_RK[:, 0]) - np.exp(exact.logp_RK[:, 0])).mean()
    assert 0 < error < {"int8": 0.01, "fp8": 0.03, "int4": 0.1}[kind]

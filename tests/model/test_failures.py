"""Errors of a device: memory that ran out, in whosever words, and a device that is lost."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from model.backends import failures
from model.backends.failures import is_lost, is_out_of_memory
from model.backends.interface import BackendError, Pass, Shape
from model.backends.pool import PooledCache
from model.checkpoint import ModelError
from model.families import load
from model.loading import _warm
from model.tokenizer import MASK
from tests.model.test_gpu_backend import PLAIN, both, same

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("Triton Error [CUDA]: out of memory"),
]
LOST = [
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nmore"),
    torch.AcceleratorError("CUDA error: unspecified launch failure"),
    RuntimeError("Triton Error [CUDA]: device-side assert triggered"),
]


@pytest.mark.parametrize("error", FULL, ids=str)
def test_memory_that_ran_out(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_lost(error, CUDA)


@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_device_that_is_lost(error: Exception) -> None:
    assert is_lost(error, CUDA)
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [ValueError("out of memory"), RuntimeError("shapes differ"), BackendError("out of memory")]
)
def test_other_errors_are_neither(error: Exception) -> None:
    assert not is_out_of_memory(error)
    assert not is_lost(error, CUDA)


def test_an_unknown_error_lasts_where_the_device_no_longer_answers(monkeypatch) -> None:
    error = torch.AcceleratorError("CUDA error: unknown error")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    assert not is_lost(error, CUDA)

    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "synchronize", fails)
    assert is_lost(error, CUDA)


class Made:
    """Stands for what a forward has allocated."""


@pytest.mark.parametrize("error", FULL, ids=str)
def test_relief_comes_when_the_failed_forward_has_let_go(error: Exception, monkeypatch) -> None:
    _, backend = both(PLAIN, CPU)
    made: list[weakref.ref[Made]] = []
    alive: list[bool] = []
    backend.on_pressure(lambda: alive.append(made[-1]() is not None))
    say = (type(error), str(error))

    def fails(passes) -> list[str]:
        if made:
            return ["fine"]
        here = Made()
        made.append(weakref.ref(here))
        raise say[0](say[1])

    monkeypatch.setattr(backend, "_forward", fails)
    assert backend.forward([]) == ["fine"]
    assert alive == [False]


def test_a_forward_that_failed_halfway_is_tried_with_the_same_caches(monkeypatch) -> None:
    plain, backend = both(PLAIN, CPU)
    caches, passes = [], []
    for each in (plain, backend):
        caches.append(each.new_cache(60))
        passes.append([Pass(caches[-1], [40] * 10, [MASK] * 4, range(14), each.allow([]), keep=[1, 2])])
    gather, failed = PooledCache.gather, list[bool]()

    def once(self, *given, **more) -> None:
        gather(self, *given, **more)
        if not failed:
            failed.append(True)
            raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(PooledCache, "gather", once)
    plain.forward(passes[0])
    backend.forward(passes[1])
    assert failed
    assert caches[1].tokens == caches[0].tokens == [40] * 10 + [MASK] * 2
    torch.testing.assert_close(caches[1].filled, caches[0].filled)


@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_lost_device_is_not_asked_again(error: Exception, monkeypatch) -> None:
    _, backend = both(PLAIN, CPU)
    asked: list[int] = []

    def fails(passes):
        asked.append(1)
        raise error

    monkeypatch.setattr(backend, "_forward", fails)
    with pytest.raises(BackendError, match=r"the GPU has failed \(.*\); restart the language server"):
        backend.forward([])
    monkeypatch.undo()
    for again in (lambda: backend.forward([]), lambda: backend.new_cache(10)):
        with pytest.raises(BackendError, match="the GPU has failed"):
            again()
    assert asked == [1]


def test_other_errors_pass(monkeypatch) -> None:
    _, backend = both(PLAIN, CPU)

    def fails(passes):
        raise KeyError("a mistake")

    monkeypatch.setattr(backend, "_forward", fails)
    with pytest.raises(KeyError):
        backend.forward([])


def test_everything_runs_on_its_own_device(monkeypatch) -> None:
    """Streams and graphs are the current device's: with two GPUs that need not be the network's."""
    _, backend = both(PLAIN, CPU, uses_graphs=True)
    entered: list[str] = []
    now: list[str] = []

    @contextmanager
    def device(of: torch.device):
        entered.append(str(of))
        now.append(str(of))
        yield
        now.pop()

    monkeypatch.setattr(torch.cuda, "device", device)
    backend._device = torch.device("cuda:1")
    seen: list[list[str]] = []

    def note(*_):
        seen.append(list(now))
        return lambda: seen.append(list(now))

    monkeypatch.setattr(backend, "_forward", note)
    monkeypatch.setattr(backend, "_prepared", note)
    monkeypatch.setattr(backend._pool, "take", note)
    monkeypatch.setattr(backend._graphs, "step", note)
    monkeypatch.setattr("model.backends.graphs.Step.idle", note)
    backend.forward([])
    backend.new_cache(10)
    replay = backend.prepared([])
    assert replay is not None
    replay()
    backend.warm(lambda _: None, [Shape(1, 8, 8, 96)])
    assert len(seen) > 6
    assert all(each == ["cuda:1"] for each in seen)
    assert not now


@pytest.mark.parametrize(("error", "said"), [(FULL[2], "does not fit on"), (LOST[0], "the GPU has failed")])
def test_loading_says_what_happened(error: Exception, said: str) -> None:
    with pytest.raises(ModelError, match=said), load._explained(Path("model"), CUDA):
        raise error
    with pytest.raises(RuntimeError, match="shapes differ"), load._explained(Path("model"), CUDA):
        raise RuntimeError("shapes differ")


def test_a_gpu_that_fails_while_it_is_warmed_is_a_model_that_cannot_be_loaded(monkeypatch) -> None:
    _, backend = both(PLAIN, CPU, uses_graphs=True)

    def fails(_):
        raise FULL[0]

    monkeypatch.setattr(backend._graphs, "step", fails)
    heard: list[tuple[str, float]] = []
    with pytest.raises(ModelError, match="out of memory"):
        _warm(backend, lambda *said: heard.append(said), [Shape(1, 8, 8, 96)])
    assert heard == [("preparing the GPU", 0.6)]


@pytest.mark.gpu
def test_more_memory_than_a_gpu_has_is_refused_and_the_next_request_is_served(
    cuda: torch.device, monkeypatch
) -> None:
    _, backend = both(PLAIN, cuda)
    ask = [Pass(backend.new_cache(40), (), [MASK] * 4, range(4), backend.allow([]))]
    fine, work = backend.forward(ask), backend._forward

    def greedy(passes):
        torch.empty(1 << 50, dtype=torch.int8, device=cuda)
        return work(passes)

    monkeypatch.setattr(backend, "_forward", greedy)
    with pytest.raises(BackendError, match="out of memory"):
        backend.forward(ask)
    monkeypatch.setattr(backend, "_forward", work)
    same(backend.forward(ask), fine)


def test_the_words_are_lower_case() -> None:
    """They are looked for in what was said in lower case."""
    assert all(each == each.lower() for each in (*failures._FULL, *failures._LOST))

"""The engines that are installed, loaded with one network and timed together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from model.backends.onnx import OnnxBackend
from model.bench.peers.contender import Contender
from model.bench.peers.figures import OURS, PeerFigures, PeersFigures, peer_figures, ratios
from model.bench.peers.own import Own, schedule
from model.bench.peers.shapes import OWN_SHAPE, SHAPES, write_random
from model.bench.peers.timing import measure
from model.checkpoint import EMBEDDED, Checkpoint, open_checkpoint

if TYPE_CHECKING:
    from model.backends.torch import TorchBackend
    from model.bench.peers.gguf_file import Kind

_INSTALL = "pip install 'redraft[peers]', or make bench-peers"


def measure_peers(
    model: str | None,
    shape: str,
    tokens_per_forward: float,
    block: int | None = None,
    threads: int | None = None,
    rounds: int = 3,
) -> PeersFigures:
    """Time every engine at a shape of `SHAPES`, or with the model itself, each with the better one of one thread and
    all cores; `threads` is for all of them. `block` is by default what the model denoises together. Raises
    ModelError, ValueError."""
    own = open_checkpoint(Path(model) if model else EMBEDDED)
    block = block or own.decoding.fill_block or own.config.block
    list(schedule(block, tokens_per_forward))
    with TemporaryDirectory() as folder:
        checkpoint = own if shape == OWN_SHAPE else _random(shape, Path(folder))
        contenders, missing = _contenders(checkpoint, Path(folder), threads)
        found = measure(contenders, rounds, block, tokens_per_forward)
        for each in contenders:
            each.close()
    peers = tuple(peer_figures(each.name, found) for each in contenders)
    config = checkpoint.config
    return PeersFigures(
        shape=config.name,
        parameters=config.parameters,
        block=block,
        tokens_per_forward=tokens_per_forward,
        rounds=rounds,
        peers=(*peers, *missing),
        ratios=ratios(peers, tokens_per_forward),
    )


def _random(shape: str, folder: Path) -> Checkpoint:
    try:
        return write_random(SHAPES[shape], folder)
    except ImportError as error:
        raise ValueError(f"a network of shape {shape} cannot be made ({error}): {_INSTALL}") from error


def _contenders(
    checkpoint: Checkpoint, folder: Path, threads: int | None
) -> tuple[list[Contender], list[PeerFigures]]:
    """Those that are installed, and the others' rows."""
    counts = [threads] if threads else sorted({1, os.cpu_count() or 1})
    onnx = {count: OnnxBackend(checkpoint, count) for count in counts}  # which keeps its number of threads
    contenders: list[Contender] = [Own(OURS, onnx.__getitem__, counts)]
    missing: list[PeerFigures] = []
    peers = _Peers(checkpoint, folder, counts)
    for name, load in peers.loaders().items():
        try:
            contenders.append(load())
        except ImportError as error:
            missing.append(PeerFigures(name, missing=f"not installed ({error}): {_INSTALL}"))
    return contenders, missing


class _Peers:
    """Loads the others with one network; each raises ImportError where something of it is not installed."""

    def __init__(self, checkpoint: Checkpoint, folder: Path, threads: Sequence[int]) -> None:
        self._checkpoint, self._folder, self._threads = checkpoint, folder, threads

    def loaders(self) -> dict[str, Callable[[], Contender]]:
        return {
            "Redraft, PyTorch eager": self._eager,
            "transformers": self._stock,
            "llama.cpp f32": lambda: self._llama_cpp("f32"),
            "llama.cpp f16": lambda: self._llama_cpp("f16"),
            "llama.cpp q8_0": lambda: self._llama_cpp("q8_0"),
        }

    @cached_property
    def _backend(self) -> TorchBackend:
        from model.backends.load_torch import load_torch
        from model.backends.torch import TorchBackend

        backend = load_torch(self._checkpoint, "cpu")
        assert isinstance(backend, TorchBackend), "on a CPU the plain network runs"
        return backend

    def _eager(self) -> Contender:
        import torch

        def load(threads: int) -> TorchBackend:
            torch.set_num_threads(threads)
            return self._backend

        return Own("Redraft, PyTorch eager", load, self._threads)

    def _stock(self) -> Contender:
        from model.bench.peers.stock import Stock

        return Stock(self._backend.network, self._threads)

    def _llama_cpp(self, kind: Kind) -> Contender:
        import_module("llama_cpp")  # before a file is written that nobody could read
        from model.bench.peers.gguf_file import write_gguf
        from model.bench.peers.llama_cpp import LlamaCpp

        path = self._folder / f"{kind}.gguf"
        write_gguf(self._backend.network, path, kind)
        return LlamaCpp(f"llama.cpp {kind}", path, self._checkpoint.config.vocab, self._threads)

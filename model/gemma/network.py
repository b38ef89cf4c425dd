"""The network as `transformers` runs it: its `generate`, told of every step, with random numbers of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from model.gemma.replies import Listener

_SEED = 0
"""Of every reply: the same question has the same answer, though a canvas starts from noise."""


class TransformersNetwork:
    """`model` is a `DiffusionGemmaForBlockDiffusion` in its place."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def description(self) -> str:
        device, dtype = self._model.device, str(self._model.dtype).removeprefix("torch.")
        return f"transformers on {device}, {dtype}"

    def dice(self) -> Dice:
        return Dice(self._model.device, _SEED)

    def write(self, prompt: Sequence[int], limit: int, ends: Sequence[int], listener: Listener) -> None:
        """Entropy bound, temperatures and the number of steps are the checkpoint's, else the published ones."""
        self._model.generate(
            torch.tensor([list(prompt)], device=self._model.device),
            streamer=listener,
            logits_processor=LogitsProcessorList([_Sureness(listener)]),
            eos_token_id=list(ends),
            max_new_tokens=limit,
            max_length=None,  # which a checkpoint may set, and which would then decide
            # A static cache is the model's own: requests in turn would write over each other's.
            cache_implementation="dynamic",
            disable_compile=True,
        )


class _Sureness(LogitsProcessor):
    """Changes nothing; tells how sure the network is of its best tokens."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        found = scores.amax(-1) - torch.logsumexp(scores, -1)
        self._listener.surely(found.reshape(-1).tolist())
        return scores


class Dice(AbstractContextManager[None]):
    """Inside, PyTorch's own generators go on from where they were at the last exit, first from `seed`; outside, they
    are as if nothing had been drawn. May be entered again and again, also while others have been."""

    def __init__(self, device: torch.device, seed: int) -> None:
        self._gpus = [device] if device.type == "cuda" else []
        self._fork: AbstractContextManager[None] | None = None
        own = [torch.Generator(each) for each in (torch.device("cpu"), *self._gpus)]
        self._states = [generator.manual_seed(seed).get_state() for generator in own]

    def __enter__(self) -> None:
        self._fork = torch.random.fork_rng([gpu.index or 0 for gpu in self._gpus])
        self._fork.__enter__()
        torch.set_rng_state(self._states[0])
        for gpu, state in zip(self._gpus, self._states[1:], strict=True):
            torch.cuda.set_rng_state(state, gpu)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._states = [torch.get_rng_state(), *(torch.cuda.get_rng_state(gpu) for gpu in self._gpus)]
        assert self._fork is not None
        self._fork.__exit__(None, None, None)

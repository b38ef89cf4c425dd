"""What a run says of itself: throughput, MFU, losses by task and noise level, and a progress bar."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from model.losses import Losses
from model.train.recipes import Recipe
from model.train.rows import GROUPS

_EVERY_SECONDS = 10.0


class Report:
    """Collects steps and gives one log entry every few seconds."""

    def __init__(self, recipe: Recipe, device: torch.device, groups: int) -> None:
        self._flops_per_token = flops_per_token(recipe)
        self._peak = peak_flops(device)
        self._sums = torch.zeros(2, groups)
        self._causal = self._diffusion = 0.0
        self._steps = self._tokens = 0
        self._since = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(f"{recipe.name}", total=1.0)

    def __enter__(self) -> Report:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def add(self, step: int, progress: float, tokens: int, losses: Losses) -> dict[str, object] | None:
        """Note one step; an entry when it is time for one, or at the first step."""
        self._sums += torch.stack((losses.group_sum, losses.group_count)).cpu()
        self._causal += losses.causal.item()
        self._diffusion += losses.diffusion.item()
        self._steps += 1
        self._tokens += tokens
        if step > 1 and time.monotonic() - self._since < _EVERY_SECONDS:
            return None
        return self.flush(step, progress)

    def flush(self, step: int, progress: float) -> dict[str, object] | None:
        if not self._steps:
            return None
        rate = self._tokens / max(1e-9, time.monotonic() - self._since)
        entry: dict[str, object] = {
            "step": step,
            "progress": round(progress, 4),
            "tokens_per_second": round(rate),
            "mfu": round(rate * self._flops_per_token / self._peak, 4),
            "loss_causal": round(self._causal / self._steps, 4),
            "loss_diffusion": round(self._diffusion / self._steps, 4),
            "groups": {
                name: round(float(s / c), 4) for name, s, c in zip(GROUPS, *self._sums, strict=True) if c > 0
            },
        }
        self._bar.update(
            self._task,
            completed=progress,
            description=f"step {step}  AR {entry['loss_causal']}  diffusion {entry['loss_diffusion']}  "
            f"{rate:,.0f} tok/s  MFU {rate * self._flops_per_token / self._peak:.1%}",
        )
        self._sums.zero_()
        self._causal = self._diffusion = 0.0
        self._steps = self._tokens = 0
        self._since = time.monotonic()
        return entry


def flops_per_token(recipe: Recipe) -> float:
    """Training FLOPs of one position: 6 per weight, and attention over half of a row (PaLM, appendix B)."""
    c = recipe.model
    return 6.0 * c.parameters + 6.0 * c.layers * c.heads * c.head_size * recipe.row_length


def peak_flops(device: torch.device) -> float:
    """The device's measured matrix rate in FLOP/s: bf16 on a GPU, float32 on a CPU."""
    size, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (1024, torch.float32)
    a = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(6):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        torch.mm(a, a)
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best

"""The training loop: batches in, a trained network out; resumable, with a report of each noise level.

One process and one device here. Wall-clock budgets steer the learning rate by elapsed time; otherwise the step
count does and a run repeats bit for bit on CPU at an equal thread count.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from model.losses import Losses, RowBatch, dense_mask, tri_mode_loss
from model.tokenizer import Tokenizer
from model.train.corpus import SourceFile
from model.train.data import PackedRows, batches
from model.train.optimizer import Optimizers, learning_rate_scale
from model.train.recipes import Recipe
from model.train.refactorings.pairs import Pair
from model.train.report import Report
from model.train.rows import GROUPS
from model.train.state import RunState, identity, load_state, save_state
from model.transformer import Attend, Transformer, masked


@dataclass(frozen=True)
class Schedule:
    """How long to train: `seconds` of wall clock if given, else `steps`."""

    steps: int
    seconds: float | None = None

    def progress(self, step: int, elapsed: float) -> float:
        return min(1.0, elapsed / self.seconds if self.seconds else step / self.steps)


def _has_bf16(device: torch.device) -> bool:
    """Whether bf16 products are faster than fp32: on GPUs, and on CPUs with AVX512-BF16 (1.4 times, measured)."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cuda" or bool(supported())


@dataclass
class Trainer:
    """One run. `fit` trains until its schedule ends; the state lives in `folder/state.pt`."""

    recipe: Recipe
    files: list[SourceFile]
    tokenizer: Tokenizer
    folder: Path
    schedule: Schedule
    device: torch.device
    workers: int = 0
    corpus: str = ""
    pairs: Sequence[Pair] = ()
    seconds: float = 0.0
    step: int = 0
    tokens: int = 0
    history: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(self.recipe.seed)
        self.network = Transformer(self.recipe.model).to(self.device)
        self.optimizers = Optimizers(self.network, self.recipe)
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def state_path(self) -> Path:
        return self.folder / "state.pt"

    def resume(self) -> bool:
        """Continue from the folder's state, if there is one; raises ResumeError when it does not fit."""
        if not self.state_path.exists():
            return False
        state = load_state(self.state_path, identity(self.recipe, self.corpus))
        self.network.load_state_dict(state.network)
        self.optimizers.load(state.optimizers)
        self.step, self.seconds, self.tokens = state.step, state.seconds, state.tokens
        self.history = state.history
        return True

    def fit(self, on_step: Callable[[int, Losses], None] = lambda step, losses: None) -> None:
        report = Report(self.recipe, self.device, len(GROUPS))
        began, saved = time.monotonic() - self.seconds, time.monotonic()
        data = PackedRows(self.files, self.tokenizer, self.recipe, self.pairs)
        stream = batches(
            data,
            self.step,
            self.recipe.rows_per_step,
            lambda step: self.schedule.progress(step, time.monotonic() - began),
            self.workers,
        )
        with report:
            while (progress := self.schedule.progress(self.step, time.monotonic() - began)) < 1:
                batch = next(stream)
                losses = self.train_step(batch, progress)
                self.step += 1
                self.tokens += batch.tokens
                self.seconds = time.monotonic() - began
                if entry := report.add(self.step, progress, batch.tokens, losses):
                    self._log(entry)
                on_step(self.step, losses)
                if time.monotonic() - saved > self.recipe.save_every_seconds:
                    self.save()
                    saved = time.monotonic()
            if entry := report.flush(self.step, 1.0):
                self._log(entry)
        self.save()

    def train_step(self, batch: RowBatch, progress: float) -> Losses:
        """One forward, backward and update; raises FloatingPointError where the loss is not finite."""
        batch = batch.to(self.device)
        recipe = self.recipe
        with torch.autocast(self.device.type, torch.bfloat16, enabled=_has_bf16(self.device)):
            hidden, _ = self._forward(batch)
            losses = tri_mode_loss(hidden, self.network.table.weight, batch, recipe.alpha, len(GROUPS))
        losses.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        if not math.isfinite(norm.item()):
            raise FloatingPointError(
                f"the gradient is not finite at step {self.step}; the last save is whole: "
                "lower the recipe's learning rates and start in another --out folder"
            )
        self.optimizers.step(learning_rate_scale(progress, recipe.warmup, recipe.decay))
        return losses

    def _forward(self, batch: RowBatch) -> tuple[torch.Tensor, torch.Tensor]:
        return self.network(batch.ids, batch.position, batch.block >= 0, self._attend(batch))

    def _attend(self, batch: RowBatch) -> Attend:
        if self.device.type != "cuda":
            return masked(dense_mask(batch))
        from model.train.flex import flex_attend

        return flex_attend(batch)

    def save(self) -> None:
        network = {k: v.detach().cpu() for k, v in self.network.state_dict().items()}
        state = RunState(
            identity(self.recipe, self.corpus),
            self.step,
            self.seconds,
            self.tokens,
            network,
            self.optimizers.state(),
            self.history,
        )
        save_state(self.state_path, state)

    def _log(self, entry: dict[str, object]) -> None:
        self.history.append(entry)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(entry) + "\n")
        if not sys.stderr.isatty():
            shown = {k: v for k, v in entry.items() if k != "groups"}
            print(json.dumps(shown), file=sys.stderr, flush=True)  # noqa: T201

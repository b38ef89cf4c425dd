"""The training loop: batches in, a trained network out; resumable, with a report of each noise level.

Serves every stage; where the batches come from is the stage's own matter. Wall-clock budgets steer the learning
rate by elapsed time; otherwise steps or clean tokens do, and pre-training repeats bit for bit on CPU at an equal
thread count.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from model.losses import Losses, Objective, RowBatch, tri_mode_loss
from model.train.attention import two_stream_attention
from model.train.optimizer import Optimizers, learning_rate_scale
from model.train.recipes import Recipe, Stage
from model.train.report import Report
from model.train.rows import GROUPS
from model.train.state import (
    ResumeError,
    RunState,
    drop_parts,
    identity,
    load_part,
    load_state,
    save_part,
    save_state,
)
from model.train.world import ALONE, World, load_weights_into, whole, whole_weights
from model.transformer import Transformer


@dataclass(frozen=True)
class Schedule:
    """How long to train: `seconds` of wall clock or `clean` tokens if given, else `steps`."""

    steps: int
    seconds: float | None = None
    clean: int | None = None

    def progress(self, step: int, elapsed: float, clean: int = 0) -> float:
        if self.seconds is not None:
            return min(1.0, elapsed / max(1e-9, self.seconds))
        return min(1.0, clean / max(1, self.clean) if self.clean is not None else step / max(1, self.steps))


def _has_bf16(device: torch.device) -> bool:
    """Whether bf16 products are faster than fp32: on GPUs, and on CPUs with AVX512-BF16 (1.4 times, measured)."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cuda" or bool(supported())


def hidden_rows(network: Transformer, batch: RowBatch) -> torch.Tensor:
    """The network's last rows `[B, T, C]` of a batch on its device, under the two-stream mask."""
    return network(batch.ids, batch.position, batch.block >= 0, two_stream_attention(batch))[0]


@dataclass
class Trainer:
    """One stage of a run. `fit` trains until its schedule ends; the state lives in `folder/state.pt`."""

    recipe: Recipe
    stage: Stage
    folder: Path
    schedule: Schedule
    device: torch.device
    corpus: str = ""
    world: World = ALONE
    seconds: float = 0.0
    step: int = 0
    tokens: int = 0
    clean: int = 0
    is_finished: bool = False
    history: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(self.recipe.seed)
        self.network = Transformer(self.recipe.model).to(self.device)
        self.world.shard(self.network)
        self.optimizers = Optimizers(self.network, self.recipe)
        self.objective = Objective(self.recipe.alpha, self.stage.certainty)
        self._began: float | None = None
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def state_path(self) -> Path:
        return self.folder / "state.pt"

    @property
    def identity(self) -> dict[str, object]:
        return identity(self.recipe, self.stage.name, self.corpus)

    def resume(self) -> bool:
        """Continue from the folder's state, if there is one; raises ResumeError when it does not fit."""
        if not self.state_path.exists():
            return False
        state = load_state(self.state_path, self.identity)
        load_weights_into(self.network, state.network)
        self.optimizers.load(self._own_optimizers(state))
        self.step, self.seconds = state.step, state.seconds
        self.tokens, self.clean = state.tokens, state.clean
        self.is_finished, self.history = state.is_finished, state.history
        return True

    def start_from(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take over trained weights; the optimisers warm up anew."""
        load_weights_into(self.network, weights)
        self.optimizers = Optimizers(self.network, self.recipe)

    def progress(self, step: int | None = None) -> float:
        """How far the stage is, in [0, 1]; `step` other than the current one is for batches prepared ahead."""
        elapsed = self.seconds if self._began is None else time.monotonic() - self._began
        step = self.step if step is None else step
        return self.schedule.progress(step, elapsed, self.clean)

    def fit(
        self,
        stream: Iterator[RowBatch],
        on_step: Callable[[int, Losses], None] = lambda step, losses: None,
        is_whole: bool = True,
    ) -> None:
        """Train on the batches of `stream` until the schedule ends; `is_whole`: nothing else follows in this stage."""
        report = Report(self.recipe, self.device, len(GROUPS))
        saved = time.monotonic()
        self._began = saved - self.seconds
        with report:
            while (progress := self.world.agree(self.progress())) < 1:
                batch = next(stream, None)
                if batch is None:
                    break  # the stage has nothing more to train on
                losses = self.train_step(batch, progress)
                self.step += 1
                tokens, clean = self._count(batch)
                self.tokens += tokens
                self.clean += clean
                self.seconds = time.monotonic() - self._began
                losses = self._of_all(losses)
                if entry := report.add(self.step, progress, tokens, losses):
                    self._log(entry)
                on_step(self.step, losses)
                if self.world.agree(time.monotonic() - saved) > self.recipe.save_every_seconds:
                    self.save()
                    saved = time.monotonic()
            if entry := report.flush(self.step, 1.0):
                self._log(entry)
        self.is_finished = is_whole
        self.save()

    def train_step(self, batch: RowBatch, progress: float) -> Losses:
        """One forward, backward and update; raises FloatingPointError where the loss is not finite."""
        batch = batch.to(self.device)
        recipe = self.recipe
        with torch.autocast(self.device.type, torch.bfloat16, enabled=_has_bf16(self.device)):
            losses = tri_mode_loss(
                self.hidden(batch),
                self.network.output_table,
                batch,
                self.objective,
                len(GROUPS),
                self.world.sum,
            )
        (
            losses.total * self.world.size
        ).backward()  # FSDP2 averages gradients; the denominators are sums already
        norm = whole(torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip))
        if not math.isfinite(norm.item()):
            raise FloatingPointError(
                f"the gradient is not finite at step {self.step}; the last save is whole: "
                "lower the recipe's learning rates and start in another --out folder"
            )
        scale = learning_rate_scale(progress, recipe.warmup, recipe.decay)
        self.optimizers.step(self.stage.peak * scale)
        return losses

    def hidden(self, batch: RowBatch) -> torch.Tensor:
        return hidden_rows(self.network, batch)

    def _of_all(self, losses: Losses) -> Losses:
        """What is reported, of all processes: each has its share of sums over common denominators."""
        summed = {
            f: self.world.sum(getattr(losses, f)) for f in ("causal", "diffusion", "group_sum", "group_count")
        }
        return replace(losses, **summed)

    def _count(self, batch: RowBatch) -> list[int]:
        """Positions and clean ones of all processes' batches."""
        return self.world.sum(torch.tensor([batch.tokens, batch.clean], device=self.device)).tolist()

    def save(self) -> None:
        """Write the state; every process must call it, the first writes the weights."""
        network, optimizers = whole_weights(self.network), self.optimizers.state()
        if not self.world.is_first:
            save_part(self.state_path, self.world.rank, self.step, optimizers)
        self.world.wait()  # a state is only replaced when every part of the new one is on disk
        if self.world.is_first:
            state = RunState(
                self.identity,
                self.step,
                self.seconds,
                self.tokens,
                self.clean,
                self.is_finished,
                network,
                optimizers,
                self.history,
                self.world.size,
            )
            save_state(self.state_path, state)
        self.world.wait()
        if not self.world.is_first:
            drop_parts(self.state_path, self.world.rank, but=self.step)

    def _own_optimizers(self, state: RunState) -> list[dict[str, Any]]:
        """This process's part; raises ResumeError where another number of processes wrote the state."""
        if state.processes != self.world.size:
            raise ResumeError(
                f"{self.state_path} was written by {state.processes} processes, these are {self.world.size}; "
                "start as many, or start a new --out folder --from this state"
            )
        return (
            state.optimizers
            if self.world.is_first
            else load_part(self.state_path, self.world.rank, state.step)
        )

    def _log(self, entry: dict[str, object]) -> None:
        self.history.append(entry)
        if not self.world.is_first:
            return
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(entry) + "\n")
        if not sys.stderr.isatty():
            shown = {k: v for k, v in entry.items() if k != "groups"}
            print(json.dumps(shown), file=sys.stderr, flush=True)  # noqa: T201

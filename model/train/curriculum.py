"""A recipe's stages in their order: each starts from what the one before learned and keeps its own state.

    out/tokenizer.json  out/pretraining/state.pt  out/trajectories/state.pt  out/step-minimisation/state.pt

A run that is continued skips finished stages and resumes the one that was cut short.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model.train.loop import Schedule, Trainer
from model.train.policy_gradient import Probe, probe, refine
from model.train.recipes import Pretraining, Recipe, Shares, Stage, StepMinimisation
from model.train.report import flops_per_token
from model.train.stages import Source, note, stream
from model.train.state import RunState, load_state
from model.train.tasks import Example
from model.train.world import ALONE, World, whole_weights
from model.transformer import Transformer

_GRADIENT_SHARE = 0.4
"""Of the time of step minimisation, for the policy gradient."""


@dataclass(frozen=True)
class Budget:
    """For all stages together: steps, or seconds of wall clock, or clean tokens of pre-training."""

    steps: int
    seconds: float | None = None
    clean: int | None = None

    def of(self, share: float, spent: float = 0.0) -> Schedule:
        """A stage's part; `spent` seconds of an earlier try count in."""
        seconds = None if self.seconds is None else spent + share * self.seconds
        return Schedule(max(1, round(share * self.steps)), seconds, self.clean)


@dataclass(frozen=True)
class Curriculum:
    """Trains the stages of `recipe` in `folder`; `weights` is where the first stage starts (None: from nothing)."""

    recipe: Recipe
    source: Source
    questions: Source
    folder: Path
    device: torch.device
    corpus: str
    weights: Mapping[str, torch.Tensor] | None = None
    world: World = ALONE

    def run(self, budget: Budget) -> RunState:
        """Train what is not yet trained; the state of the last stage. Raises ResumeError, FloatingPointError."""
        if self.world.size > self.recipe.rows_per_step:
            raise ValueError(
                f"{self.world.size} processes cannot share {self.recipe.rows_per_step} rows a step; start fewer"
            )
        weights, began = self.weights, time.monotonic()
        todo = [s for s in self.recipe.stages if s.share > 0 and not self._is_finished(s, budget)]
        left = sum(s.share for s in todo)
        trainer = self._trainer(self.recipe.stages[0])
        for stage in self.recipe.stages:
            if stage.share <= 0:
                continue
            trainer = self._trainer(stage)
            if trainer.resume():
                _say(f"{stage.name}: continuing from step {trainer.step}")
            elif weights is not None:
                trainer.start_from(weights)
            if stage in todo:
                elapsed = self.world.agree(time.monotonic() - began)
                rest = None if budget.seconds is None else budget.seconds - elapsed
                now = Budget(budget.steps, rest, budget.clean if isinstance(stage, Pretraining) else None)
                share = stage.share / left if rest is not None else stage.share
                self._train(trainer, stage, now, share, weights)
                left -= stage.share
            weights = whole_weights(trainer.network)
        return load_state(trainer.state_path, trainer.identity)

    def _train(
        self,
        trainer: Trainer,
        stage: Stage,
        budget: Budget,
        share: float,
        start: Mapping[str, torch.Tensor] | None,
    ) -> None:
        """Train one stage; `start` are the weights that it began with, also when it is resumed."""
        trainer.schedule = budget.of(share * _fitted(stage), trainer.seconds)
        goes_on = isinstance(stage, StepMinimisation) and stage.updates > 0
        trainer.fit(stream(trainer, self.source), is_whole=not goes_on)
        questions = self._questions()
        after = probe(trainer.network, questions)
        if isinstance(stage, Pretraining) or start is None:
            note(trainer, after=after.summary())
        else:
            self._keep_if_no_worse(trainer, start, probe(self._network(start), questions), after)
        if isinstance(stage, StepMinimisation) and stage.updates:
            seconds = None if budget.seconds is None else share * _GRADIENT_SHARE * budget.seconds
            note(trainer, **refine(trainer, stage, self.source, questions, seconds))

    def _keep_if_no_worse(
        self, trainer: Trainer, start: Mapping[str, torch.Tensor], before: Probe, after: Probe
    ) -> None:
        """A late stage that lost right answers is taken back: what follows starts from where it started."""
        is_kept = self.world.tell(after.right >= before.right)
        note(trainer, before=before.summary(), after=after.summary(), kept=is_kept)
        if not is_kept:
            trainer.start_from(start)
            trainer.save()

    def _network(self, weights: Mapping[str, torch.Tensor]) -> Transformer:
        network = Transformer(self.recipe.model)
        network.load_state_dict(dict(weights))
        return network.to(self.device)

    def _questions(self) -> Sequence[Example]:
        """Fixed questions of projects that are not trained on."""
        last = self.recipe.stages[-1]
        shares: Shares = (("fill", 1.0),) if isinstance(last, Pretraining) else last.shares
        return self.questions.examples(shares, self.recipe.questions, np.random.default_rng(self.recipe.seed))

    def _is_finished(self, stage: Stage, budget: Budget) -> bool:
        """By its own word; pre-training by steps or clean tokens may be asked to go on for more."""
        trainer = self._trainer(stage)
        if not trainer.resume():
            return False
        if not isinstance(stage, Pretraining) or budget.seconds is not None:
            return trainer.is_finished
        trainer.schedule = budget.of(stage.share)
        return trainer.progress() >= 1

    def _trainer(self, stage: Stage) -> Trainer:
        schedule = Schedule(1)
        return Trainer(
            self.recipe, stage, self.folder / stage.name, schedule, self.device, self.corpus, self.world
        )


def _fitted(stage: Stage) -> float:
    """The part of a stage's budget that is for `fit`; the rest is for the policy gradient."""
    return 1 - _GRADIENT_SHARE if isinstance(stage, StepMinimisation) else 1.0


def spent(recipe: Recipe, folder: Path, until: str = "") -> dict[str, dict[str, float]]:
    """What each stage (`until`: up to that one) took: steps, positions, clean tokens, seconds, and FLOPs of training.

    Seconds include walks and samples, FLOPs do not; neither includes probes, which only measure."""
    found: dict[str, dict[str, float]] = {}
    for stage in recipe.stages:
        path = folder / stage.name / "state.pt"
        if path.exists():
            data = torch.load(path, map_location="cpu", weights_only=True)
            found[stage.name] = {
                "steps": data["step"],
                "positions": data["tokens"],
                "clean": data["clean"],
                "seconds": round(data["seconds"]),
                "flops": data["tokens"] * flops_per_token(recipe),
            }
        if stage.name == until:
            break
    return found


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201

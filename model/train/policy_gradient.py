"""Stage 4's end: a few policy-gradient updates towards right answers in few steps, kept only if they help.

The reward is 1 for an answer equal to the reference, plus a bonus for large changes per step (the progressive
surrogate of Seed Diffusion, arXiv 2508.02193, section 2.3: `|τ| ∝ 1 / E d_Lev(τ[i], τ[j])`); the advantage is
taken within the samples of one question; probabilities are estimated with coupled masks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.losses import RowBatch
from model.train.data import stack_rows
from model.train.loop import Trainer
from model.train.recipes import StepMinimisation
from model.train.rollouts import advantages, coupled, sample
from model.train.rows import Row, pack
from model.train.stages import Source, frozen, note
from model.train.tasks import Example
from model.train.world import whole_weights
from model.transformer import Transformer


@dataclass(frozen=True)
class Answered:
    """What came of one question: whether rightly answered, in how many forwards, and whether it asks for a change."""

    is_right: bool
    forwards: int
    is_change: bool = True


@dataclass(frozen=True)
class Probe:
    """Greedy answers to fixed questions."""

    answers: tuple[Answered, ...]

    @property
    def right(self) -> float:
        return sum(a.is_right for a in self.answers) / max(1, len(self.answers))

    @property
    def right_changes(self) -> float:
        """Of the questions that ask for a change."""
        return _mean([a.is_right for a in self.answers if a.is_change])

    @property
    def forwards(self) -> float:
        """Per right answer that is no copy."""
        return _mean([a.forwards for a in self.answers if a.is_right and a.is_change])

    def summary(self) -> dict[str, float]:
        return {"right": round(self.right, 4), "forwards": round(self.forwards, 3)}

    def is_better_than(self, other: Probe) -> bool:
        """At least as often right, and more often, or with fewer forwards where both are right: a hard question that
        is newly answered must not count as slowness."""
        both = [(a, b) for a, b in zip(self.answers, other.answers, strict=True) if a.is_right and b.is_right]
        fewer = sum(a.forwards for a, _ in both) < sum(b.forwards for _, b in both)
        return self.right >= other.right and (self.right > other.right or fewer)


def probe(network: Transformer, questions: Sequence[Example]) -> Probe:
    found = sample(frozen(network), questions, 1, 0.0, np.random.default_rng(0))
    return Probe(
        tuple(Answered(r.is_right, r.forwards, r.example.source != r.example.target) for (r,) in found)
    )


def refine(
    trainer: Trainer,
    stage: StepMinimisation,
    source: Source,
    questions: Sequence[Example],
    seconds: float | None,
) -> dict[str, object]:
    """At most `stage.updates` updates (fewer when `seconds` run out) of the trainer's network; the old weights
    come back where `questions` are not answered better. Returns the probes before and after."""
    before, began = probe(trainer.network, questions), time.monotonic()
    old = whole_weights(trainer.network)
    done = 0
    for done in range(1, stage.updates + 1):
        rng = np.random.default_rng((trainer.recipe.seed, 4, done))
        mean_reward = _update(trainer, stage, source, done / stage.updates, rng)
        note(trainer, update=done, mean_right=mean_reward)
        if seconds is not None and trainer.world.agree(time.monotonic() - began) > seconds:
            break
    after = probe(trainer.network, questions)
    is_kept = trainer.world.tell(after.is_better_than(before))
    if not is_kept:
        trainer.start_from(old)
    trainer.seconds += time.monotonic() - began
    trainer.is_finished = True
    trainer.save()
    return {"updates": done, "before": before.summary(), "after": after.summary(), "kept": is_kept}


def _update(
    trainer: Trainer, stage: StepMinimisation, source: Source, progress: float, rng: np.random.Generator
) -> float:
    """Sample a group of questions and take one step along the policy gradient; the share of right samples."""
    examples = source.examples(stage.shares, stage.group, rng)
    found = sample(frozen(trainer.network), examples, stage.samples, 0.7, rng)
    block = trainer.recipe.model.block
    documents = [
        # Later blocks must see the answer that was sampled, not the reference.
        (replace(rollout.example, target=rollout.answer), coupled(rollout, advantage, block, rng))
        for group in found
        for rollout, advantage in zip(group, advantages(group), strict=True)
        if abs(advantage) > 1e-6
    ]
    documents = trainer.world.tell(documents)
    rows, _ = pack(documents, trainer.recipe.row_length)
    rows += [Row(trainer.recipe.row_length) for _ in range(-len(rows) % trainer.world.size)]
    batch = without_clean(stack_rows(trainer.world.share(rows)))
    if documents:
        trainer.train_step(batch, 0.5 * progress)
    return float(np.mean([r.is_right for group in found for r in group]))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def without_clean(batch: RowBatch) -> RowBatch:
    """The batch with the clean rows' loss off: the policy gradient is about the noisy ones."""
    return replace(batch, weight=batch.weight * (batch.block >= 0))

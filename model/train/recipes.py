"""Recipes: everything a training run needs to know, as frozen Python values.

A recipe is a model, budgets, an optimiser, and the stages of Seed Diffusion (arXiv 2508.02193) in their order:
pre-training (its phases are autoregressive warm-up, mask-based and edit-based noise), constrained-order
trajectories, on-policy step minimisation. Variants are recipes of their own, made with `dataclasses.replace`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import ClassVar, Literal

from model.config import BASE, NANO, TINY, ModelConfig
from model.train.tasks import EVERYTHING, Emphasis, Limits, TaskName

Shares = tuple[tuple[TaskName, float], ...]


@dataclass(frozen=True)
class Phase:
    """What is drawn from the share `since` of pre-training on. Each answer is followed by `copies` noisy copies;
    without any a phase is autoregressive only."""

    name: str
    since: float
    copies: int
    shares: Shares


@dataclass(frozen=True)
class Pretraining:
    """Stages 1 and 2: rows drawn from the corpus and noised at random."""

    share: float
    phases: tuple[Phase, ...]
    name: ClassVar[str] = "pretraining"
    certainty: ClassVar[float] = 0.0
    peak: float = 1.0

    def phase(self, progress: float) -> Phase:
        return next(p for p in reversed(self.phases) if progress >= p.since)


@dataclass(frozen=True)
class Trajectories:
    """Stage 3: of `walks` denoising orders of each example the `kept` likeliest are trained on.

    `peak` scales the recipe's learning rates, `shares` are the tasks, `gathered` the examples walked at a time."""

    share: float
    shares: Shares
    walks: int = 4
    kept: int = 1
    gathered: int = 64
    peak: float = 0.25
    certainty: float = 0.0
    name: ClassVar[str] = "trajectories"


@dataclass(frozen=True)
class StepMinimisation:
    """Stage 4: rounds of "sample `samples` answers to each of `prompts` questions, keep the verified and
    shortest, train on their states with `certainty`"; then `updates` of the policy gradient, kept if better."""

    share: float
    shares: Shares
    samples: int = 4
    prompts: int = 64
    peak: float = 0.15
    certainty: float = 0.1
    updates: int = 40
    group: int = 16
    """Questions per update of the policy gradient."""
    name: ClassVar[str] = "step-minimisation"


Stage = Pretraining | Trajectories | StepMinimisation

_MIXED: Shares = (("fill", 0.30), ("fix", 0.40), ("refactor", 0.30))
_MOSTLY_FILL: Shares = (("fill", 0.80), ("fix", 0.10), ("refactor", 0.10))


def curriculum(
    mask: float,
    edit: float,
    copies: int,
    edits: Shares = _MIXED,
    late: tuple[float, float] = (0.05, 0.05),
) -> tuple[Stage, ...]:
    """All four stages; pre-training is autoregressive until `mask` and gets its edit tasks (`edits`) from `edit` on.
    `late` are the shares of the last two stages."""
    phases = (
        Phase("autoregressive", 0.0, 0, (("fill", 1.0),)),
        Phase("mask", mask, copies, _MOSTLY_FILL),
        Phase("edit", edit, copies, edits),
    )
    walked, minimised = late
    return (
        Pretraining(share=round(1 - walked - minimised, 6), phases=phases),
        Trajectories(share=walked, shares=edits),
        StepMinimisation(share=minimised, shares=edits),
    )


@dataclass(frozen=True)
class Recipe:
    """One way to train one model. `steps` holds unless a budget in seconds or clean tokens is given, and is
    divided among the stages by their shares. In each stage the learning rate rises over `warmup` of it, is
    constant, and falls linearly to zero over the last `decay`."""

    name: str
    model: ModelConfig
    limits: Limits
    steps: int
    rows_per_step: int
    row_length: int
    optimizer: Literal["muon", "adamw"] = "muon"
    learning_rate: float = 3e-3
    matrix_learning_rate: float = 0.02
    matched_rms: bool = False
    """Muon's update scaled to AdamW's RMS (Moonlight), so that both share one learning rate."""
    stages: tuple[Stage, ...] = curriculum(mask=0.22, edit=0.66, copies=2)
    """20 % of the time autoregressive, 40 % tri-mode, 30 % edits, 10 % for stages 3 and 4."""
    warmup: float = 0.03
    decay: float = 0.4
    mask_warmup: float = 0.05
    weight_decay: float = 0.05
    clip: float = 1.0
    alpha: float = 0.3
    """Weight of the diffusion loss; the published one, and as good as 1.0 for it and better causally (LOG.md)."""
    aligned: bool = True
    """Whether an edit's labels follow the common subsequence of canvas and target (`model/labels.py`)."""
    block_sizes: tuple[int, ...] = (4, 8, 16, 32)
    seed: int = 20
    save_every_seconds: float = 120.0
    emphasis: Emphasis = EVERYTHING
    questions: int = 128
    """Held-out questions that a late stage is probed with before and after it."""
    stdlib_only: bool = False
    """Whether the standard library alone is the corpus, unless one is named."""

    def as_json(self) -> dict[str, object]:
        """Everything, the stages with their names."""
        stages = [{"name": s.name, **asdict(s)} for s in self.stages]
        return {**asdict(self), "stages": stages}

    def twin(self) -> Recipe:
        """The autoregressive twin: the same model, data and optimiser, trained causally only."""
        phases = [replace(p, copies=0) for s in self.stages if isinstance(s, Pretraining) for p in s.phases]
        return replace(self, name=f"{self.name}-twin", stages=(Pretraining(1.0, tuple(phases)),))

    def continued(self) -> Recipe:
        """For weights that are tri-mode already (`--from`): the last phase of pre-training, then the late stages.

        No autoregressive phase, in which they would forget how to denoise (measured: a fix's loss from 0.3 to 7.6 in
        1.2 M positions); half the learning rate, and a longer way down, since the weights are at the end of one."""
        first, *late = self.stages
        assert isinstance(first, Pretraining)
        last = replace(first, phases=(replace(first.phases[-1], since=0.0),), peak=0.5)
        return replace(self, name=f"{self.name}-continued", stages=(last, *late), decay=0.6)


_NANO = Recipe(
    name="nano",
    model=NANO,
    limits=Limits(prefix=96, suffix=32, region=72, middle=32),
    steps=300,
    stdlib_only=True,
    rows_per_step=4,
    row_length=384,
    questions=24,
    stages=(
        *curriculum(mask=0.1, edit=0.5, copies=2)[:2],
        StepMinimisation(share=0.05, shares=_MIXED, prompts=16, updates=2),
    ),
)
_TINY = Recipe(
    name="tiny",
    model=TINY,
    limits=Limits(prefix=160, suffix=64, region=150, middle=64),
    steps=6000,
    rows_per_step=4,
    row_length=768,
    # Two cores see few tokens: what a small model can learn best, edits, gets half of the time.
    stages=curriculum(
        mask=0.15,
        edit=0.5,
        copies=2,
        edits=(("fill", 0.15), ("fix", 0.43), ("refactor", 0.42)),
        late=(0.05, 0.06),
    ),
    emphasis=Emphasis(
        refactorings=(
            "compare_none",
            "plain_super",
            "empty_literals",
            "membership_test",
            "range_start",
            "no_object_base",
        ),
        syntax=3.0,
    ),
)
_BASE = Recipe(
    name="base",
    model=BASE,
    limits=Limits(prefix=512, suffix=192, region=384, middle=128, sections=192),
    steps=12000,
    rows_per_step=32,
    row_length=4096,
    stages=curriculum(mask=0.22, edit=0.66, copies=3),
    learning_rate=2e-3,
    matrix_learning_rate=2e-3,
    matched_rms=True,
    weight_decay=0.1,
    decay=0.35,
)
ADAPT = "adapt"


def adapted(config: ModelConfig) -> Recipe:
    """Continued training of a foreign autoregressive network (`model/families`) until it has all three modes.

    Tri-mode from the first step, since the causal mode is there already, with the published weight of the diffusion
    loss for that start, 0.3 (Nemotron-Labs-Diffusion). AdamW alone, ten times lower than from nothing: such checkpoints
    were trained with it, and Muon's updates, of full rank, gain nothing on them (Moonlight, arXiv 2502.16982).
    Short contexts get `tiny`'s proportions of its context, longer ones `base`'s.
    """
    like = _TINY if config.context <= _TINY.model.context else _BASE
    share = config.context / like.model.context
    return replace(
        like,
        name=ADAPT,
        model=config,
        limits=Limits(
            prefix=round(share * like.limits.prefix),
            suffix=round(share * like.limits.suffix),
            region=config.region_limit,
            middle=round(share * like.limits.middle),
            sections=round(share * like.limits.sections),
        ),
        steps=6000,
        row_length=round(share * like.row_length),
        optimizer="adamw",
        learning_rate=3e-4,
        stages=curriculum(mask=0.0, edit=0.57, copies=2 if like is _TINY else 3),
    )


RECIPES = {r.name: r for each in (_NANO, _TINY, _BASE) for r in (each, each.twin(), each.continued())}

"""Recipes: everything a training run needs to know, as frozen Python values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from model.config import BASE, NANO, TINY, ModelConfig
from model.train.tasks import Limits, TaskName


@dataclass(frozen=True)
class Mix:
    """Shares of the tasks from a point of the run on."""

    since: float
    shares: tuple[tuple[TaskName, float], ...]


@dataclass(frozen=True)
class Recipe:
    """One way to train one model. `steps` holds unless a budget in seconds is given; the learning rate follows
    whichever it is: linear warm-up, constant, linear decay over the last `decay` of the run."""

    model: ModelConfig
    limits: Limits
    steps: int
    rows_per_step: int
    row_length: int
    copies: int
    optimizer: Literal["muon", "adamw"]
    learning_rate: float
    matrix_learning_rate: float
    warmup: float = 0.03
    decay: float = 0.4
    mask_warmup: float = 0.05
    weight_decay: float = 0.05
    clip: float = 1.0
    alpha: float = 1.0
    seed: int = 20
    save_every_seconds: float = 120.0
    stdlib_only: bool = False
    """Whether the standard library alone is the corpus, unless one is named."""
    mixes: tuple[Mix, ...] = (
        Mix(0.0, (("fill", 0.70), ("fix", 0.15), ("refactor", 0.15))),
        Mix(0.5, (("fill", 0.40), ("fix", 0.35), ("refactor", 0.25))),
    )

    @property
    def name(self) -> str:
        return self.model.name

    def as_json(self) -> dict[str, object]:
        return asdict(self)


RECIPES = {
    r.name: r
    for r in (
        Recipe(
            model=NANO,
            limits=Limits(prefix=96, suffix=32, region=72, middle=32),
            steps=300,
            stdlib_only=True,
            rows_per_step=4,
            row_length=384,
            copies=2,
            optimizer="muon",
            learning_rate=3e-3,
            matrix_learning_rate=0.02,
        ),
        Recipe(
            model=TINY,
            limits=Limits(prefix=160, suffix=64, region=150, middle=64),
            steps=6000,
            rows_per_step=4,
            row_length=768,
            copies=2,
            optimizer="muon",
            learning_rate=3e-3,
            matrix_learning_rate=0.02,
        ),
        Recipe(
            model=BASE,
            limits=Limits(prefix=512, suffix=192, region=384, middle=128),
            steps=12000,
            rows_per_step=16,
            row_length=4096,
            copies=3,
            optimizer="muon",
            learning_rate=3e-3,
            matrix_learning_rate=0.02,
        ),
    )
}

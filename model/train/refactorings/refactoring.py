"""What a refactoring is: a name, ways to ask for it, and where its pairs of code before and after come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from model.train.slips.scene import Scene


@dataclass(frozen=True)
class Rewriting:
    """A region's text before and after a refactoring; `words` fill the placeholders of its phrasings."""

    before: str
    after: str
    words: Mapping[str, str] = field(default_factory=dict)


Maker = Callable[[Scene, np.random.Generator], Rewriting | None]
"""Makes a rewriting out of a region of good code; None where the region offers no place."""


@dataclass(frozen=True)
class Refactoring:
    """`rules` are the linter rules whose fix does it under `settings`, `make` does it with the syntax tree; either
    may be absent. `instructed` is False for what no text can determine, as a docstring that is to be written:
    such pairs are learned from but not counted among the refactorings that are done as instructed."""

    name: str
    phrasings: tuple[str, ...]
    rules: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    make: Maker | None = None
    instructed: bool = True

    def instruction(self, rng: np.random.Generator, words: Mapping[str, str] | None = None) -> str:
        """One of the phrasings, with `words` in place of its `{placeholders}`."""
        phrase = self.phrasings[int(rng.integers(len(self.phrasings)))]
        for name, word in (words or {}).items():
            phrase = phrase.replace("{" + name + "}", word)
        return phrase

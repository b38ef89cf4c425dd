"""What every engine is asked to do, so that all of them are timed at the same work.

An engine first reads a prompt of `CACHED` tokens; whatever is asked afterwards is computed behind those and forgotten
again. Which tokens they are does not matter to the time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.tokenizer import FIRST_TEXT_ID

CACHED = 512
COMPLETED = 24
"""Tokens of a completion, about two lines of code."""
BLOCKS = (1, 4, 8, 16, 32)
PREFILLS = (256, CACHED)
ROOM = CACHED + 128
"""Tokens that an engine must have room for."""


@dataclass(frozen=True)
class Setting:
    """A number of threads, and whatever else an engine lets one choose, in words."""

    threads: int
    other: str = ""


class Contender(ABC):
    """One engine with its network. One thread at a time."""

    name: str
    settings: Sequence[Setting]
    """It is measured with each of them; the best one counts."""

    @abstractmethod
    def use(self, setting: Setting) -> None:
        """Compute like that from now on."""

    @abstractmethod
    def prefill(self, tokens: int) -> None:
        """Read so many tokens into an empty cache; after `CACHED` of them the other methods may be called."""

    @abstractmethod
    def block(self, rows: int) -> None:
        """One forward over so many tokens behind the cached ones, with the scores of each."""

    @abstractmethod
    def complete(self) -> Sequence[int]:
        """Greedy autoregressive completion of `COMPLETED` tokens, wherever they would end."""

    def close(self) -> None:
        """Free what Python does not."""
        return


def text_ids(vocab: int, count: int) -> list[int]:
    """The same arbitrary text for every engine."""
    return np.random.default_rng(7).integers(FIRST_TEXT_ID, vocab, count).tolist()

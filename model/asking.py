"""How a question is put to a network: what its prompt holds, what follows the answer, how the answer is read.

`Native` is the way of checkpoints that were trained here (`model/prompt.py`); those of others have theirs in
`model/families/prompts.py`. Knows texts and a tokenizer, no documents and no networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from model import prompt
from model.tokenizer import Tokenizer

MAX_WORDS = 64
"""Tokens of an instruction or a diagnostic's message."""


@dataclass(frozen=True)
class Around:
    """What surrounds a hole or a region, in normalised line ends: the text before it, the rest of its line, the lines
    that follow; `sections` are imports and other files' snippets."""

    prefix: str
    rest: str = ""
    suffix: str = ""
    sections: tuple[str, ...] = ()
    path: str = ""

    @property
    def after(self) -> str:
        """All that follows, as it stands in the file."""
        return f"{self.rest}\n{self.suffix}" if self.suffix else self.rest


@dataclass(frozen=True)
class Asked:
    """A question in tokens. `after` follows the answer's masks where the network sees it in place; `source` is where an
    edit starts from. A `reply` is written in words, its code fenced."""

    prompt: Sequence[int]
    after: Sequence[int] = ()
    source: Sequence[int] | None = None
    is_reply: bool = False


class Asking(Protocol):
    @property
    def spells_words(self) -> bool:
        """Whether a half-typed word is taken off the prompt and spelt anew (`model/healing.py`)."""
        ...

    @property
    def overhead(self) -> int:
        """Tokens that a prompt has besides what is given; of a reply those around its code."""
        ...

    @property
    def cannot_edit(self) -> str:
        """Why the network cannot be asked to change code; empty where it can."""
        ...

    def fill(self, around: Around) -> Asked: ...

    def fix(self, around: Around, old: str, message: str) -> Asked: ...

    def refactor(self, around: Around, old: str, instruction: str) -> Asked: ...


@dataclass(frozen=True)
class Native:
    """The prompts of `model/prompt.py`: the suffix first, so that typing changes only a prompt's tail."""

    tokenizer: Tokenizer
    spells_words: bool = True
    overhead: int = 24
    """Control tokens and the masks of one label."""
    cannot_edit: str = ""

    def fill(self, around: Around) -> Asked:
        return Asked(prompt.fill_prompt(self._context(around), self.tokenizer.encode(around.rest)))

    def fix(self, around: Around, old: str, message: str) -> Asked:
        source = self.tokenizer.encode(old)
        words = self.tokenizer.encode(message)[:MAX_WORDS]
        return Asked(prompt.fix_prompt(self._context(around), source, words), source=source)

    def refactor(self, around: Around, old: str, instruction: str) -> Asked:
        source = self.tokenizer.encode(old)
        words = self.tokenizer.encode(instruction)[:MAX_WORDS]
        return Asked(prompt.refactor_prompt(self._context(around), source, words), source=source)

    def _context(self, around: Around) -> prompt.Context:
        encode = self.tokenizer.encode
        sections = tuple(encode(section) for section in around.sections)
        return prompt.Context(encode(around.prefix), encode(around.suffix), sections)

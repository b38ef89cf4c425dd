"""How other people's checkpoints are asked: in place, in fill-in-the-middle format, or in words.

- A network with full attention sees the file as it is, masks in the place of the hole, between the tokens that its
  family puts around such a text.
- One that reads from left to right and was trained to fill in the middle gets prefix and suffix in that format. That
  its tokenizer has tokens for it says nothing: every Qwen's does.
- One with a chat template is asked in words, and its code read from the reply's first fence. Only such networks fix and
  refactor: the others were never told what that means.
- What has neither continues the text.

A chat template is a program that came with the weights (`chat_template.py`): what the user wrote is put in
afterwards, so no text can spell a special token. Knows tokens, no networks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from model.asking import Around, Asked, Asking
from model.families.chat_template import rendered
from model.families.converted import Identity
from model.families.errors import FamilyError
from model.tokenizer import EOS, Tokenizer

_CONTENT = "\ue000redraft\ue001"
"""Stands for the question while a template is rendered: private characters that no template looks at."""
_ONLY_COMPLETES = (
    "this model was not trained to follow instructions: it completes code, and cannot fix or refactor it"
)


class _Completing:
    """What those ways have in common that cannot ask for a change."""

    spells_words = False
    overhead = 8
    cannot_edit = _ONLY_COMPLETES

    def fix(self, around: Around, old: str, message: str) -> Asked:
        raise AssertionError(self.cannot_edit)

    def refactor(self, around: Around, old: str, instruction: str) -> Asked:
        raise AssertionError(self.cannot_edit)


@dataclass(frozen=True)
class InPlace(_Completing):
    """For full attention. `begin` and `end` are ids at the sequence's ends where the family published them."""

    tokenizer: Tokenizer
    begin: tuple[int, ...] = ()
    end: tuple[int, ...] = ()

    def fill(self, around: Around) -> Asked:
        encode = self.tokenizer.encode
        before = [*self.begin, *encode(around.prefix)] or [EOS]  # a row must stand before the first mask
        return Asked(before, [*encode(around.after), *self.end])


@dataclass(frozen=True)
class InTheMiddle(_Completing):
    """Fill-in-the-middle format (Bavarian et al. 2022), prefix first or suffix first."""

    tokenizer: Tokenizer
    middle: Mapping[str, int]
    """The ids of the tokens before `prefix`, `suffix` and `middle`, in the order in which those come."""

    def fill(self, around: Around) -> Asked:
        texts = {"prefix": around.prefix, "suffix": around.after, "middle": ""}
        ids: list[int] = []
        for part, token in self.middle.items():
            ids += [token, *self.tokenizer.encode(texts[part])]
        return Asked(ids)


@dataclass(frozen=True)
class Continued(_Completing):
    """The text up to the hole, to be gone on with."""

    tokenizer: Tokenizer

    def fill(self, around: Around) -> Asked:
        return Asked(self.tokenizer.encode(around.prefix) or [EOS])


@dataclass(frozen=True)
class Chat:
    """In words, by a chat template. `roles` are special tokens by what a template calls them; `fills` are asked by
    another way where the family has one."""

    tokenizer: Tokenizer
    specials: Mapping[str, int]
    template: str
    roles: Mapping[str, str] = field(default_factory=dict)
    fills: Asking | None = None
    spells_words: bool = False
    overhead: int = 160
    cannot_edit: str = ""

    def fill(self, around: Around) -> Asked:
        if self.fills is not None:
            return self.fills.fill(around)
        cursor = _mark("CURSOR", around)
        code = f"{_above(around)}{around.prefix}{cursor}{around.after}"
        return self._asked(
            f"Write the code that is missing at {cursor} and nothing that stands around it. "
            f"Reply with one code block that holds only the missing code.\n\n{_block(code)}"
        )

    def fix(self, around: Around, old: str, message: str) -> Asked:
        report = f" The reported problem: {message}" if message else ""
        begin = _mark("CODE", around, old, message)
        return self._asked(
            f"Find and correct the mistakes in the code between {begin} and {_closing(begin)}; change nothing else."
            f"{report} Reply with one code block that holds the corrected code.\n\n{_marked(around, old, begin)}"
        )

    def refactor(self, around: Around, old: str, instruction: str) -> Asked:
        begin = _mark("CODE", around, old, instruction)
        return self._asked(
            f"Rewrite the code between {begin} and {_closing(begin)} as follows: {instruction}. "
            "Keep everything else as it is. "
            f"Reply with one code block that holds the rewritten code.\n\n{_marked(around, old, begin)}"
        )

    def _asked(self, question: str) -> Asked:
        before, after = self.frame
        return Asked([*before, *self.tokenizer.encode(question), *after], is_reply=True)

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """What a template puts before and behind a question, special tokens as such; raises FamilyError."""
        before, mark, after = self._rendered(_CONTENT).partition(_CONTENT)
        if not mark:
            raise FamilyError(
                "the checkpoint's chat template drops what the user says; use another checkpoint"
            )
        return self._encoded(before), self._encoded(after)

    def _rendered(self, content: str) -> str:
        """The template around one user message."""
        return rendered(self.template, self.roles, content)

    def _encoded(self, text: str) -> list[int]:
        names = sorted(self.specials, key=len, reverse=True)
        ids: list[int] = []
        for part in re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]:
            ids += [self.specials[part]] if part in self.specials else self.tokenizer.encode(part)
        return ids


def asking_for(identity: Identity, tokenizer: Tokenizer, sees_whole: bool) -> Asking:
    """The best way to ask a checkpoint: code in its place or in the middle where it learnt that, words for the rest.
    With a chat template that cannot be used it only completes; raises FamilyError where it could not do that either."""
    fills: Asking | None = None
    if sees_whole:
        fills = InPlace(tokenizer, identity.begin, identity.end)
    elif identity.middle:
        fills = InTheMiddle(tokenizer, identity.middle)
    if identity.chat_template is None:
        return fills or Continued(tokenizer)
    chat = Chat(tokenizer, identity.specials, identity.chat_template, identity.roles, fills)
    try:
        chat.frame  # noqa: B018  # rendered now, not while somebody waits
    except FamilyError as error:
        if fills is None:
            raise
        return replace(chat, cannot_edit=str(error))
    return chat


def _above(around: Around) -> str:
    return "".join(f"{section.rstrip()}\n\n" for section in around.sections)


def _mark(name: str, around: Around, *texts: str) -> str:
    """`<NAME>`, or the first of `<NAME2>`, `<NAME3>` ... that no text holds, nor its closing one."""
    said = "\n".join((*around.sections, around.prefix, around.after, *texts))
    marks = (f"<{name}{number}>" for number in ("", *range(2, len(said) + 3)))
    return next(mark for mark in marks if mark not in said and _closing(mark) not in said)


def _closing(mark: str) -> str:
    return mark.replace("<", "</", 1)


def _marked(around: Around, old: str, begin: str) -> str:
    return _block(f"{_above(around)}{around.prefix}{begin}\n{old}{_closing(begin)}\n{around.after}")


def _block(code: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}\n{code}\n{fence}"

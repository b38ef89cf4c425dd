"""How other people's checkpoints are asked: in place, in fill-in-the-middle format, or in words.

- A network with full attention sees the file as it is, masks in the place of the hole.
- One that reads from left to right and knows fill-in-the-middle tokens gets prefix and suffix in that format.
- One with a chat template is asked in words, and its code read from the reply's first fence. Only such networks fix and
  refactor: the others were never told what that means.
- What has neither continues the text.

A chat template is a program that came with the weights: it runs in Jinja's sandbox, and what the user wrote is put in
afterwards, so no text can spell a special token. Knows tokens, no networks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from model.asking import Around, Asked, Asking
from model.families.errors import FamilyError
from model.tokenizer import EOS, Tokenizer

_MIDDLE_TOKENS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", False),
    ("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", True),
)
"""Prefix, suffix and middle token, and whether the suffix comes first: Qwen2.5-Coder's, Seed-Coder's."""
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
    """For full attention. `begin` and `end` are ids at the sequence's ends where the family has them."""

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
    prefix: int
    suffix: int
    middle: int
    suffix_first: bool = False

    def fill(self, around: Around) -> Asked:
        before = [self.prefix, *self.tokenizer.encode(around.prefix)]
        after = [self.suffix, *self.tokenizer.encode(around.after)]
        parts = [*after, *before] if self.suffix_first else [*before, *after]
        return Asked([*parts, self.middle])


@dataclass(frozen=True)
class Continued(_Completing):
    """The text up to the hole, to be gone on with."""

    tokenizer: Tokenizer
    begin: tuple[int, ...] = ()

    def fill(self, around: Around) -> Asked:
        return Asked([*self.begin, *self.tokenizer.encode(around.prefix)] or [EOS])


@dataclass(frozen=True)
class Chat:
    """In words, by a chat template. `fills` are asked by another way where the family has one."""

    tokenizer: Tokenizer
    specials: Mapping[str, int]
    template: str
    fills: Asking | None = None
    spells_words: bool = False
    overhead: int = 160
    cannot_edit: str = ""

    def fill(self, around: Around) -> Asked:
        if self.fills is not None:
            return self.fills.fill(around)
        code = f"{_above(around)}{around.prefix}<CURSOR>{around.after}"
        return self._asked(
            "Write the code that is missing at <CURSOR> and nothing that stands around it. "
            f"Reply with one code block that holds only the missing code.\n\n{_block(code)}"
        )

    def fix(self, around: Around, old: str, message: str) -> Asked:
        report = f" The reported problem: {message}" if message else ""
        return self._asked(
            f"Find and correct the mistakes in the code between <CODE> and </CODE>; change nothing else.{report} "
            f"Reply with one code block that holds the corrected code.\n\n{_marked(around, old)}"
        )

    def refactor(self, around: Around, old: str, instruction: str) -> Asked:
        return self._asked(
            f"Rewrite the code between <CODE> and </CODE> as follows: {instruction}. "
            "Keep everything else as it is. "
            f"Reply with one code block that holds the rewritten code.\n\n{_marked(around, old)}"
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
        return rendered(self.template, self.specials, content)

    def _encoded(self, text: str) -> list[int]:
        names = sorted(self.specials, key=len, reverse=True)
        ids: list[int] = []
        for part in re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]:
            ids += [self.specials[part]] if part in self.specials else self.tokenizer.encode(part)
        return ids


def rendered(template: str, specials: Mapping[str, int], content: str) -> str:
    """One user message in a chat template, up to where the reply begins; raises FamilyError where it cannot be."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: ""
    begins = [name for name in ("<|startoftext|>", "<s>", "<bos>", "<|begin_of_text|>") if name in specials]
    messages = [{"role": "user", "content": content}]
    try:
        return environment.from_string(template).render(
            messages=messages,
            add_generation_prompt=True,
            enable_thinking=False,
            bos_token=begins[0] if begins else "",
            eos_token="",
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise FamilyError(f"the checkpoint's chat template cannot be used: {error}") from error


def asking_for(
    tokenizer: Tokenizer,
    specials: Mapping[str, int],
    template: str | None,
    sees_whole: bool,
    begin: Sequence[int] = (),
    end: Sequence[int] = (),
) -> Asking:
    """The best way to ask a checkpoint: code in its place or in the middle where that can be, words for the rest."""
    fills: Asking | None = None
    if sees_whole:
        fills = InPlace(tokenizer, tuple(begin), tuple(end))
    for prefix, suffix, middle, suffix_first in _MIDDLE_TOKENS:
        if fills is None and {prefix, suffix, middle} <= specials.keys():
            ids = specials[prefix], specials[suffix], specials[middle]
            fills = InTheMiddle(tokenizer, *ids, suffix_first)
    if template is not None:
        return Chat(tokenizer, specials, template, fills)
    return fills or Continued(tokenizer, tuple(begin))


def _above(around: Around) -> str:
    return "".join(f"{section.rstrip()}\n\n" for section in around.sections)


def _marked(around: Around, old: str) -> str:
    return _block(f"{_above(around)}{around.prefix}<CODE>\n{old}</CODE>\n{around.after}")


def _block(code: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}\n{code}\n{fence}"

"""Which of the refactorings that a checkpoint knows is asked for, in other words. Knows no network: plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from model.checkpoint import Instruction

_WORD = re.compile(r"\w+|[=!]=")
_PLACEHOLDER = re.compile(r"\{\w+\}")
_MORE_WORDS = 2
_BETWEEN = re.compile(r"[;,.](?=\s|$)|\b(?:and|then)\b|\n", re.IGNORECASE)
_NEGATED = re.compile(r"\b(?:do not|don'?t|never|avoid|stop|undo|revert)\b", re.IGNORECASE)
_SIDES = (
    re.compile(r"(?P<new>.*)\b(?:instead of|over|rather than)\b(?P<old>.*)", re.IGNORECASE | re.DOTALL),
    re.compile(r"(?P<old>.*?)\b(?:with|by|to|as)\b(?P<new>.*)", re.IGNORECASE | re.DOTALL),
)


def asked_for(known: Sequence[Instruction], asked: str) -> Instruction | None:
    """The one of `known` that is most alike; None where none is."""
    alike = [
        (overlap(asked, phrase), -number)
        for number, each in enumerate(known)
        for phrase in each.phrasings
        if is_alike(asked, phrase)
    ]
    return known[-max(alike)[1]] if alike else None


def also_asked_for(known: Sequence[Instruction], chosen: Instruction, asked: str) -> Instruction | None:
    """Another one of `known` that a part of what is asked is about: to do the chosen one alone would be half of it."""
    found = (asked_for(known, part) for part in _BETWEEN.split(asked))
    return next((each for each in found if each not in (None, chosen)), None)


def is_alike(asked: str, phrase: str) -> bool:
    """Whether two instructions share at least half of their words. Where `phrase` has `{placeholders}`, all of
    its own words have to be there, and about as many more as it has placeholders."""
    if _NEGATED.search(asked) or _is_reversed(asked, phrase):
        return False
    left, right = _words(asked), _words(phrase)
    if names := len(_PLACEHOLDER.findall(phrase)):
        return right <= left and names <= len(left - right) <= names + _MORE_WORDS
    return overlap(asked, phrase) >= 0.5


def overlap(asked: str, phrase: str) -> float:
    """The share of common words among all words of two instructions."""
    left, right = _words(asked), _words(phrase)
    return len(left & right) / len(left | right) if left | right else 0.0


def _words(instruction: str) -> set[str]:
    return set(_WORD.findall(_PLACEHOLDER.sub("", instruction).lower()))


def _is_reversed(asked: str, phrase: str) -> bool:
    """Whether what `phrase` wants written is what `asked` wants gone, and the other way round."""
    one, other = _sides(asked), _sides(phrase)
    if one is None or other is None:
        return False
    (old, new), (wanted_old, wanted_new) = one, other
    return len(old & wanted_new) + len(new & wanted_old) > len(old & wanted_old) + len(new & wanted_new)


def _sides(instruction: str) -> tuple[set[str], set[str]] | None:
    """The words for what shall go and for what shall come, where an instruction names both."""
    found = next((match for pattern in _SIDES if (match := pattern.fullmatch(instruction))), None)
    return None if found is None else (_words(found["old"]), _words(found["new"]))

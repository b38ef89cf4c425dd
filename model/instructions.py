"""Whether an instruction asks for a refactoring that is known, in other words. Knows no network: plain words."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+|[=!]=")
_PLACEHOLDER = re.compile(r"\{\w+\}")
_MORE_WORDS = 2
_NEGATED = re.compile(r"\b(?:do not|don'?t|never|avoid|stop|undo|revert)\b", re.IGNORECASE)
_SIDES = (
    re.compile(r"(?P<new>.*)\b(?:instead of|over|rather than)\b(?P<old>.*)", re.IGNORECASE | re.DOTALL),
    re.compile(r"(?P<old>.*?)\b(?:with|by|to|as)\b(?P<new>.*)", re.IGNORECASE | re.DOTALL),
)


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

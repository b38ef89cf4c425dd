"""Real slips of programmers, made with the syntax tree: each a small edit that breaks a function.

A maker gets a scene and proposes places; one is drawn. Kinds are drawn with the frequencies of a table, not
uniformly over whatever happens to apply. Knows no tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.editing.edit import Edit, apply
from model.editing.syntax import parse
from model.train.slips import languages, meaning, names, signs
from model.train.slips.python import syntax_error
from model.train.slips.scene import Scene

__all__ = [
    "OTHER_SLIPS",
    "SEMANTIC_SLIPS",
    "SLIPS",
    "SYNTAX_SLIPS",
    "Scene",
    "Slip",
    "is_as_said",
    "slip",
    "slips_of",
    "syntax_error",
]

_TRIES = 3


@dataclass(frozen=True)
class Slip:
    """`make` proposes an edit. A slip of `syntax` breaks the parse, one of `layout` breaks it or the columns'
    steps of four, one of `meaning` does neither. `frequency` is relative to the other slips."""

    make: Callable[[Scene, np.random.Generator], Edit | None]
    breaks: Literal["syntax", "layout", "meaning"]
    frequency: float


SLIPS: dict[str, Slip] = {
    "dropped_colon": Slip(signs.dropped_colon, "syntax", 8),
    "dropped_bracket": Slip(signs.dropped_bracket, "syntax", 10),
    "wrong_bracket": Slip(signs.wrong_bracket, "syntax", 3),
    "doubled_bracket": Slip(signs.doubled_bracket, "syntax", 3),
    "missing_comma": Slip(signs.missing_comma, "syntax", 6),
    "unclosed_string": Slip(signs.unclosed_string, "syntax", 5),
    "assignment_for_equality": Slip(signs.assignment_for_equality, "syntax", 4),
    "misspelt_keyword": Slip(signs.misspelt_keyword, "syntax", 5),
    "wrong_indentation": Slip(signs.wrong_indentation, "layout", 9),
    "misused_variable": Slip(names.misused_variable, "meaning", 9),
    "swapped_arguments": Slip(names.swapped_arguments, "meaning", 5),
    "misspelt_name": Slip(names.misspelt_name, "meaning", 12),
    "wrong_operator": Slip(meaning.wrong_operator, "meaning", 6),
    "wrong_comparison": Slip(meaning.wrong_comparison, "meaning", 6),
    "off_by_one": Slip(meaning.off_by_one, "meaning", 5),
    "missing_return": Slip(meaning.missing_return, "meaning", 6),
    "missing_await": Slip(meaning.missing_await, "meaning", 4),
    "missing_self": Slip(meaning.missing_self, "meaning", 7),
    "missing_not": Slip(meaning.missing_not, "meaning", 4),
    "duplicated_line": Slip(meaning.duplicated_line, "meaning", 4),
    "deleted_line": Slip(meaning.deleted_line, "meaning", 2),
}
SYNTAX_SLIPS = tuple(name for name, each in SLIPS.items() if each.breaks != "meaning")
SEMANTIC_SLIPS = tuple(name for name, each in SLIPS.items() if each.breaks == "meaning")


OTHER_SLIPS: dict[str, Slip] = {
    "dropped_bracket": SLIPS["dropped_bracket"],
    "wrong_bracket": SLIPS["wrong_bracket"],
    "doubled_bracket": SLIPS["doubled_bracket"],
    "missing_comma": SLIPS["missing_comma"],
    "dropped_semicolon": Slip(languages.dropped_semicolon, "syntax", 8),
    "misused_variable": Slip(languages.misused_variable, "meaning", 9),
    "swapped_arguments": Slip(languages.swapped_arguments, "meaning", 5),
    "misspelt_name": Slip(languages.misspelt_name, "meaning", 12),
    "wrong_operator": Slip(languages.wrong_operator, "meaning", 8),
    "off_by_one": Slip(languages.off_by_one, "meaning", 5),
    "missing_return": Slip(languages.missing_return, "meaning", 5),
    "duplicated_line": Slip(languages.duplicated_line, "meaning", 4),
}
"""For every language of `languages.GRAMMARS`, as far as its grammar has such places."""


def slips_of(language: str) -> dict[str, Slip]:
    """The catalogue of a language; raises ValueError where there is none."""
    if language == "python":
        return SLIPS
    if language not in languages.GRAMMARS:
        raise ValueError(f"there is no catalogue of slips for {language}")
    return OTHER_SLIPS


def slip(
    scene: Scene, rng: np.random.Generator, kinds: Sequence[str] | None = None, syntax: float = 1.0
) -> tuple[str, Edit] | None:
    """One random slip of the given kinds (None: of all), as `(kind, edit)`; None where the region offers no place.
    `syntax` multiplies the frequencies of those that break the parse or the layout."""
    catalogue = slips_of(scene.language)
    kinds = list(catalogue) if kinds is None else kinds
    frequencies = [
        catalogue[k].frequency * (1.0 if catalogue[k].breaks == "meaning" else syntax) for k in kinds
    ]
    # Sorted by exponential keys: a draw without replacement in proportion to the frequencies.
    keys = rng.exponential(size=len(kinds)) / frequencies
    for i in np.argsort(keys):
        name = kinds[int(i)]
        for _ in range(_TRIES):
            edit = catalogue[name].make(scene, rng)
            if edit is None:
                break
            if is_as_said(catalogue[name], scene, edit):
                return name, edit
    return None


def is_as_said(kind: Slip, scene: Scene, edit: Edit) -> bool:
    """Whether an edit changes the region and breaks what its kind says; what parses with its columns in steps of
    four could have been meant, so nobody could tell that it is to be fixed."""
    bad = scene.rewritten([edit])
    if bad == scene.region:
        return False
    if scene.language == "python":
        broken = syntax_error(bad) is not None
    else:
        broken = parse(apply([edit], scene.text), scene.language).has_errors
    if kind.breaks == "layout":
        column = len(edit.new) - len(edit.new.lstrip(" "))
        return broken or column % 4 != 0
    return broken is (kind.breaks == "syntax")

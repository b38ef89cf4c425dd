"""What tools say of broken Python code: only what they would truly report, in the words of several of them.

Syntax errors are Python's own; names that nothing binds are worded as Ruff and Pyright do. A slip that no tool
reports has no message. Knows no tokens.
"""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass

import numpy as np

from model.editing.edit import Edit
from model.train.slips.python import syntax_error
from model.train.slips.scene import Scene

_NAME = re.compile(r"[^\W\d]\w*")
_UNDEFINED = ("Undefined name `{}`", '"{}" is not defined', "undefined name '{}'", "name '{}' is not defined")
_PYRIGHT = {
    "expected ':'": 'Expected ":"',
    "'(' was never closed": '"(" was not closed',
    "'[' was never closed": '"[" was not closed',
    "'{' was never closed": '"{" was not closed',
}


@dataclass(frozen=True)
class Diagnostic:
    """A message and its place, as an offset in the broken region."""

    message: str
    offset: int


def diagnostic(scene: Scene, edit: Edit, rng: np.random.Generator, whole: str = "") -> Diagnostic | None:
    """What a tool reports of the region after `edit`, a slip; None where none does. `whole` is the text of the
    whole file, where the scene holds a piece of it."""
    bad = scene.rewritten([edit])
    error = syntax_error(bad)
    if error is not None:
        return Diagnostic(_worded(error, rng), _offset(bad, error))
    at = edit.start - scene.span.start
    name = _NAME.match(bad, at)
    if (
        name is None
        or (at and re.match(r"[\w.]", bad[at - 1]))
        or not _is_unbound(name.group(), bad, scene, whole)
    ):
        return None
    if re.match(r"\s*(?:[-+*/|&%@^]|//|\*\*|<<|>>)?=(?!=)", bad[name.end() :]):
        return None  # a keyword of a call, or a target: tools disagree
    return Diagnostic(_UNDEFINED[int(rng.integers(len(_UNDEFINED)))].format(name.group()), at)


def _worded(error: SyntaxError, rng: np.random.Generator) -> str:
    said = error.msg or "invalid syntax"
    chance = rng.random()
    if chance < 0.4:
        return f"{type(error).__name__}: {said}"
    if chance < 0.7:
        return said
    if chance < 0.85:
        return _PYRIGHT.get(said, said[:1].upper() + said[1:])
    return "Syntax error"


def _offset(text: str, error: SyntaxError) -> int:
    line = (error.lineno or 1) - 1
    starts = [0, *(m.end() for m in re.finditer("\n", text))]
    return min(len(text), starts[min(line, len(starts) - 1)] + max(0, (error.offset or 1) - 1))


def _is_unbound(name: str, bad: str, scene: Scene, whole: str) -> bool:
    """Whether nothing in the file could bind `name`: elsewhere it only follows a dot, if it is there at all."""
    if name in dir(builtins) or name in ("__file__", "__name__", "__class__"):
        return False
    text = scene.text[: scene.span.start] + scene.text[scene.span.end :] + whole
    if "import *" in text or "import *" in bad:
        return False
    free = re.compile(rf"(?<![\w.]){re.escape(name)}\b")
    return not free.search(text) and len(free.findall(bad)) == 1

"""Renames with the name given: a parameter or variable of a function, everywhere in it and nowhere else."""

from __future__ import annotations

import builtins
import keyword
import re

import numpy as np

from model.train.refactorings.refactoring import Rewriting
from model.train.slips.names import identifiers
from model.train.slips.scene import Scene, draw, replace

_BOUND_ELSEWHERE = re.compile(r"(?m)^\s*([a-z_]\w+) = |[(,] *([a-z_]\w+)(?=[,)=:])|\bfor ([a-z_]\w*) in\b")
_LONGER = {
    "i": "index", "j": "position", "n": "count", "x": "value", "y": "other", "k": "key", "v": "value", "s": "text",
    "f": "file", "e": "error", "exc": "error", "msg": "message", "res": "result", "ret": "result", "val": "value",
    "obj": "instance", "idx": "index", "num": "number", "tmp": "temporary", "args": "arguments", "fn": "function",
    "func": "function", "cfg": "config", "ctx": "context", "req": "request", "resp": "response", "fp": "file",
    "data": "payload", "name": "label", "path": "location", "result": "answer", "value": "item", "item": "entry",
    "line": "row", "text": "source", "key": "name", "node": "element", "d": "mapping", "p": "path", "t": "text",
}  # fmt: skip
_ENDINGS = ("_value", "_name", "_list", "_data", "_count", "_id", "_text", "_item")
_UNTOUCHED = {"self", "cls", "_", "__", "args", "kwargs"}
_NESTED = {"function_definition", "class_definition", "lambda"}


def rename(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
    """Rename one variable or parameter. Attributes, keywords of calls, strings and comments stay."""
    found = list(identifiers(scene))
    declared = {name for _, name, what in found if what in ("declared", "import", "definition")}
    bound = {name for i, name, what in found if what == "binding" and _is_outermost(scene, i)}
    names = sorted(bound - declared - _UNTOUCHED)
    old = draw(names, rng)
    if old is None or any(
        what == "binding" and name == old and not _is_outermost(scene, i) for i, name, what in found
    ):
        return None
    new = _new_name(scene, old, rng)
    if new is None:
        return None
    edits = [
        replace(scene.nodes[i], new)
        for i, name, what in found
        if name == old and what in ("use", "binding", "type")
    ]
    return Rewriting(scene.region, scene.rewritten(edits), {"old": old, "new": new})


def _new_name(scene: Scene, old: str, rng: np.random.Generator) -> str | None:
    """A name that the file uses outside the region, the long form of a short one, or one with another ending;
    never a word that the region holds."""
    taken = set(re.findall(r"\w+", scene.region)) | set(keyword.kwlist) | set(dir(builtins))
    outside = scene.text[: scene.span.start][-4000:] + scene.text[scene.span.end :][:4000]
    elsewhere = [a or b or c for a, b, c in _BOUND_ELSEWHERE.findall(outside)]
    candidates: list[str] = []
    if rng.random() < 0.5:
        candidates = sorted({name for name in elsewhere if len(name) > 2})
    elif old in _LONGER:
        candidates = [_LONGER[old]]
    if not candidates or rng.random() < 0.2:
        stem = old.rstrip("0123456789_")
        candidates = [*(stem + end for end in _ENDINGS), f"new_{stem}", f"current_{stem}", f"old_{stem}"]
    return draw([name for name in candidates if name not in taken and name.isidentifier()], rng)


def _is_outermost(scene: Scene, index: int) -> bool:
    """Whether an identifier is bound by the region's own function rather than by one inside it."""
    depth = 0
    while (index := scene.parents[index]) >= 0:
        depth += scene.nodes[index].type in _NESTED
    return depth <= 1

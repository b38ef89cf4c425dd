"""What each identifier of a Python region is there for, and the slips of names: misused, misspelt, swapped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np

from model.editing.edit import Edit
from model.train.slips.scene import Scene, draw, replace

Role = Literal["use", "binding", "attribute", "keyword", "definition", "type", "import", "declared"]

_PARAMETERS = {
    "parameters", "lambda_parameters", "list_splat_pattern", "dictionary_splat_pattern", "pattern_list",
    "tuple_pattern", "list_pattern", "as_pattern_target",
}  # fmt: skip
_FIRST_IS_BOUND = {
    "default_parameter", "typed_parameter", "typed_default_parameter", "assignment", "named_expression",
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z_]\w{2,}")
_NOT_POSITIONAL = {"keyword_argument", "list_splat", "dictionary_splat"}
_SYMMETRIC = {"min", "max", "print", "zip", "set", "frozenset"}
_NEIGHBOURS = {
    **dict(zip("qwertyuiop", "wqwertyuio", strict=True)),
    **dict(zip("asdfghjkl", "sasdfghjk", strict=True)),
    **dict(zip("zxcvbnm", "xzxcvbn", strict=True)),
}  # fmt: skip
"""A key beside each letter on a QWERTY keyboard."""


def role(scene: Scene, index: int) -> Role:
    """What the identifier at `index` of the nodes does where it stands."""
    parent = scene.parents[index]
    if parent < 0:
        return "use"
    kind, siblings = scene.nodes[parent].type, scene.children[parent]
    first = siblings[0] == index
    if kind == "attribute":
        return "use" if first else "attribute"
    if kind == "keyword_argument":
        return "keyword" if first else "use"
    if kind in ("function_definition", "class_definition"):
        return "definition"
    if kind in ("dotted_name", "aliased_import"):
        return "import"
    if kind in ("global_statement", "nonlocal_statement"):
        return "declared"
    if kind in ("type", "generic_type"):
        return "type"
    if kind in _PARAMETERS or (kind in _FIRST_IS_BOUND and first):
        return "binding"
    if kind in ("for_statement", "for_in_clause"):
        words = [scene.nodes[i].type for i in siblings[: siblings.index(index)]]
        return "binding" if "for" in words and "in" not in words else "use"
    return "use"


def identifiers(scene: Scene) -> Iterator[tuple[int, str, Role]]:
    """Index, text and role of every identifier, in order."""
    for i, node in enumerate(scene.nodes):
        if node.type == "identifier":
            yield i, scene.of(node), role(scene, i)


def locals_of(scene: Scene) -> list[str]:
    """The names that the region binds, in order of first appearance."""
    return list(dict.fromkeys(name for _, name, what in identifiers(scene) if what == "binding"))


def misused_variable(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A name is used where another name of the same function belongs, most often one of its variables."""
    found = list(identifiers(scene))
    places = [i for i, name, what in found if what == "use" and name != "self" and not _is_called(scene, i)]
    at = draw(places, rng)
    if at is None:
        return None
    right = scene.of(scene.nodes[at])
    others = [name for name in locals_of(scene) if name not in (right, "self", "cls", "_")]
    if not others or rng.random() < 0.15:
        used = {name for i, name, what in found if what == "use" and not _is_called(scene, i)}
        others = sorted(used - {right, "self"})
    wrong = draw(others, rng)
    return None if wrong is None else replace(scene.nodes[at], wrong)


def swapped_arguments(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """Two neighbouring positional arguments of a call have changed places."""
    places: list[tuple[int, int]] = []
    for i, node in enumerate(scene.nodes):
        if node.type != "argument_list" or node.parent_type != "call" or scene.parents[i] < 0:
            continue
        if scene.of(scene.nodes[scene.children[scene.parents[i]][0]]) in _SYMMETRIC:
            continue
        values = [c for c in scene.children[i] if scene.nodes[c].named and scene.nodes[c].type != "comment"]
        plain = [c for c in values if scene.nodes[c].type not in _NOT_POSITIONAL]
        places += [
            (a, b) for a, b in pairwise(plain)
            if b in values and scene.of(scene.nodes[a]) != scene.of(scene.nodes[b])
        ]  # fmt: skip
    pair = draw(places, rng)
    return None if pair is None else scene.swapped(*pair)


def misspelt_name(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A letter of a name is dropped, doubled, swapped with its neighbour or hit beside its key."""
    places = [
        scene.nodes[i] for i, name, what in identifiers(scene)
        if what in ("use", "attribute", "type", "keyword") and _NAME.fullmatch(name)
    ]  # fmt: skip
    node = draw(places, rng)
    if node is None:
        return None
    wrong = misspelt(scene.of(node), rng)
    return None if wrong in scene.words else replace(node, wrong)


def misspelt(word: str, rng: np.random.Generator) -> str:
    """`word`, of at least three letters, with one slip of the fingers after its first letter; may be unchanged."""
    i = int(rng.integers(1, len(word) - 1))
    kind = int(rng.integers(4))
    if kind == 0:
        return word[:i] + word[i + 1 :]
    if kind == 1:
        return word[:i] + word[i] + word[i:]
    if kind == 2:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    return word[:i] + _NEIGHBOURS.get(word[i], word[i]) + word[i + 1 :]


def _is_called(scene: Scene, index: int) -> bool:
    parent = scene.parents[index]
    return parent >= 0 and scene.nodes[parent].type == "call" and scene.children[parent][0] == index

"""Docstrings and type hints removed, and the same pairs backwards; unreachable code and prints taken out again."""

from __future__ import annotations

import re

import numpy as np

from model.editing.edit import Edit
from model.train.refactorings.places import statement_places
from model.train.refactorings.refactoring import Maker, Rewriting
from model.train.slips.python import syntax_error
from model.train.slips.scene import Scene, draw

_BODIES = {"function_definition", "class_definition"}
_TYPED = {"typed_parameter", "typed_default_parameter", "assignment"}
_PLAIN_VALUE = re.compile(r"(?m)^ +(\w+) = .*$")


def remove_docstrings(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
    """Every docstring that is not all of its body goes, with the blank lines behind it."""
    edits: list[Edit] = []
    for i, node in enumerate(scene.nodes):
        if node.type != "block" or node.parent_type not in _BODIES or not scene.children[i]:
            continue
        statements = [scene.nodes[c] for c in scene.children[i] if scene.nodes[c].named]
        first = scene.children[i][0]
        inner = scene.children[first]
        if (
            len(statements) < 2
            or scene.nodes[first].type != "expression_statement"
            or len(inner) != 1
            or scene.nodes[inner[0]].type != "string"
        ):
            continue
        start = scene.text.rfind("\n", 0, statements[0].span.start) + 1
        end = scene.text.rfind("\n", 0, statements[1].span.start) + 1
        if start < end and not scene.text[start : statements[0].span.start].strip():
            edits.append(Edit(start, end, ""))
    return Rewriting(scene.region, scene.rewritten(edits)) if edits else None


def remove_hints(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
    """Annotations of parameters, of the result and of local variables that get a value go."""
    edits: list[Edit] = []
    for i, node in enumerate(scene.nodes):
        children = [scene.nodes[c] for c in scene.children[i]]
        kinds = [child.type for child in children]
        if node.type in _TYPED and ":" in kinds and "type" in kinds:
            if node.type == "assignment" and ("=" not in kinds or not _is_local(scene, i)):
                continue
            name, hint = children[kinds.index(":") - 1], children[kinds.index("type")]
            if node.type == "typed_default_parameter":
                value = children[kinds.index("=") + 1]
                edits.append(Edit(name.span.end, value.span.start, "="))
            else:
                edits.append(Edit(name.span.end, hint.span.end, ""))
        elif node.type == "function_definition" and "->" in kinds:
            hint = children[kinds.index("->") + 1]
            edits.append(Edit(children[kinds.index("->") - 1].span.end, hint.span.end, ""))
    return Rewriting(scene.region, scene.rewritten(edits)) if edits else None


def _is_local(scene: Scene, index: int) -> bool:
    while (index := scene.parents[index]) >= 0:
        if scene.nodes[index].type in _BODIES:
            return scene.nodes[index].type == "function_definition"
    return False


def backwards(make: Maker) -> Maker:
    """The pairs of `make` with before and after exchanged."""

    def made(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
        found = make(scene, rng)
        return None if found is None else Rewriting(found.after, found.before, found.words)

    return made


def remove_prints(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
    """Debugging prints, put into a function that prints nothing, go again."""
    places = statement_places(scene)
    if "print(" in scene.region or not places:
        return None
    names = _PLAIN_VALUE.findall(scene.region)
    edits: list[Edit] = []
    for _ in range(int(rng.integers(1, 4))):
        at, indent = places[int(rng.integers(len(places)))]
        if any(e.start == at for e in edits):
            continue
        name = draw(names, rng)
        shown = ['"here"', '"DEBUG"', f'"{len(edits) + 1}"']
        if name is not None:
            shown += [name, f'"{name}", {name}', f'f"{{{name}=}}"', f'"{name} =", {name}']
        edits.append(Edit(at, at, f"{indent}print({draw(shown, rng)})\n"))
    return Rewriting(scene.rewritten(sorted(edits, key=lambda e: e.start)), scene.region)


def remove_unreachable(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
    """Statements after a block's last `return`, `raise`, `continue` or `break` go; they are put there first."""
    ends = [
        n for n in scene.nodes
        if n.type in ("return_statement", "raise_statement", "continue_statement", "break_statement")
        and n.parent_type == "block"
    ]  # fmt: skip
    last = draw(ends, rng)
    copies = re.findall(r"(?m)^ +((?:self\.)?\w+(?: = |\()[^\n]*[\w)\]])$", scene.text[-6000:])
    line = draw([c for c in copies if c.count("(") == c.count(")") and c.count("[") == c.count("]")], rng)
    if last is None or line is None:
        return None
    start = scene.text.rfind("\n", 0, last.span.start) + 1
    indent = scene.text[start : last.span.start]
    at = last.span.end
    if indent.strip() or scene.text[at : at + 1] not in ("\n", "") or at > scene.span.end:
        return None
    before = scene.rewritten([Edit(at, at, f"\n{indent}{line}")])
    return Rewriting(before, scene.region) if syntax_error(before) is None else None  # a docstring's line

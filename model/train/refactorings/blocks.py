"""Refactorings that move blocks, made backwards: loops for comprehensions, opened files without `with`, nested
conditions."""

from __future__ import annotations

import re

import numpy as np

from model.editing.edit import Edit
from model.editing.syntax import SyntaxNode
from model.train.refactorings.places import own_line
from model.train.refactorings.refactoring import Rewriting
from model.train.slips.scene import Scene, draw

_LEAVES = re.compile(r"\b(return|yield|break|continue)\b")
_EMPTY = {"list_comprehension": "[]", "set_comprehension": "set()", "dictionary_comprehension": "{}"}
_OPENS = re.compile(r"(?:\w+\.)*open\(")


def unroll_comprehension(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
    """Before: a loop that appends to, adds to or fills the collection that a comprehension builds after."""
    places: list[Edit] = []
    for i, node in enumerate(scene.nodes):
        children = [scene.nodes[c] for c in scene.children[i]]
        if node.type != "assignment" or len(children) != 3 or children[0].type != "identifier":
            continue
        value = scene.children[i][2]
        line = own_line(scene, node)
        if scene.nodes[value].type in _EMPTY and line is not None and "\n" not in scene.of(node):
            loop = _loop(scene, value, scene.of(children[0]), line[2])
            if loop is not None:
                places.append(Edit(line[0], line[1], loop))
    chosen = draw(places, rng)
    return None if chosen is None else Rewriting(scene.rewritten([chosen]), scene.region)


def _loop(scene: Scene, index: int, name: str, indent: str) -> str | None:
    kind = scene.nodes[index].type
    parts = [scene.nodes[c] for c in scene.children[index] if scene.nodes[c].named]
    clauses = [p.type for p in parts[1:]]
    if clauses not in (["for_in_clause"], ["for_in_clause", "if_clause"]):
        return None
    element, head = scene.of(parts[0]), scene.of(parts[1])
    if re.search(rf"\b{name}\b", " ".join(map(scene.of, parts))) or not head.startswith("for "):
        return None
    if kind == "dictionary_comprehension":
        pair = [scene.nodes[c] for c in scene.children[scene.nodes.index(parts[0])] if scene.nodes[c].named]
        if len(pair) != 2:
            return None
        add = f"{name}[{scene.of(pair[0])}] = {scene.of(pair[1])}"
    else:
        add = f"{name}.{'append' if kind == 'list_comprehension' else 'add'}({element})"
    lines = [f"{indent}{name} = {_EMPTY[kind]}", f"{indent}{head}:"]
    if len(parts) == 3:
        lines.append(f"{indent}    {scene.of(parts[2])}:")
    lines.append(" " * 4 * (len(parts) - 1) + indent + add)
    return "\n".join(lines)


def close_by_hand(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
    """Before: a file that is opened, used and closed by hand; after: a `with` statement."""
    places: list[Edit] = []
    for i, node in enumerate(scene.nodes):
        line, body = own_line(scene, node), scene.child(i, "block")
        if node.type != "with_statement" or line is None or body is None:
            continue
        head = re.compile(r"with (.+) as (\w+):\n").match(scene.text, node.span.start)
        if (
            not head
            or not _OPENS.match(head[1])
            or head[1].count("(") != head[1].count(")")
            or " as " in head[1]
        ):
            continue
        code = scene.text[head.end() : line[1]]
        if '"""' in code or "'''" in code or head.end() > body.span.start:
            continue
        indent = line[2]
        opened = f"{indent}{head[2]} = {head[1]}\n"
        if rng.random() < 0.5 or _LEAVES.search(code):
            text = f"{opened}{indent}try:\n{code}\n{indent}finally:\n{indent}    {head[2]}.close()"
        else:
            text = f"{opened}{_moved(code, -4)}\n{indent}{head[2]}.close()"
        places.append(Edit(line[0], line[1], text))
    chosen = draw(places, rng)
    return None if chosen is None else Rewriting(scene.rewritten([chosen]), scene.region)


def nest_else_if(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
    """Before: an `if` alone in an `else`; after: `elif`."""
    places: list[Edit] = []
    for i, node in enumerate(scene.nodes):
        if node.type != "elif_clause" or not _is_last(scene, i) or not _is_movable(scene, node):
            continue
        indent = _indent(scene, node)
        inner = _moved(indent + scene.of(node)[2:], 4)
        places.append(Edit(node.span.start, node.span.end, f"else:\n{inner}"))
    chosen = draw(places, rng)
    return None if chosen is None else Rewriting(scene.rewritten([chosen]), scene.region)


def nest_conditions(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
    """Before: an `if` alone in an `if`; after: one with `and`."""
    places: list[Edit] = []
    for i, node in enumerate(scene.nodes):
        children = [scene.nodes[c] for c in scene.children[i]]
        kinds = [c.type for c in children]
        if node.type != "if_statement" or kinds != ["if", "boolean_operator", ":", "block"]:
            continue
        parts = [scene.nodes[c] for c in scene.children[scene.children[i][1]]]
        line = own_line(scene, node)
        if len(parts) != 3 or parts[1].type != "and" or line is None or not _is_movable(scene, node):
            continue
        if any(p.type == "boolean_operator" and " or " in scene.of(p) for p in (parts[0], parts[2])):
            continue
        head = f"if {scene.of(parts[0])}:\n{line[2]}    if {scene.of(parts[2])}:"
        body = scene.text[children[2].span.end : node.span.end]
        if body.startswith("\n") and "\n" not in scene.of(children[1]):
            places.append(Edit(node.span.start, node.span.end, head + _moved(body, 4)))
    chosen = draw(places, rng)
    return None if chosen is None else Rewriting(scene.rewritten([chosen]), scene.region)


def _is_last(scene: Scene, index: int) -> bool:
    parent = scene.parents[index]
    return parent >= 0 and scene.children[parent][-1] == index


def _is_movable(scene: Scene, node: SyntaxNode) -> bool:
    """Whether indenting a node's lines changes nothing else: no string reaches over lines."""
    text = scene.of(node)
    return '"""' not in text and "'''" not in text and "\\\n" not in text


def _indent(scene: Scene, node: SyntaxNode) -> str:
    return scene.text[scene.text.rfind("\n", 0, node.span.start) + 1 : node.span.start]


def _moved(text: str, columns: int) -> str:
    lines = text.split("\n")
    if columns > 0:
        return "\n".join(" " * columns + line if line.strip() else line for line in lines)
    return "\n".join(line[-columns:] if line[:-columns].isspace() else line for line in lines)

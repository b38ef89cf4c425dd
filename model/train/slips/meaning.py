"""Slips of Python code that still parses: operators, off by one, and words or lines that are missing or doubled."""

from __future__ import annotations

import re

import numpy as np

from model.editing.edit import Edit
from model.train.slips.scene import Scene, draw, replace

_OPERATORS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "+": "-", "-": "+", "*": "+", "/": "//", "//": "/", "%": "/",
    "and": "or", "or": "and", "+=": "-=", "-=": "+=", "*=": "+=", "|": "&", "&": "|",
}  # fmt: skip
_COMPARISONS = {
    "==": "!=", "!=": "==", "<": ">", ">": "<", "<=": ">=", ">=": "<=", "is": "is not", "is not": "is",
    "in": "not in", "not in": "in",
}  # fmt: skip
_OPERATOR_PARENTS = {"comparison_operator", "boolean_operator", "binary_operator", "augmented_assignment"}
_SIMPLE = {
    "expression_statement", "return_statement", "raise_statement", "assert_statement", "delete_statement",
    "import_statement", "import_from_statement",
}  # fmt: skip
_CONDITIONS = {"if_statement", "elif_clause", "while_statement"}
_COUNTS = re.compile(r"\w+ [+-]= 1|continue|break")


def wrong_operator(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """An arithmetic or boolean operator, or how strict a comparison is, is wrong."""
    places = [n for n in scene.nodes if n.type in _OPERATORS and n.parent_type in _OPERATOR_PARENTS]
    node = draw(places, rng)
    return None if node is None else replace(node, _OPERATORS[node.type])


def wrong_comparison(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A comparison says the opposite or looks in the other direction."""
    places = [n for n in scene.nodes if n.type in _COMPARISONS and n.parent_type == "comparison_operator"]
    node = draw(places, rng)
    return None if node is None else replace(node, _COMPARISONS[node.type])


def off_by_one(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A number, a range's end or a length is one too large or too small."""
    places: list[Edit] = []
    for i, node in enumerate(scene.nodes):
        text = scene.of(node)
        if (
            node.type == "integer"
            and text.isdecimal()
            and len(text) < 4
            and node.parent_type != "keyword_argument"
        ):
            wrong = (1,) if text == "0" else (int(text) - 1, int(text) + 1)
            places += [replace(node, str(number)) for number in wrong]
        elif node.type == "binary_operator" and re.search(r"\w [+-] 1$", text):
            places += [replace(node, text[:-4])] * 2
        elif (
            node.type == "call"
            and text.startswith(("range(", "len("))
            and node.parent_type != "binary_operator"
        ):
            arguments = scene.child(i, "argument_list")
            if text.startswith("len("):
                places.append(replace(node, f"{text} - 1"))
            elif arguments is not None and re.search(r"[\w)\]]\)$", text) and "," not in text:
                places.append(
                    Edit(node.span.end - 1, node.span.end - 1, " + 1" if rng.random() < 0.5 else " - 1")
                )
    return draw(places, rng)


def missing_return(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A value is computed where it should be returned."""
    return _without_word(scene, "return", "return_statement", rng)


def missing_await(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A coroutine is called but not awaited."""
    return _without_word(scene, "await", "await", rng)


def missing_self(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """An attribute lacks its `self.`, or a method its parameter `self`."""
    places: list[Edit] = []
    for i, node in enumerate(scene.nodes):
        text = scene.of(node)
        if node.type == "attribute" and text.startswith("self."):
            places.append(Edit(node.span.start, node.span.start + len("self."), ""))
        elif node.type == "parameters" and text.startswith("(self") and rng.random() < 0.5:
            names = scene.children[i]
            if scene.of(scene.nodes[names[1]]) == "self" and re.search(r"\bself\.", scene.region):
                end = re.compile(r"self(, *)?").match(scene.text, node.span.start + 1)
                assert end is not None
                places.append(Edit(node.span.start + 1, end.end(), ""))
    return draw(places, rng)


def missing_not(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A condition is negated that should not be, or the other way round."""
    places = [
        Edit(n.span.start, n.span.start + len("not "), "")
        for n in scene.nodes
        if n.type == "not_operator" and scene.of(n).startswith("not ")
    ]
    if not places or rng.random() < 0.3:
        conditions = [
            scene.nodes[scene.children[i][1]]
            for i, n in enumerate(scene.nodes)
            if n.type in _CONDITIONS and len(scene.children[i]) > 1
        ]
        plain = ("identifier", "attribute", "call", "subscript")
        places += [Edit(n.span.start, n.span.start, "not ") for n in conditions if n.type in plain]
    return draw(places, rng)


def duplicated_line(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A statement of one line stands there twice."""
    place = draw(_lines(scene), rng)
    if place is None:
        return None
    start, end = place
    return Edit(end, end, "\n" + scene.text[start:end])


def deleted_line(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A line is missing that the rest asks for: the last `return`, a counter's step, `continue` or `break`."""
    last = scene.region.rstrip()
    places: list[tuple[int, int]] = []
    for start, end in _lines(scene, ("continue_statement", "break_statement")):
        code = scene.text[start:end].strip()
        if _COUNTS.fullmatch(code) or (re.fullmatch(r"return \w+", code) and last.endswith(code)):
            places.append((start, end))
    place = draw(places, rng)
    return None if place is None or place[0] <= scene.span.start else Edit(place[0] - 1, place[1], "")


def _lines(scene: Scene, more: tuple[str, ...] = ()) -> list[tuple[int, int]]:
    """The whole lines, without their ends, of statements that fill one line each; docstrings are none."""
    found: list[tuple[int, int]] = []
    for i, node in enumerate(scene.nodes):
        if node.parent_type != "block" or (node.type not in _SIMPLE and node.type not in more):
            continue
        if scene.children[i] and scene.nodes[scene.children[i][0]].type == "string":
            continue
        start = scene.text.rfind("\n", 0, node.span.start) + 1
        end = scene.text.find("\n", node.span.start)
        end = len(scene.text) if end < 0 else end
        if (
            node.span.end <= end
            and not scene.text[start : node.span.start].strip()
            and start > scene.span.start
        ):
            found.append((start, min(end, scene.span.end)))
    return found


def _without_word(scene: Scene, word: str, parent: str, rng: np.random.Generator) -> Edit | None:
    places = [
        n for n in scene.nodes
        if n.type == word and n.parent_type == parent and scene.text[n.span.end : n.span.end + 1] == " "
    ]  # fmt: skip
    node = draw(places, rng)
    return None if node is None else Edit(node.span.start, node.span.end + 1, "")

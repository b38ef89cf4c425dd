"""Slips in other languages than Python: one table of what their grammars call things, and makers that read it.

Slips of signs are those of `signs.py`: brackets and commas have the same names in every grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from model.editing.edit import Edit
from model.train.slips.names import misspelt
from model.train.slips.scene import Scene, delete, draw, replace

Make = Callable[[Scene, np.random.Generator], Edit | None]

_OPERATORS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "+": "-", "-": "+", "&&": "||", "||": "&&", "==": "!=", "!=": "==",
    "===": "!==", "!==": "===", "+=": "-=", "-=": "+=",
}  # fmt: skip
_OPERATOR_PARENTS = {
    "binary_expression", "augmented_assignment_expression", "compound_assignment_expr", "assignment_expression",
    "assignment_statement",
}  # fmt: skip
_FIRST_IS_BOUND = {
    "assignment_pattern", "rest_pattern", "variable_declarator", "required_parameter", "optional_parameter",
    "parameter_declaration", "var_spec", "let_declaration", "parameter", "for_expression", "formal_parameter",
    "pointer_declarator", "reference_declarator", "init_declarator", "for_in_statement", "enhanced_for_statement",
}  # fmt: skip
_ALL_ARE_BOUND = {"formal_parameters", "array_pattern", "object_pattern", "mut_pattern", "tuple_pattern"}
_DEFINED = ("_declaration", "_definition", "_declarator", "_item", "_specifier")


@dataclass(frozen=True)
class Grammar:
    """Node types of a language. `ends` says whether a statement needs its semicolon."""

    arguments: str
    integer: str
    returns: str
    ends: bool
    names: tuple[str, ...] = ("identifier", "field_identifier", "property_identifier")


GRAMMARS: dict[str, Grammar] = {
    "javascript": Grammar("arguments", "number", "return_statement", ends=False),
    "typescript": Grammar("arguments", "number", "return_statement", ends=False),
    "tsx": Grammar("arguments", "number", "return_statement", ends=False),
    "go": Grammar("argument_list", "int_literal", "return_statement", ends=False),
    "rust": Grammar("arguments", "integer_literal", "return_expression", ends=True),
    "java": Grammar("argument_list", "decimal_integer_literal", "return_statement", ends=True),
    "c": Grammar("argument_list", "number_literal", "return_statement", ends=True),
    "cpp": Grammar("argument_list", "number_literal", "return_statement", ends=True),
}


def dropped_semicolon(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """The semicolon at the end of a line is missing, in a language that needs it."""
    if not GRAMMARS[scene.language].ends:
        return None
    places = [
        n for n in scene.nodes if n.type == ";" and scene.text[n.span.end : n.span.end + 1] in ("\n", "")
    ]
    return delete(draw(places, rng))


def wrong_operator(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A comparison, arithmetic or boolean operator is swapped with its neighbour."""
    places = [n for n in scene.nodes if n.type in _OPERATORS and n.parent_type in _OPERATOR_PARENTS]
    node = draw(places, rng)
    return None if node is None else replace(node, _OPERATORS[node.type])


def swapped_arguments(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """Two neighbouring arguments of a call have changed places."""
    places: list[tuple[int, int]] = []
    for i, node in enumerate(scene.nodes):
        if node.type == GRAMMARS[scene.language].arguments:
            values = [
                c for c in scene.children[i] if scene.nodes[c].named and scene.nodes[c].type != "comment"
            ]
            places += [
                (a, b) for a, b in pairwise(values) if scene.of(scene.nodes[a]) != scene.of(scene.nodes[b])
            ]
    pair = draw(places, rng)
    return None if pair is None else scene.swapped(*pair)


def misused_variable(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A variable is used where another of the same function belongs."""
    names = [i for i, n in enumerate(scene.nodes) if n.type == "identifier"]
    bound = {scene.of(scene.nodes[i]) for i in names if _is_bound(scene, i)} - {"_"}
    at = draw([i for i in names if scene.of(scene.nodes[i]) in bound and not _is_bound(scene, i)], rng)
    if at is None:
        return None
    node = scene.nodes[at]
    wrong = draw(sorted(bound - {scene.of(node)}), rng)
    return None if wrong is None else replace(node, wrong)


def misspelt_name(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A letter of a name is dropped, doubled, swapped with its neighbour or hit beside its key."""
    places = [
        n for i, n in enumerate(scene.nodes)
        if n.type in GRAMMARS[scene.language].names and len(scene.of(n)) > 2 and scene.of(n).isidentifier()
        and not n.parent_type.endswith(_DEFINED) and not _is_bound(scene, i)
    ]  # fmt: skip
    node = draw(places, rng)
    if node is None:
        return None
    wrong = misspelt(scene.of(node), rng)
    return None if wrong in scene.words else replace(node, wrong)


def off_by_one(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A whole number is one too large or too small."""
    wanted = GRAMMARS[scene.language].integer
    places = [n for n in scene.nodes if n.type == wanted and scene.of(n).isdecimal() and len(scene.of(n)) < 4]
    node = draw(places, rng)
    if node is None:
        return None
    number = int(scene.of(node))
    return replace(node, str(number + (1 if number == 0 or rng.random() < 0.5 else -1)))


def missing_return(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A value is computed where it should be returned."""
    returns = GRAMMARS[scene.language].returns
    places = [
        n for n in scene.nodes
        if n.type == "return" and n.parent_type == returns and scene.text[n.span.end : n.span.end + 1] == " "
    ]  # fmt: skip
    node = draw(places, rng)
    return None if node is None else Edit(node.span.start, node.span.end + 1, "")


def duplicated_line(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A statement of one line stands there twice."""
    places: list[tuple[int, int]] = []
    for node in scene.nodes:
        if not node.named or not node.type.endswith(("_statement", "_declaration", "let_declaration")):
            continue
        start = scene.text.rfind("\n", 0, node.span.start) + 1
        end = scene.text.find("\n", node.span.start)
        end = len(scene.text) if end < 0 else end
        alone = not scene.text[start : node.span.start].strip() and not scene.text[node.span.end : end].strip(
            " ;"
        )
        if alone and "{" not in scene.of(node) and scene.span.start < start and end <= scene.span.end:
            places.append((start, end))
    place = draw(places, rng)
    return None if place is None else Edit(place[1], place[1], "\n" + scene.text[place[0] : place[1]])


def _is_bound(scene: Scene, index: int) -> bool:
    """Whether an identifier is declared where it stands: a parameter, a variable, a loop's."""
    parent = scene.parents[index]
    if parent < 0:
        return False
    kind = scene.nodes[parent].type
    named = [c for c in scene.children[parent] if scene.nodes[c].type == "identifier"]
    if kind == "expression_list":  # Go: what stands left of := or range
        above = scene.parents[parent]
        return (
            above >= 0
            and scene.nodes[above].type in ("short_var_declaration", "range_clause")
            and scene.children[above][0] == parent
        )
    return kind in _ALL_ARE_BOUND or (kind in _FIRST_IS_BOUND and named[0] == index)

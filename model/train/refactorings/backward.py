"""Old-style code made from good code, for refactorings of which a linter finds little in a well-kept corpus.

Each maker undoes what the linter's fix of the same name does; a region that holds the old style already gives
nothing, so that after the refactoring none is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from model.editing.edit import Edit
from model.train.refactorings.places import own_line, statement_places
from model.train.refactorings.refactoring import Maker, Rewriting
from model.train.slips.scene import Scene, draw, replace

_UNUSED = (
    "result",
    "tmp",
    "value",
    "count",
    "start",
    "data",
    "unused",
    "flag",
    "size",
    "name",
    "old",
    "debug",
)
_MODULES = ("os", "sys", "re", "json", "time", "math", "logging", "random", "copy", "warnings", "itertools")
_STATEMENTS = {
    "if_statement", "elif_clause", "while_statement", "boolean_operator", "return_statement", "assert_statement",
    "assignment", "conditional_expression", "parenthesized_expression",
}  # fmt: skip


def backward(edits: Callable[[Scene, np.random.Generator], list[Edit]], old_style: str) -> Maker:
    """A maker from a function that lists edits towards the old style, whose pattern is `old_style`."""
    pattern = re.compile(old_style)

    def make(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
        if pattern.search(scene.region):
            return None
        found = edits(scene, rng)
        return Rewriting(scene.rewritten(found), scene.region) if found else None

    return make


def _negated_outside(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    edits: list[Edit] = []
    for i, node in enumerate(scene.nodes):
        children = [scene.nodes[c] for c in scene.children[i]]
        if node.type != "comparison_operator" or len(children) != 3 or node.parent_type not in _STATEMENTS:
            continue
        left, sign, right = children
        if sign.type in ("not in", "is not"):
            positive = "in" if sign.type == "not in" else "is"
            edits.append(replace(node, f"not {scene.of(left)} {positive} {scene.of(right)}"))
    return edits


def _pass_at_the_end(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    blocks = [
        n for i, n in enumerate(scene.nodes)
        if n.type == "block" and scene.children[i] and own_line(scene, scene.nodes[scene.children[i][-1]])
    ]  # fmt: skip
    block = draw(blocks, rng)
    if block is None:
        return []
    start = scene.text.rfind("\n", 0, block.span.start) + 1
    return [Edit(block.span.end, block.span.end, "\n" + scene.text[start : block.span.start] + "pass")]


def _object_base(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    return [
        Edit(scene.nodes[name].span.end, scene.nodes[name].span.end, "(object)")
        for i, n in enumerate(scene.nodes)
        if n.type == "class_definition" and scene.child(i, "argument_list") is None
        for name in scene.children[i][1:2]
    ]


def _calls(
    name: str, added: Callable[[str], tuple[str, str]]
) -> Callable[[Scene, np.random.Generator], list[Edit]]:
    """What `added` of a single argument's text says to put before and behind it, in each call of `name`."""

    def edits(scene: Scene, rng: np.random.Generator) -> list[Edit]:
        found: list[Edit] = []
        for i, node in enumerate(scene.nodes):
            arguments = [scene.nodes[c] for c in scene.children[i] if scene.nodes[c].named]
            if node.type != "argument_list" or len(arguments) != 1 or node.parent_type != "call":
                continue
            call = scene.nodes[scene.parents[i]] if scene.parents[i] >= 0 else node
            if scene.of(call).startswith(f"{name}(") and arguments[0].type not in (
                "list_splat",
                "keyword_argument",
            ):
                before, behind = added(scene.region)
                argument = arguments[0]
                found.append(replace(argument, before + scene.of(argument) + behind))
        return found

    return edits


def _mode(region: str) -> tuple[str, str]:
    return ("", ", 'r'") if region.count("'") > region.count('"') else ("", ', "r"')


def _raised_calls(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    return [
        Edit(n.span.end, n.span.end, "()")
        for n in scene.nodes
        if n.type == "identifier"
        and n.parent_type == "raise_statement"
        and re.search(r"(Error|Exception|Exit|Iteration|Interrupt)$", scene.of(n))
    ]


def _unicode_prefixes(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    return [
        Edit(n.span.start, n.span.start, "u")
        for n in scene.nodes
        if n.type == "string_start" and scene.of(n) in ("'", '"')
    ]


def _set_calls(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    return [
        replace(n, f"set([{scene.of(n)[1:-1].strip()}])")
        for n in scene.nodes
        if n.type == "set" and n.parent_type != "set" and "*" not in scene.of(n) and "\n" not in scene.of(n)
    ]


def _yield_loops(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    found: list[Edit] = []
    for node in scene.nodes:
        text = scene.of(node)
        if (
            node.type == "yield"
            and text.startswith("yield from ")
            and "\n" not in text
            and (line := own_line(scene, node))
        ):
            name = draw([n for n in ("item", "each", "value", "x") if n not in text], rng) or "item"
            start, end, indent = line
            found.append(Edit(start, end, f"{indent}for {name} in {text[11:]}:\n{indent}    yield {name}"))
    return found


def _old_os_errors(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    old = ("IOError", "EnvironmentError")[int(rng.random() < 0.25)]
    return [replace(n, old) for n in scene.nodes if n.type == "identifier" and scene.of(n) == "OSError"]


def _called_conversions(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    found: list[Edit] = []
    for i, node in enumerate(scene.nodes):
        if node.type == "interpolation" and (flag := scene.child(i, "type_conversion")) is not None:
            value = scene.nodes[scene.children[i][1]]
            if (function := {"!r": "repr", "!s": "str"}.get(scene.of(flag))) and "=" not in scene.of(node):
                found.append(Edit(value.span.start, flag.span.end, f"{function}({scene.of(value)})"))
    return found


def _unused_assignment(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    place = draw(statement_places(scene), rng)
    name = draw([n for n in _UNUSED if not re.search(rf"\b{n}\b", scene.region)], rng)
    if place is None or name is None:
        return []
    bound = re.findall(r"(?m)^ +([a-z_]\w*) = ", scene.text[: place[0]][scene.span.start :])
    value = draw(["None", "0", "[]", "{}", '""', "True", *bound, *bound], rng)
    return [Edit(place[0], place[0], f"{place[1]}{name} = {value}\n")]


def _unused_import(scene: Scene, rng: np.random.Generator) -> list[Edit]:
    places = statement_places(scene)
    module = draw([m for m in _MODULES if not re.search(rf"\b{m}\b", scene.region)], rng)
    if not places or module is None:
        return []
    at, indent = places[0]
    return [Edit(at, at, f"{indent}import {module}\n")]


BACKWARD: dict[str, Maker] = {
    "membership_test": backward(_negated_outside, r"\bnot [\w.()\[\]]+ (in|is)\b"),
    "needless_pass": backward(_pass_at_the_end, r"\bpass\b|\.\.\."),
    "no_object_base": backward(_object_base, r"\(object\)"),
    "open_modes": backward(_calls("open", _mode), r"open\([^)]*, *(mode=)?[\"']"),
    "range_start": backward(_calls("range", lambda _: ("0, ", "")), r"range\(0,"),
    "raise_without_call": backward(_raised_calls, r"raise \w+\(\)"),
    "no_unicode_prefix": backward(_unicode_prefixes, r"\bu[\"']"),
    "set_literals": backward(_set_calls, r"set\([\[(]"),
    "yield_from": backward(_yield_loops, r"^\s+yield [^f]"),
    "os_error": backward(_old_os_errors, r"\b(IOError|EnvironmentError)\b"),
    "conversion_flags": backward(_called_conversions, r"\{(repr|str|ascii)\("),
    "unused_variables": backward(_unused_assignment, r"$^"),
    "unused_imports": backward(_unused_import, r"\bimport\b"),
}

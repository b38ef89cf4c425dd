"""What a definition is in each language: the node types, how they are named, and what belongs to one.

Works on tree-sitter's nodes but never on their bytes: spans come from a function that is passed in. Knows
nothing of broken code; see `guess.py` for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tree_sitter import Node, Query, QueryCursor

from model.editing.languages import grammar
from model.editing.source import Span

DefinitionKind = Literal["function", "method", "class", "namespace", "callback"]


@dataclass(frozen=True)
class Definition:
    """A function, method, class (or struct, enum, interface, trait, impl), namespace or callback: an unnamed
    function of several lines. `span` includes decorators, attributes, `export` and template headers."""

    span: Span
    name: str
    kind: DefinitionKind
    name_span: Span | None = None
    body_span: Span | None = None


_ECMA: dict[str, DefinitionKind] = {
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "function_expression": "callback",
    "generator_function": "callback",
    "arrow_function": "callback",
    "method_definition": "method",
    "class_declaration": "class",
    "class": "class",
}
_TYPESCRIPT: dict[str, DefinitionKind] = {
    **_ECMA,
    "abstract_class_declaration": "class",
    "interface_declaration": "class",
    "enum_declaration": "class",
    "internal_module": "namespace",
    "module": "namespace",
}
_C: dict[str, DefinitionKind] = {
    "function_definition": "function",
    "struct_specifier": "class",
    "union_specifier": "class",
    "enum_specifier": "class",
}
_KINDS: dict[str, dict[str, DefinitionKind]] = {
    "python": {"function_definition": "function", "class_definition": "class"},
    "javascript": _ECMA,
    "typescript": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "go": {"function_declaration": "function", "method_declaration": "method", "type_declaration": "class"},
    "rust": {
        "function_item": "function",
        "function_signature_item": "function",
        "struct_item": "class",
        "enum_item": "class",
        "union_item": "class",
        "trait_item": "class",
        "impl_item": "class",
        "macro_definition": "function",
        "mod_item": "namespace",
    },
    "java": {
        "method_declaration": "method",
        "constructor_declaration": "method",
        "compact_constructor_declaration": "method",
        "class_declaration": "class",
        "interface_declaration": "class",
        "enum_declaration": "class",
        "record_declaration": "class",
        "annotation_type_declaration": "class",
    },
    "c": _C,
    "cpp": {**_C, "class_specifier": "class", "namespace_definition": "namespace"},
}

# Nodes whose named children are statements or members.
BLOCKS = frozenset(
    {
        "module",
        "program",
        "source_file",
        "translation_unit",
        "block",
        "statement_block",
        "compound_statement",
        "class_body",
        "declaration_list",
        "field_declaration_list",
        "enum_body",
        "enum_body_declarations",
        "interface_body",
        "constructor_body",
        "switch_body",
        "switch_block",
        "match_block",
        "enum_variant_list",
        "enumerator_list",
        "statement_list",
        "annotation_type_body",
        "object_type",
    }
)

# A definition inside one of these extends over it: decorators, `export`, `template <...>`, `const f =`.
_WRAPPERS = {
    "decorated_definition",
    "export_statement",
    "template_declaration",
    "type_definition",
    "ambient_declaration",
    "lexical_declaration",
    "variable_declaration",
    "expression_statement",
    "linkage_specification",
}
# A function that is the value of one of these has its name; the field says where the name is.
_NAMED_BY = {
    "variable_declarator": "name",
    "pair": "key",
    "assignment_expression": "left",
    "field_definition": "property",
    "public_field_definition": "name",
}


_BESIDE = {"rust": "attribute_item", "javascript": "decorator", "typescript": "decorator", "tsx": "decorator"}
"""What belongs to the definition that it stands before."""


def find_definitions(root: Node, language: str, span_of: Callable[[Node], Span]) -> tuple[Definition, ...]:
    """All definitions under `root` in document order, an outer one before its inner ones."""
    kinds, beside = _KINDS[language], _BESIDE.get(language, "")
    nodes = QueryCursor(_query(language)).captures(root).get("definition", [])
    found: list[Definition] = []
    around: list[
        tuple[int, bool]
    ] = []  # the definitions that the next one may be in: where they end, whether classes
    for node in sorted(nodes, key=lambda n: (n.start_byte, -n.end_byte)):
        while around and around[-1][0] <= node.start_byte:
            around.pop()
        in_class = bool(around) and around[-1][1]
        definition = _definition(node, kinds[node.type], in_class, beside, span_of)
        if definition is not None:
            found.append(definition)
            around.append((node.end_byte, definition.kind == "class"))
    return tuple(sorted(found, key=lambda d: (d.span.start, -d.span.end)))


@cache
def _query(language: str) -> Query:
    """Finds all nodes that may be definitions, without making an object of every other node on the way."""
    return Query(grammar(language), " ".join(f"({kind}) @definition" for kind in _KINDS[language]))


def _definition(
    node: Node, kind: DefinitionKind, in_class: bool, beside: str, span_of: Callable[[Node], Span]
) -> Definition | None:
    body = node.child_by_field_name("body")
    if (
        node.type in ("struct_specifier", "union_specifier", "enum_specifier", "class_specifier")
        and body is None
    ):
        return None  # a mention of the type, not its definition
    outer, name = node, _name_of(node)
    if kind == "callback":
        parent = node.parent
        field = _NAMED_BY.get(parent.type) if parent is not None else None
        named = parent.child_by_field_name(field) if parent is not None and field else None
        if parent is not None and named is not None:
            kind, name, outer = "function", named, parent
        elif name is not None:
            kind = "function"
        elif node.start_point[0] == node.end_point[0]:
            return None
    if kind == "function" and in_class:
        kind = "method"
    first = outer = _outermost(outer)
    while beside and (before := first.prev_named_sibling) is not None and before.type == beside:
        first = before
    span = Span(span_of(first).start, span_of(outer).end)
    text = name.text if name is not None else None
    return Definition(
        span=span,
        name=text.decode("utf-8", "replace") if text else "",
        kind=kind,
        name_span=span_of(name) if name is not None else None,
        body_span=span_of(body) if body is not None else None,
    )


def _outermost(node: Node) -> Node:
    """`node` or the widest wrapper that holds nothing beside it."""
    while node.parent is not None and node.parent.type in _WRAPPERS:
        parent = node.parent
        if parent.type in ("lexical_declaration", "variable_declaration") and parent.named_child_count > 1:
            break
        node = parent
    return node


def _name_of(node: Node) -> Node | None:
    """The node that names a definition; C's declarators are unwrapped down to the identifier."""
    if node.type == "type_declaration":  # Go: the first of the specifications
        node = next((c for c in node.named_children if c.type in ("type_spec", "type_alias")), node)
    name = node.child_by_field_name("name") or node.child_by_field_name("declarator")
    if name is None and node.type == "impl_item":
        return node.child_by_field_name("type")
    while name is not None and name.type.endswith("declarator"):
        inner = name.child_by_field_name("declarator")
        if inner is None:  # C++ reference declarators have no field for what they wrap
            inner = next(
                (c for c in name.named_children if "declarator" in c.type or "identifier" in c.type), None
            )
        if inner is None:
            break
        name = inner
    return name


def pick_definition(text: str, definitions: Iterable[Definition], offset: int) -> Definition | None:
    """The smallest function, method or class at `offset`, else the smallest callback, else None.

    A cursor in a line's indentation or behind its last character means that line's code.
    """
    offset = on_code(text, offset)
    around = [d for d in definitions if d.kind != "namespace" and d.span.touches(offset)]
    if any(d.span.start == offset for d in around):  # where two touch, the one that goes on there
        around = [d for d in around if d.span.end != offset]
    return min(around, key=lambda d: (d.kind == "callback", len(d.span)), default=None)


def on_code(text: str, offset: int) -> int:
    """`offset`, moved out of the white space around its line's code; unchanged on a blank line."""
    offset = min(max(0, offset), len(text))
    start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    ends = [end for end in (text.find("\n", offset), text.find("\r", offset)) if end >= 0]
    line = text[start : min(ends, default=len(text))]
    if not line.strip():
        return offset
    first = start + len(line) - len(line.lstrip())
    return min(max(offset, first), start + len(line.rstrip()))

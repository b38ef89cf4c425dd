"""Lines of a region's statements: where they can be added or rewritten."""

from __future__ import annotations

from model.editing.syntax import SyntaxNode
from model.train.slips.scene import Scene


def own_line(scene: Scene, node: SyntaxNode) -> tuple[int, int, str] | None:
    """Start, end and indentation of the whole lines that a node has to itself within the region; None where it
    shares its first or last line."""
    start = scene.text.rfind("\n", 0, node.span.start) + 1
    end = scene.text.find("\n", node.span.end)
    end = len(scene.text) if end < 0 else end
    indent = scene.text[start : node.span.start]
    if indent.strip() or scene.text[node.span.end : end].strip() or start <= scene.span.start:
        return None
    return start, min(end, scene.span.end), indent


def statement_places(scene: Scene) -> list[tuple[int, str]]:
    """Line starts before statements of blocks, with their indentation; never before a docstring."""
    found: list[tuple[int, str]] = []
    for i, node in enumerate(scene.nodes):
        if node.parent_type != "block" or not node.type.endswith("_statement"):
            continue
        inner = scene.children[i]
        if inner and scene.nodes[inner[0]].type == "string":
            continue
        start = scene.text.rfind("\n", 0, node.span.start) + 1
        indent = scene.text[start : node.span.start]
        if start > scene.span.start and not indent.strip():
            found.append((start, indent))
    return found

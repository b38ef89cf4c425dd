"""Holes of several lines and of syntax nodes: what is cut out, and that it can be put back."""

from pathlib import Path

import pytest

from model.editing.syntax import parse
from model.eval import holes
from model.request import Complete
from model.train.corpus import SourceFile

TEXT = (Path(__file__).parents[3] / "model/canvas.py").read_text("utf-8")
FILES = [SourceFile("model", "canvas.py", TEXT)]


@pytest.mark.parametrize(("draw", "kind"), [(holes.several_lines, "lines"), (holes.syntax_nodes, "node")])
def test_a_hole_can_be_filled(draw, kind):
    drawn = draw(FILES, 8, seed=2)
    assert len(drawn) == 8
    assert draw(FILES, 2, seed=2) == drawn[:2]
    for case in drawn:
        task, text = case.request.task, case.request.document.text
        assert isinstance(task, Complete)
        hole = case.truth[task.cursor : task.cursor + len(case.truth) - len(text)]
        assert text[: task.cursor] + hole + text[task.cursor :] == case.truth
        assert case.kind == kind
        assert task.multiline
        assert len(hole.strip()) >= 5


def test_several_lines_are_whole_lines_of_one_block():
    for case in holes.several_lines(FILES, 8, seed=4):
        start = case.request.task.cursor
        line = case.truth[case.truth.rfind("\n", 0, start) + 1 : start]
        lines = case.truth[start : start + len(case.truth) - len(case.request.document.text)].split("\n")
        assert not line.strip()
        assert 2 <= len(lines) <= 8
        assert all(len(each) - len(each.lstrip()) >= len(line) for each in lines[1:] if each.strip())
        assert lines[-1].strip()


def test_a_node_is_one_of_the_tree():
    spans = {node.span for node in parse(TEXT, "python").nodes()}
    for case in holes.syntax_nodes(FILES, 8, seed=6):
        start = case.request.task.cursor
        length = len(case.truth) - len(case.request.document.text)
        assert any(s.start == start and len(s) == length for s in spans)

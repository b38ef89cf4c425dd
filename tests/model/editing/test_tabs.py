"""Indentation by tabs, as spaces and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from model.editing.tabs import is_tabbed, spaced, tabbed, tabbed_pieces

lines = st.lists(st.tuples(st.integers(0, 4), st.text("ab (\"'#", max_size=6).map(str.strip)), max_size=8)


@given(lines)
def test_code_indented_by_tabs_comes_back_as_it_was(code: list[tuple[int, str]]) -> None:
    text = "\n".join("\t" * depth + line for depth, line in code)
    assert is_tabbed(text) == any(depth for depth, _ in code)
    assert "\t" not in spaced(text)
    assert tabbed(spaced(text)) == text


@given(lines, st.data())
def test_pieces_at_tokens_are_the_whole(code: list[tuple[int, str]], data: st.DataObject) -> None:
    """Cut anywhere but inside four spaces that are one tab."""
    text = spaced("\n".join("\t" * depth + line for depth, line in code))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=5)))
    safe = [
        c for c in cuts if text[:c].rpartition("\n")[2].strip() or len(text[:c].rpartition("\n")[2]) % 4 == 0
    ]
    pieces = [text[a:b] for a, b in zip([0, *safe], [*safe, len(text)], strict=True)]
    assert "".join(tabbed_pieces(pieces)) == tabbed(text)
    assert tabbed_pieces(["x =", "    ", "1\n    ", "y"]) == ["x =", "    ", "1\n\t", "y"]


def test_what_is_indented_in_two_ways_is_no_tabbed_code() -> None:
    assert not is_tabbed("if x:\n\ta\n    b\n")
    assert not is_tabbed("if x:\n\t a\n")
    assert not is_tabbed("x = 1\n")
    assert tabbed("if x:\n      a\n") == "if x:\n\t  a\n"

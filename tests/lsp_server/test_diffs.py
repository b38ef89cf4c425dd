"""Unified diffs: they say what `difflib`'s say, and show no equal line as changed."""

import difflib

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.diffs import unified

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=30)


@given(LINES, LINES)
def test_it_is_difflibs(before, after):
    """Short texts, where difflib takes no shortcut."""
    wanted = list(difflib.unified_diff(before, after, "a/x", "b/x"))
    assert list(unified(before, after, "x")) == wanted


def test_long_repetitive_files():
    before = ["def f():\n", "    return [x]\n", "\n"] * 200
    after = [*before[:300], "new\n", *before[300:]]
    changed = [
        line for line in unified(before, after, "x") if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert changed == ["+new\n"]

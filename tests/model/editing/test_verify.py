"""Verdicts on edits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.editing import verify
from model.editing.edit import Edit, apply, minimal_edits
from model.editing.source import Span
from model.editing.syntax import parse
from model.editing.verify import Verdict, indentation_of, judge

CODE = "def f(a):\n    return a + 1\n\ndef g(b):\n    return b\n"
TREE = parse(CODE, "python")
F, G = Span(0, 26), Span(28, len(CODE) - 1)


def change(new: str, regions: tuple[Span, ...] = (F,), old: str = CODE) -> Verdict:
    return judge(old, parse(old, "python"), minimal_edits(old, new), regions)


def test_a_good_edit_passes() -> None:
    assert change(CODE.replace("+ 1", "+ 2")) == Verdict(True)


def test_a_new_syntax_error_fails_and_is_placed_in_the_new_text() -> None:
    new = CODE.replace("(b):", "(b:").replace("a + 1", "a + 11")
    verdict = judge(CODE, TREE, minimal_edits(CODE, new), (F, G))
    assert not verdict.ok
    assert "syntax error" in verdict.reason
    assert verdict.new_problems
    assert all(Span(29, len(new)).overlaps(span) or span.start >= 29 for span in verdict.new_problems)


def test_old_errors_elsewhere_do_not_count_as_new() -> None:
    broken = CODE + "x = (\n"
    new = broken.replace("return a", "return (a")
    verdict = change(new, old=broken)
    assert not verdict.ok
    assert all(span.start < broken.index("x = (") for span in verdict.new_problems)
    assert change(broken.replace("+ 1", "+ 2"), old=broken).ok


def test_repairing_passes() -> None:
    broken = CODE.replace("f(a):", "f(a)")
    assert change(CODE, old=broken).ok


def test_edits_outside_the_regions_fail() -> None:
    verdict = change(CODE.replace("return b", "return c"))
    assert not verdict.ok
    assert "outside the regions" in verdict.reason
    assert not judge(CODE, TREE, [Edit(3, 30, "")], (F, G)).ok


@pytest.mark.parametrize("edits", [(), (Edit(0, 3, "def"),)])
def test_edits_that_change_nothing_fail(edits: tuple[Edit, ...]) -> None:
    assert judge(CODE, TREE, edits, (F,)).reason == "nothing changes"


def test_overlapping_edits_fail() -> None:
    assert not judge(CODE, TREE, [Edit(0, 5, "x"), Edit(3, 6, "y")], (F,)).ok


@pytest.mark.parametrize(("bad", "name"), [("\ufffd", "U+FFFD"), ("\0", "NUL")])
def test_foreign_characters_fail_unless_they_were_there(bad: str, name: str) -> None:
    verdict = change(CODE.replace("a + 1", f"a + '{bad}'"))
    assert (verdict.ok, verdict.reason) == (False, f"{name} comes in")
    old = f"s = '{bad}'\n{CODE}"
    assert "comes in" not in change(old.replace("+ 1", "+ 2"), (Span(0, 40),), old=old).reason


def test_indentation_must_be_that_of_the_file() -> None:
    verdict = change(CODE.replace("    return a", "\treturn a"))
    assert verdict.reason == "a line begins with a tab where the file does not"
    tabs = CODE.replace("    ", "\t")
    verdict = change(tabs.replace("\treturn a", "    return a"), old=tabs)
    assert verdict.reason == "a line begins with a space where the file does not"
    mixed = CODE + "if x:\n\ty()\n"
    assert change(mixed.replace("    return a", "\treturn a"), old=mixed).ok


def test_the_indentation_of_a_file_is_told_from_its_code() -> None:
    assert indentation_of("a\n\tb\n \n") == "\t"
    assert indentation_of("/*\n * x\n */\nf {\n\tb\n}") == "\t"
    assert indentation_of("a\n  b\n\tc\n") is None
    assert indentation_of("a\n") is None


def test_without_a_grammar_syntax_is_skipped_and_the_verdict_says_so() -> None:
    verdict = judge("begin\n", None, [Edit(0, 5, "end")], [Span(0, 5)])
    assert verdict == Verdict(True, "syntax not checked: no grammar")
    assert not judge("begin\n", None, [Edit(0, 6, "end")], [Span(0, 5)]).ok


@settings(deadline=None)
@given(st.text("ab(){}:= \n\té", max_size=30), st.integers(0, 26), st.integers(0, 26))
def test_an_accepted_edit_never_has_more_errors_and_leaves_the_rest(new: str, a: int, b: int) -> None:
    edit = Edit(min(a, b), max(a, b), new)
    if judge(CODE, TREE, [edit], [F]).ok:
        text = apply([edit], CODE)
        assert parse(text, "python").problem_count() <= TREE.problem_count()
        assert text.endswith(CODE[F.end :])


@pytest.mark.parametrize(
    ("language", "file", "edits"),
    [
        ("java", "Account.java", [Edit(656, 659, "="), Edit(734, 734, "'''")]),
        (
            "c",
            "list.c",
            [Edit(199, 199, ")"), Edit(652, 653, ":"), Edit(452, 453, "/*"), Edit(438, 439, "\n")],
        ),
    ],
)
def test_a_verdict_counts_errors_as_a_fresh_parse_does(language: str, file: str, edits: list[Edit]) -> None:
    """Error recovery reuses what was parsed before, and then cuts the same text into other errors."""
    tree = parse((Path(__file__).parent / "samples" / file).read_text(encoding="utf-8"), language)
    for edit in edits[:-1]:
        tree = tree.edited([edit])
    new = tree.edited(edits[-1:])
    fresh = parse(new.text, language).problem_count()
    assert new.problem_count() != fresh  # or this case shows nothing
    more = fresh - parse(tree.text, language).problem_count()
    verdict = judge(tree.text, tree, edits[-1:], [Span(0, len(tree.text))])
    assert verdict.ok == (more <= 0)
    assert more <= 0 or verdict.reason.startswith(f"{more} more syntax")


def test_python_must_still_parse_where_it_did():
    """The grammar accepts a body at column 0; Python does not."""
    text = "class A:\n    def f(self, x):\n        self.x = x\n"
    start = text.index("        self.x")
    edits = [Edit(start, start + 8, "")]
    tree = parse(text, "python")
    assert tree.edited(edits).problem_count() == 0
    verdict = judge(text, tree, edits, [Span(0, len(text))])
    assert not verdict.ok
    assert "Python" in verdict.reason


def test_broken_python_may_stay_broken():
    text = "def f(:\n    return 1\n\nx = 1\n"
    at = text.index("x = 1")
    edits = [Edit(at, at + 5, "y = 1")]
    assert judge(text, parse(text, "python"), edits, [Span(0, len(text))]).ok


LONG = "\n\n".join(
    path.read_text("utf-8").replace("from __future__ import annotations\n", "")
    for path in sorted(Path(verify.__file__).parent.glob("*.py"))
)
LONG_TREE = parse(LONG, "python")
PIECES = [
    "(",
    ")",
    ":",
    "\n",
    "    ",
    "\n    ",
    "x",
    "return",
    "else:",
    "def f():",
    "[",
    '"',
    "#",
    "'''",
    "\\",
    "*",
]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, len(LONG)),
    st.integers(0, 30),
    st.lists(st.sampled_from(PIECES), max_size=3),
    st.booleans(),
)
def test_a_long_file_is_judged_as_if_python_read_all_of_it(
    start: int, length: int, pieces: list[str], whole_line: bool
) -> None:
    end = min(len(LONG), start + length)
    if whole_line:
        start, end = LONG.rfind("\n", 0, start) + 1, LONG.find("\n", end) + 1 or len(LONG)
    edits = [Edit(start, end, "".join(pieces))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "_READ_WHOLE", 0)
        around = judge(LONG, LONG_TREE, edits, [Span(0, len(LONG))])
        patch.setattr(verify, "_READ_WHOLE", len(LONG) * 2)
        assert judge(LONG, LONG_TREE, edits, [Span(0, len(LONG))]) == around


def test_many_edits_of_one_long_class_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each edit's surroundings are the whole class: reading it for each would take a hundred times as long."""
    text = "class A:\n" + "".join(
        f"    def f{n}(self, x):\n        return x == None\n\n" for n in range(1000)
    )
    edits = [Edit(at.start(), at.end(), "is") for at in re.finditer("==", text)][::10]
    read: list[int] = []
    parse_python = verify.is_python
    monkeypatch.setattr(verify, "is_python", lambda code: read.append(len(code)) or parse_python(code))
    assert judge(text, parse(text, "python"), edits, [Span(0, len(text))]).ok
    assert len(edits) == 100
    assert sum(read) <= len(text)

"""Trimming completions, and when to offer them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from model.editing.syntax import parse
from model.editing.tabs import spaced
from model.editing.trim import (
    Around,
    cut_dedent,
    cut_overlap,
    cut_repetition,
    is_complete,
    opens_block,
    repeats_following,
    should_complete,
    trim,
    without_last_line,
)


@pytest.mark.parametrize(
    ("suggestion", "rest", "after", "expected"),
    [
        ("a, b)", ")", "", "a, b"),
        ("f(x)", ")", "", "f(x)"),
        ("f(x))", ")", "", "f(x)"),
        ('abc"', '"', "", "abc"),
        ('"abc"', '"', "", '"abc"'),
        ("a, b):", "):", "", "a, b"),
        ("x + total", " total", "", "x +"),
        ("sum", "m + 1", "", "sum"),
        ("done;\n}", "", "}\n", "done;\n}".removesuffix("\n}")),
        ("if (x) {\n  y();\n}", "", "}\n", "if (x) {\n  y();\n}"),
        ("x = 1\n    return x", "", "    return x\n", "x = 1"),
        ("a\nb\nc", "", "\nb\nc\n", "a"),
        ("x = 1", "", "y = 2", "x = 1"),
    ],
)
def test_what_stands_behind_the_cursor_is_not_repeated(
    suggestion: str, rest: str, after: str, expected: str
) -> None:
    assert cut_overlap(suggestion, rest, after) == expected


@given(st.text("ab ()\n\"'", max_size=30), st.text("ab ()\"'", max_size=10), st.text("ab ()\n", max_size=20))
def test_cutting_overlap_only_cuts_the_end(suggestion: str, rest: str, after: str) -> None:
    assert suggestion.startswith(cut_overlap(suggestion, rest, after))


def test_a_suggestion_that_comes_next_anyway_is_dropped() -> None:
    after = "\n    total = compute(values)\n\n    print(total)\n    return total\n"
    same = "total = compute(values)\n    print(total)\n    return total\n    more()"
    assert repeats_following(same, after)
    assert repeats_following(same.replace("print(total)", "print(totals)"), after)
    assert not repeats_following(same.replace("print", "show_all"), after)
    assert not repeats_following("total = 1", after)
    assert repeats_following("def f():\n    pass\n\n\ndef g():\n    pass", "\ndef f():\n    pass\n")
    assert not repeats_following("def f():\n    pass", "\ndef f():\n")
    assert not repeats_following("}", "}\n")
    assert not repeats_following("", after)


def test_a_loop_keeps_its_first_round() -> None:
    assert cut_repetition("a = 1\nb = 2\nb = 2\nb = 2") == "a = 1\nb = 2"
    assert cut_repetition("f(1)\ng(2)\nf(1)\ng(2)\nf(1)\ng(2)") == "f(1)\ng(2)"
    assert cut_repetition("x = foo, foo, foo, foo, foo, ") == "x = foo, "
    assert cut_repetition("x = path.path.path.path.pathpath.x") == "x = path"
    for data in (
        "mask = 0xFFFFFFFF & x",
        "0xFFFFFFFF",
        "(None, None, None, None, None)",
        'unpack("<IIIIIIII", d)',
    ):
        assert cut_repetition(data) == data
    assert cut_repetition("f(0, 0, 0, 0, 0)\ng(1)") == "f(0, 0, 0, 0, 0)\ng(1)"
    assert cut_repetition("b = 2\nb = 2") == "b = 2\nb = 2"
    assert cut_repetition("# --------------------------------") == "# --------------------------------"
    assert cut_repetition("}\n}\n}") == "}\n}\n}"


def test_the_lines_above_are_not_suggested_again() -> None:
    above = "def f(x):\n    if x:\n        return 1\n"
    assert trim("if x:\n        return 1\n    return 2", Around(above, "    ", "", ""), True, "python") == ""
    assert trim("if x:\n        return 2", Around(above, "    ", "", ""), True, "python")
    assert trim("return 1", Around(above, "        ", "", ""), True, "python") == "return 1"


def test_a_space_that_stands_there_is_not_doubled() -> None:
    assert trim(" None", Around("", "if x is ", ":", ""), True, "python") == "None"
    assert trim(" None", Around("", "if x is", ":", ""), True, "python") == " None"
    assert trim(" # why", Around("", "x = 1 ", "", ""), True, "python") == " # why"


def test_a_word_that_stands_there_is_left_whole() -> None:
    assert trim("th", Around("", "self.pa", "th = path", ""), True, "python") == ""
    assert trim("wer", Around("", "def lo", "ad(self):", ""), True, "python") == ""
    assert trim("sul", Around("result = 1\n", "print(re", "t)", ""), True, "python") == "sul"


def test_the_last_line_of_an_unfinished_suggestion_is_left_out() -> None:
    assert without_last_line("a = 1\nb = ") == "a = 1"
    assert without_last_line("a = ") == "a = "
    assert without_last_line("\nb = ") == "\nb = "


def test_leaving_the_block_ends_a_suggestion() -> None:
    assert cut_dedent("x = 1\n    y = 2\n\ndef g():\n    pass", "    ") == "x = 1\n    y = 2"
    assert cut_dedent("if x:\n        y()\n    z()", "    ") == "if x:\n        y()\n    z()"
    assert cut_dedent("a()\n}\nb()", "\t") == "a()"
    assert cut_dedent("a()\nb()", "") == "a()\nb()"


@pytest.mark.parametrize(
    ("line", "language", "expected"),
    [
        ("if x:", "python", True),
        ("x = 1", "python", False),
        ("foo(a,", "python", True),
        ("if (x) {", "c", True),
        ("const f = () =>", "javascript", True),
        ("case 1:", "c", False),
        ("while x do", None, True),
        ("x = [1]", None, False),
    ],
)
def test_open_blocks_are_told(line: str, language: str | None, expected: bool) -> None:
    assert opens_block(line, language) == expected


def test_trimming_puts_it_all_together() -> None:
    body = "    return a + b\n\ndef g():\n    pass\n"
    assert (
        trim("\n" + body, Around("", "def f(a, b):", "", ""), True, "python")
        == "\n    return a + b\n\ndef g():\n    pass"
    )
    assert trim("a + b\n    x = 1", Around("", "    return ", "", ""), True, "python") == "a + b"
    assert trim("a + b\n    x = 1", Around("", "    return ", "", ""), False, "python") == "a + b"
    assert trim("x = 1\n    y = 2\nz = 3\n", Around("", "    ", "", ""), True, "python") == "x = 1\n    y = 2"
    assert trim("   \n", Around("", "    ", "", ""), True, "python") == ""
    assert trim("return x", Around("", "    ", "", "    return x\n"), True, "python") == ""
    assert trim("a, b)", Around("", "print(", ")", "\n"), True, "python") == "a, b"


@given(*(st.text('ab(){}:\n \t"', max_size=25) for _ in range(2)), st.booleans())
def test_a_trimmed_suggestion_is_a_start_of_it_or_nothing(
    suggestion: str, after: str, multiline: bool
) -> None:
    trimmed = trim(suggestion, Around("", "  ", "", after), multiline, "python")
    # Its tabs may have become the file's spaces.
    assert spaced(suggestion).startswith(spaced(trimmed))
    assert trimmed == "" or trimmed.strip()
    assert multiline or "\n" not in trimmed


def offered(marked: str, language: str = "python", asked: bool = False) -> bool:
    cursor = marked.index("|")
    text = marked.replace("|", "")
    return should_complete(text, cursor, parse(text, language), asked)


def test_completions_come_unasked_only_where_they_can_help() -> None:
    assert offered("x = |\n")
    assert offered("print(|)\n")
    assert offered('foo(bar[|"]);\n', "javascript")
    assert not offered("x = |something_long + 1\n")
    assert not offered("x = | something + 1\n")
    assert not offered("fo|o\n")
    assert not offered("x = 1  # a com|\n")
    assert not offered("x = 'a|b'\n")
    assert offered("x = 'a|b'\n", asked=True)
    assert offered("x = | a\r\nlonger line\r\n")
    assert should_complete("", 0)


@pytest.mark.parametrize(
    ("suggestion", "before", "multiline", "complete"),
    [
        ("x + 1", "    y = ", True, False),  # its line may go on
        ("x + 1\n", "    y = ", True, True),
        ("x + 1\n    z", "    y = ", False, True),
        ("(\n", "    y = f", True, False),  # a bracket is open
        ("(\n        x", "    y = f", False, True),
        ("    x = 1\n    y", "", True, False),
        ("x = 1\n    y = 2\n", "    ", True, False),
        ("x = 1\nprint", "    ", True, True),  # that has left the block
        ("x = 1\n  ", "    ", True, False),  # nobody knows yet where that line begins
        ("\n        return", "    if x:", True, False),
        ("\n        return\n    else", "    if x:", True, False),
        ("\n        return\nelse", "    if x:", True, True),
    ],
)
def test_an_answer_is_complete_where_more_would_be_cut(suggestion, before, multiline, complete):
    assert is_complete(suggestion, Around("", before, "", ""), multiline, "python") is complete


PIECES = st.lists(
    st.sampled_from(["a", "b", "(", ":", "\n", "    ", "\n    ", "\n        "]), max_size=8
).map("".join)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(PIECES, PIECES, st.sampled_from(["", "    ", "  x = ", "    if y:", "    f("]))
def test_what_follows_a_complete_answer_does_not_matter(start, more, before):
    """Where nothing stands around, and loops aside, which are looked for in all of a suggestion."""
    around, suggestion = Around("", before, "", ""), start + "\n"
    assume(is_complete(suggestion, around, True, "python"))
    assume(all(cut_repetition(text) == text for text in (suggestion, suggestion + more)))
    assert trim(suggestion + more, around, True, "python") == trim(suggestion, around, True, "python")


def test_an_answer_that_may_repeat_what_stands_there_goes_on():
    above = "    self.x = 1\n    self.y = 2\n"
    assert not is_complete(" = 1\n", Around(above, "    self.x", "", ""), True, "python")
    assert is_complete(" = 2\n", Around(above, "    self.x", "", ""), True, "python")
    after = "    value = f(a)\n    return value\n"
    assert not is_complete("value = f(a)\n", Around("", "    ", "", after), False, "python")
    assert is_complete("value = f(b)\n", Around("", "    ", "", after), False, "python")

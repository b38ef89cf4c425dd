"""Replies in words as completions: what they say again of the file is taken off, what is flush left stands with it."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.editing.restated import as_completion
from model.editing.trim import Around, trim

ADD = Around("import os\n\n\ndef add(a, b):\n", "    return ", "", "\n\nprint(add(1, 2))\n")


@pytest.mark.parametrize(
    "reply",
    [
        "a + b",
        "return a + b",
        "    return a + b",
        "def add(a, b):\n    return a + b",
        "def add(a, b):\nreturn a + b",
        "import os\n\n\ndef add(a, b):\n    return a + b\n",
        "import os\n\ndef add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n",
        "    return a + b\n\n\nprint(add(1, 2))\n",
    ],
)
def test_what_stands_around_the_cursor_is_not_said_again(reply: str) -> None:
    found = as_completion(reply, ADD, "python")
    assert found.rstrip() == "a + b"
    assert trim(found, ADD, True, "python") == "a + b"


@pytest.mark.parametrize(
    ("above", "before", "rest", "reply", "expected"),
    [
        ("", "x = foo(", ")", "foo(1)", "1)"),
        ("", "x = self.", "", "self.value", "value"),
        ("", "x = self.va", "", "value", "lue"),
        ("", "pri", "", "print(1)", "nt(1)"),
        ("", "return ", "", "n + 1", "n + 1"),
        ("", "x = [a, ", "]", "a, b]", "a, b]"),
        ("", "x = [0, ", "]", "0, 0]", "0, 0]"),
        ("", "x = a", "", " + b", " + b"),
        ("f(\n    g()\n", ")", "", ")", ")"),
        ("    }\n", "", "", "}\n", "}"),
        ("  end\n", "", "", "end\nf()", "end\nf()"),
        ("a = 1\nb = 2\n", "", "", "b = 2\nc = 3", "c = 3"),
        ("def f():\n", "", "", "def f():\n    return 1", "    return 1"),
        ("def f():\n", "", "", "    return 1", "    return 1"),
        ("def f():\n", "    ", "", "    return 1", "return 1"),
        ("def f():\n", "    ", "", "return 1", "return 1"),
        ("def f():\n\n", "    ", "", "def f():\n\n    x = 1\n\n    y = 2", "x = 1\n\n    y = 2"),
        (
            "class C:\n    def f(s):\n",
            "        ",
            "",
            "def f(s):\n    x = 1\n    y = 2",
            "x = 1\n        y = 2",
        ),
        ("class C:\n    def f(s):\n", "        ", "", "def f(s):\n        x\n        y", "x\n        y"),
    ],
)
def test_the_longest_end_of_what_stands_before(
    above: str, before: str, rest: str, reply: str, expected: str
) -> None:
    assert as_completion(reply, Around(above, before, rest, ""), "python") == expected


@pytest.mark.parametrize(
    ("before", "reply", "expected"),
    [
        ("    ", "for i in x:\n    print(i)\n", "for i in x:\n        print(i)"),
        ("    ", "for i in x:\n        print(i)\n", "for i in x:\n        print(i)"),
        ("    ", "    for i in x:\n        print(i)\n", "for i in x:\n        print(i)"),
        ("    ", "a = 1\nb = 2", "a = 1\n    b = 2"),
        ("    ", "a = 1\n    b = 2", "a = 1\n    b = 2"),
        ("    for i in ", "x:\n    print(i)\n", "x:\n        print(i)"),
        ("    for i in ", "for i in x:\n    print(i)\n", "x:\n        print(i)"),
        ("    for i in ", "    for i in x:\n        print(i)\n", "x:\n        print(i)"),
        ("    f(", "a,\n    b,\n)", "a,\n        b,\n    )"),
        ("    f(", "a,\n        b,\n    )", "a,\n        b,\n    )"),
        ("    f(", "a\n    )", "a\n    )"),
        ("    if x:", "        f()\n        g()", "\n        f()\n        g()"),
        ("\t", "for i in x:\n    print(i)", "for i in x:\n\t\tprint(i)"),
        ("    q = ", "q = '''\nSELECT\n'''\nrun(q)", "'''\nSELECT\n'''\n    run(q)"),
    ],
)
def test_lines_behind_the_first_stand_with_the_cursors(before: str, reply: str, expected: str) -> None:
    above = f"def f(x):\n{before[:1] * (1 if before[0] == chr(9) else 4)}y = 1\n"
    assert as_completion(reply, Around(above, before, "", ""), "python") == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("a)\nuse(y)\n", "a"),
        ("x = f(a)\nuse(y)\n\nlast()\n", "a"),
        ("a(b))\n\nuse(y)\n", "a(b)"),
        ("a)", "a)"),
        ("use(y)\n", "use(y)"),
    ],
)
def test_what_follows_is_not_said_again(reply: str, expected: str) -> None:
    around = Around("", "x = f(", ")", "use(y)\n\nlast()\n")
    assert as_completion(reply, around, "python") == expected


LINE = st.from_regex(r"[a-f]{4,7} = [a-f]{3,6}[(][)]", fullmatch=True)


@st.composite
def files(draw: st.DrawFn) -> tuple[list[str], int, int]:
    """A method's lines, none twice, a brace before those that stand deeper; the line and the column of the cursor."""
    lines = draw(st.lists(LINE, min_size=3, max_size=8, unique=True))
    whole = [f"    {lines[0]}"]
    for line in lines[1:]:
        depth = len(whole[-1]) - len(whole[-1].lstrip())
        deeper = draw(st.sampled_from((-4, 0, 4)))
        whole[-1] += " {" if deeper > 0 else ""
        whole.append(" " * max(4, depth + deeper) + line)
    at = draw(st.integers(1, len(whole) - 1))
    return whole, at, draw(st.integers(0, len(whole[at])))


@given(files(), st.integers(0, 8), st.integers(1, 3), st.booleans())
def test_the_region_with_the_completion_gives_the_completion(
    file: tuple[list[str], int, int], skipped: int, count: int, is_flush: bool
) -> None:
    """From any line above the cursor on, as it stands or flush left."""
    whole, at, column = file
    end = min(at + count, len(whole))
    before = whole[at][:column]
    missing = "\n".join((whole[at][column:], *whole[at + 1 : end]))
    above, after = ("".join(f"{line}\n" for line in part) for part in (whole[:at], whole[end:]))
    reply = "\n".join(whole[min(skipped, at) : end])
    around = Around(above, before, "", after)
    if is_flush and skipped:
        return  # the first line of a part may stand deeper than what follows
    found = as_completion(dedent(reply) if is_flush else reply, around, None)
    assert found == missing

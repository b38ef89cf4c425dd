"""Replies at the depth of what they replace; what is inside their strings keeps its value."""

from __future__ import annotations

import ast
from textwrap import dedent, indent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.editing.depth import at_depth_of
from model.editing.tabs import spaced, tabbed


@pytest.mark.parametrize(
    ("code", "original", "expected"),
    [
        ("def f():\n    return 1\n", "    def f():\n        retrun 1\n", "    def f():\n        return 1\n"),
        ("        x\n", "    y\n", "    x\n"),
        ("\n\nx\n\n", "y", "x"),
        ("x\n\ny\n", "\ta\n", "\tx\n\n\ty\n"),
        ("\tx\n", "    y\n", "\tx\n"),
        ("x", "y\n\n", "x\n\n"),
        ("\n", "    y\n", "\n"),
    ],
)
def test_code_stands_at_the_depth_of_what_it_replaces(code: str, original: str, expected: str) -> None:
    assert at_depth_of(code, original) == expected


QUERY = '    q = """\nSELECT 1\n"""\n    run(q)\n'


def test_a_flush_left_string_keeps_its_value() -> None:
    assert at_depth_of(dedent(QUERY), QUERY, "python") == QUERY
    assert at_depth_of(QUERY.replace("    ", ""), QUERY, "python") == QUERY


def test_an_indented_string_keeps_its_value_though_the_reply_is_flush_left() -> None:
    old = '    q = """\n        SELECT 1\n    """\n    run(q)\n'
    assert at_depth_of(dedent(old), old, "python") == old
    kept = 'q = """\n        SELECT 1\n    """\nrun(q, 1)\n'  # the code alone was moved
    assert at_depth_of(kept, old, "python") == old.replace("(q)", "(q, 1)")


def test_changed_lines_of_a_string_stand_as_their_neighbours() -> None:
    old = '    q = """\n    SELECT 1\n    """\n'
    new = 'q = """\nSELECT 2\n"""\n'
    assert at_depth_of(new, old, "python") == old.replace("1", "2")
    assert at_depth_of(new, QUERY, "python") == '    q = """\nSELECT 2\n"""\n'


def test_new_strings_are_as_they_were_written() -> None:
    old = "    def f(self):\n        return 1\n"
    new = 'def f(self):\n    q = """\nSELECT 1\n"""\n    return 1\n'
    expected = '    def f(self):\n        q = """\nSELECT 1\n"""\n        return 1\n'
    assert at_depth_of(new, old, "python") == expected


def test_new_docstrings_stand_with_the_code() -> None:
    old = "    def f(self):\n        return 1\n"
    new = 'def f(self):\n    """One.\n\n    Always.\n    """\n    return 1\n'
    assert at_depth_of(new, old, "python") == indent(new, "    ", lambda line: bool(line.strip()))


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("javascript", "  q = `\nSELECT 1\n  x`;\n  run(q);\n"),
        ("typescript", "  q = `\nSELECT ${a}\n`;\n"),
        ("go", "  q := `\nSELECT 1\n`\n  run(q)\n"),
        ("rust", '  let q = "\nSELECT 1\n";\n  run(q);\n'),
        ("java", '  String q = """\nSELECT 1\n""";\n'),
        ("cpp", '  auto q = R"(\nSELECT 1\n)";\n'),
    ],
)
def test_strings_of_other_languages(language: str, code: str) -> None:
    flush = "\n".join(line.removeprefix("  ") if "q" in line else line for line in code.split("\n"))
    assert at_depth_of(flush, code, language) == code
    assert at_depth_of(flush, "  old()\n", language) == code  # a new string


def test_tabs_two_deep() -> None:
    old = "\t\tif x {\n\t\t\treturn 1\n\t\t}\n"
    assert tabbed(at_depth_of("    if x {\n        return 2\n    }\n", spaced(old), "go")) == old.replace(
        "1", "2"
    )


METHOD = "    def f(self):\n        return 0\n"
LOOP = "  for (const x of xs) {\n    f(x);\n  }\n"
SWITCH = "  switch (x) {\n  case 1:\n    f(x);\n  }\n"


@pytest.mark.parametrize(
    ("language", "code", "original", "expected"),
    [
        ("python", "def f(self):\n        return 1\n", METHOD, "    def f(self):\n        return 1\n"),
        ("python", "def f(self):\n    return 1\n", METHOD, "    def f(self):\n        return 1\n"),
        (
            "python",
            "if x:\n        f()\n    g()\n",
            "    if x:\n        h()\n",
            "    if x:\n        f()\n    g()\n",
        ),
        ("python", "# A.\n    def f(self):\n        return 0\n", METHOD, f"    # A.\n{METHOD}"),
        ("python", "# A.\ndef f(self):\n    return 0\n", METHOD, f"    # A.\n{METHOD}"),
        ("python", "@a\n    def f(self):\n        return 0\n", METHOD, f"    @a\n{METHOD}"),
        ("python", "  # A.\n    def f(self):\n        return 0\n", METHOD, f"    # A.\n{METHOD}"),
        # A block around what stays where it was, in a reply that is flush left.
        (
            "python",
            "if a:\n    f()\n    g()\n",
            "    f()\n    g()\n",
            "    if a:\n        f()\n        g()\n",
        ),
        ("python", "if a:\n        f()\n", "    f()\n", "    if a:\n        f()\n"),
        (
            "python",
            "def f(self):\n    if a:\n        return 0\n",
            METHOD,
            "    def f(self):\n        if a:\n            return 0\n",
        ),
        ("python", "x\nif a:\n    f()\n", "    x\n    f()\n", "    x\n    if a:\n        f()\n"),
        # A block's head away.
        ("python", "f()\ng()\n", "    if a:\n        f()\n        g()\n", "    f()\n    g()\n"),
        ("python", "f()\n    g()\n", "    if a:\n        f()\n        g()\n", "    f()\n    g()\n"),
        # Deeper than the old first line, and yet flush left.
        (
            "python",
            "def f(\n        self):\n    return 1\n",
            "    def f(\n            self):\n        return 0\n",
            "    def f(\n            self):\n        return 1\n",
        ),
        ("javascript", "for (const x of xs) {\n    g(x);\n  }\n", LOOP, LOOP.replace("f(", "g(")),
        ("javascript", "for (const x of xs) {\n  g(x);\n}\n", LOOP, LOOP.replace("f(", "g(")),
        ("javascript", "// A.\n  for (const x of xs) {\n    f(x);\n  }\n", LOOP, f"  // A.\n{LOOP}"),
        ("javascript", "if (a) {\n  f(x);\n}\n", "  f(x);\n", "  if (a) {\n    f(x);\n  }\n"),
        ("javascript", "switch (x) {\n  case 1:\n    g(x);\n  }\n", SWITCH, SWITCH.replace("f(", "g(")),
        ("javascript", "f(x);\n  }\n", "    f(x);\n  }\n", "    f(x);\n  }\n"),
    ],
)
def test_a_first_line_alone_may_lack_its_indentation(
    language: str, code: str, original: str, expected: str
) -> None:
    assert at_depth_of(code, original, language) == expected


@st.composite
def nested(draw: st.DrawFn, braces: bool, level: int = 0) -> list[str]:
    """Code, each line with as many tabs as blocks it stands in."""
    found: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from("abcde"))
        kind = draw(st.sampled_from(("call", "call", "blank", "block", "open") if level < 3 else ("call",)))
        at = "\t" * level
        if kind == "block":
            head = f"if ({name}) {{" if braces else f"if {name}:"
            found += [at + head, *draw(nested(braces, level + 1)), *([f"{at}}}"] if braces else [])]
        elif kind == "open":
            found += [f"{at}{name}(", f"{at}\t{name}", f"{at})"]
        else:
            found += [at + f"{name}()", *([""] if kind == "blank" else [])]
    return found


@pytest.mark.parametrize("language", ["python", "javascript"])
@given(data=st.data(), depth=st.sampled_from((0, 1, 2, 3)), unit=st.sampled_from(("  ", "    ")))
def test_a_region_said_again_is_the_region(language: str, data: st.DataObject, depth: int, unit: str) -> None:
    """As it stands, wholly dedented, or with its first line alone flush left."""
    code = "\n".join(data.draw(nested(language == "javascript"))).strip("\n").replace("\t", unit) + "\n"
    old = indent(code, unit * depth)
    for reply in (old, code, old.lstrip(" ")):
        assert at_depth_of(reply, old, language) == old


LINES = st.lists(st.sampled_from(("SELECT 1", "  FROM t", "", "    WHERE x", "a", "\\t")), max_size=4)


@given(LINES, LINES, st.sampled_from((0, 4, 8)), st.sampled_from((0, 4)))
def test_the_values_of_a_reply_that_is_the_old_code_are_the_old_ones(
    first: list[str], second: list[str], depth: int, reply: int
) -> None:
    """Moved to any depth, whole or the code alone."""
    one, two = ("\n".join(("", *lines, "")) for lines in (first, second))

    def written(blanks: int) -> str:
        at = " " * blanks
        return f"{at}p = 1\n{at}q = '''{one}'''\n{at}r = '''{two}''' + s\n"

    old = written(depth)
    found = at_depth_of(written(reply), old, "python")
    assert found == old
    ast.parse(dedent(found) if depth == 0 else f"if 1:\n{found}")

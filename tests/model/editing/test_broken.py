"""Finding the function to fix in code that does not parse.

Every function of the samples is broken in every way below, and looked for from every one of its lines. The
intact tree says what should be found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from model.editing.syntax import Definition, SyntaxTree, language_of, parse

SAMPLES = sorted((Path(__file__).parent / "samples").iterdir())
Slip = Callable[[str], str]


def header_end(code: str) -> re.Match[str] | None:
    """Where the header of a function's code ends: `:`, `{` or `=> {` at the end of a line."""
    return re.search(r"(?<=[)\w>\]}'])(?: *(?:=>)? *\{|:)(?=[ \t]*\n)", code) or re.search(
        r"(?<=\n)\{(?=\n)", code
    )


def drop_opener(code: str) -> str:
    match = header_end(code)
    return code[: match.start()] + code[match.end() :] if match else code


def drop_header_paren(code: str) -> str:
    match = header_end(code)
    at = code.rfind(")", 0, match.start() if match else 0)
    return code[:at] + code[at + 1 :] if at >= 0 else code


def drop_header_open_paren(code: str) -> str:
    name = re.search(r"\w\(", code)
    return code[: name.end() - 1] + code[name.end() :] if name else code


def drop_body_paren(code: str) -> str:
    match = header_end(code)
    at = code.find(")", match.end()) if match else -1
    return code[:at] + code[at + 1 :] if at >= 0 else code


def double_open_paren(code: str) -> str:
    match = header_end(code)
    at = code.rfind("(") if match else -1
    return code[:at] + "(" + code[at:] if match and at > match.end() else code


def drop_last_brace(code: str) -> str:
    code = code.removesuffix(";")
    at = code.rfind("}")
    return code[:at].rstrip(" \t") + code[at + 1 :] if at >= 0 and at > len(code) - 4 else code


def leave_assignment_open(code: str) -> str:
    return re.sub(r"( :?=) [^=\n]+\n", r"\1\n", code, count=1)


def open_string(code: str) -> str:
    at = code.find('"')
    return code[:at] + code[at + 1 :] if at >= 0 else code


# What indentation cannot tell: a header without `(` and parameters over several lines; a missing brace where
# the next one closes a namespace that is not indented.
NOT_FOUND = {
    ("drop_header_open_paren", "list.c", "list_free"),
    ("drop_last_brace", "buffer.cpp", "largest"),
}

SLIPS: list[Slip] = [
    drop_opener,
    drop_header_paren,
    drop_header_open_paren,
    drop_body_paren,
    double_open_paren,
    drop_last_brace,
    leave_assignment_open,
    open_string,
]


def functions(tree: SyntaxTree) -> list[Definition]:
    return [
        d for d in tree.definitions() if d.kind in ("function", "method") and "\n" in d.span.of(tree.text)
    ]


def found_from_every_line(
    text: str, language: str, target: Definition, slip: Slip
) -> list[tuple[int, object]]:
    """The lines from which the broken `target` is not found, with what is found instead."""
    code = target.span.of(text)
    broken = slip(code)
    if broken == code:
        return []
    tree = parse(text[: target.span.start] + broken + text[target.span.end :], language)
    if not tree.problem_count():
        return []  # the slip made other valid code, so no function is lost
    wanted = (target.span.start, broken.rstrip())
    nested = [d for d in functions(parse(text, language)) if d != target and target.span.covers(d.span)]
    inner = {
        line for d in nested for line in text[: d.span.end].split("\n")[-d.span.of(text).count("\n") - 1 :]
    }
    if any(d.span.of(text) not in broken for d in nested):
        return []  # that one is broken, and has its own turn
    failures: list[tuple[int, object]] = []
    at = target.span.start
    for line in broken.rstrip().split("\n"):
        if line.strip() and line not in inner:
            found = tree.enclosing_definition(at + len(line))
            if found is None or (found.span.start, found.span.of(tree.text).rstrip()) != wanted:
                failures.append((at, found and (found.name, found.span.of(tree.text))))
        at += len(line) + 1
    return failures


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.__name__)
def test_a_broken_function_is_found_from_each_of_its_lines(path: Path, slip: Slip) -> None:
    language = language_of(path.name)
    assert language is not None
    text = path.read_text(encoding="utf-8")
    for target in functions(parse(text, language)):
        if (slip.__name__, path.name, target.name) in NOT_FOUND:
            continue
        assert found_from_every_line(text, language, target, slip) == [], target.name


def test_decorators_and_parameters_over_several_lines_belong_to_a_broken_function() -> None:
    code = """@mark.skip(
    reason="x",
)
# why
@other
def f(
    a,
    b,
) -> int:
    return (a + b

x = 1
"""
    tree = parse(code, "python")
    for place in ("a,", ") ->", "return"):
        found = tree.enclosing_definition(code.index(place))
        assert found is not None
        assert found.span.of(code) == code[: code.index("\n\nx = 1")]


def test_destructured_parameters_belong_to_a_broken_function() -> None:
    code = "const run = async ({\n  args,\n  call,\n}) => {\n  start(call, args\n  return args;\n};"
    tree = parse(f"a();\n\n{code}\n\nb();\n", "javascript")
    for place in ("const", "args,", "}) =>", "start", "return"):
        found = tree.enclosing_definition(tree.text.index(place))
        assert found is not None
        assert found.span.of(tree.text) == code


def test_a_return_type_on_its_own_line_belongs_to_a_broken_function() -> None:
    header = "static struct node *\nfind(struct node *list, int key)\n{\n"
    code = header + "  while (list->key != key\n    list++;\n  return list;\n}"
    tree = parse(f"int x;\n\n{code}\n\nint\nother(void)\n{{\n  return 0;\n}}\n", "c")
    for place in ("static", "find", "list++", "return list"):
        found = tree.enclosing_definition(tree.text.index(place))
        assert found is not None
        assert found.span.of(tree.text) == code


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_other_functions_are_found_while_one_is_broken(path: Path) -> None:
    language = language_of(path.name)
    assert language is not None
    text = path.read_text(encoding="utf-8")
    targets = functions(parse(text, language))
    for broken in targets:
        code = broken.span.of(text)
        new = drop_body_paren(code)
        changed = text[: broken.span.start] + new + text[broken.span.end :]
        tree = parse(changed, language)
        for other in targets:
            if other.span.overlaps(broken.span):
                continue
            shift = len(new) - len(code) if other.span.start > broken.span.start else 0
            found = tree.enclosing_definition(other.span.end + shift - 1)
            assert found is not None
            assert found.span.of(changed) == other.span.of(text), (broken.name, other.name)

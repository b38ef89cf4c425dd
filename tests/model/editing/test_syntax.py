"""Parsing: offsets, incremental parsing, definitions, problems and the questions features ask of a tree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.editing import languages, syntax
from model.editing.edit import Edit, apply
from model.editing.source import Span
from model.editing.syntax import (
    GRAMMARS,
    MAX_PARSED_CHARS,
    SyntaxTree,
    UnknownLanguageError,
    available_grammars,
    has_grammar,
    language_of,
    parse,
    try_parse,
)

SAMPLES = {
    name: (Path(__file__).parent / "samples" / file).read_text(encoding="utf-8")
    for name, file in {
        "python": "inventory.py",
        "javascript": "cart.js",
        "typescript": "store.ts",
        "tsx": "Panel.tsx",
        "go": "queue.go",
        "rust": "matrix.rs",
        "java": "Account.java",
        "c": "list.c",
        "cpp": "buffer.cpp",
    }.items()
}
every_language = pytest.mark.parametrize("language", list(GRAMMARS))


@pytest.mark.parametrize(
    ("path", "language_id", "expected"),
    [
        ("a/b.py", "", "python"),
        ("a.pyi", "python", "python"),
        ("x.mjs", "", "javascript"),
        ("x.cjs", "", "javascript"),
        ("x.jsx", "javascriptreact", "javascript"),
        ("x.ts", "", "typescript"),
        ("x.mts", "", "typescript"),
        ("x.cts", "", "typescript"),
        ("x.tsx", "typescriptreact", "tsx"),
        ("", "typescriptreact", "tsx"),
        ("x.h", "", "c"),
        ("x.h", "cpp", "cpp"),
        ("x.C", "", "cpp"),
        ("x.c", "", "c"),
        ("x.hpp", "", "cpp"),
        ("x.cc", "", "cpp"),
        ("C:\\src\\Main.JAVA", "", "java"),
        ("x.rs", "plaintext", "rust"),
        ("x.go", "go", "go"),
        ("x.py", "jinja", None),
        ("x.rb", "ruby", None),
        ("Makefile", "", None),
        ("", "", None),
    ],
)
def test_a_file_has_the_language_that_editors_give_it(
    path: str, language_id: str, expected: str | None
) -> None:
    assert language_of(path, language_id) == expected


@every_language
def test_real_code_parses_without_problems(language: str) -> None:
    tree = parse(SAMPLES[language], language)
    assert tree.problem_count() == 0
    assert tree.errors() == ()
    assert available_grammars()[language] == ""


def test_unknown_languages_are_refused_with_a_message() -> None:
    with pytest.raises(UnknownLanguageError, match="no grammar for 'cobol'") as caught:
        parse("x", "cobol")
    assert "python" in str(caught.value)
    assert not has_grammar("cobol")
    assert try_parse("x", "cobol") is None
    assert try_parse("x", None) is None


def test_a_missing_wheel_is_like_no_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(languages.GRAMMARS, "absent", ("tree_sitter_absent", "language"))
    assert not has_grammar("absent")
    assert try_parse("x", "absent") is None
    assert "tree-sitter-absent" in available_grammars()["absent"]
    assert available_grammars()["python"] == ""


def test_a_huge_text_is_not_parsed_while_someone_waits() -> None:
    assert try_parse("x\n" * (MAX_PARSED_CHARS // 2 + 1), "python") is None


ODD = "ab:({[)}]=\"'# \n\t\r\f\0\u2028é\u0301\U0001f600\ud800"


@st.composite
def edits_of(draw: st.DrawFn, text: str) -> list[Edit]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    new = st.text(st.sampled_from(ODD), max_size=4) | st.sampled_from(
        ["def f(x):\n    ", "{", "}\n", "return x;"]
    )
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return [Edit(a, min(b, a + 12), draw(new)) for a, b in pairs]


@every_language
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_an_edited_tree_equals_a_fresh_one(language: str, data: st.DataObject) -> None:
    tree = parse(SAMPLES[language].replace("count", "Zähler\U0001f600"), language)
    for _ in range(3):
        edits = data.draw(edits_of(tree.text))
        text = apply(edits, tree.text)
        tree = tree.edited(edits)
        fresh = parse(text, language)
        assert tree.text == text
        assert tree.has_errors == fresh.has_errors
        same = tree.fresh()
        assert same.sexp() == fresh.sexp()
        assert same.errors() == fresh.errors()
        assert [n.span for n in same.nodes()] == [n.span for n in fresh.nodes()]


@every_language
def test_typing_a_line_equals_a_fresh_parse_at_every_key(language: str) -> None:
    tree = parse(SAMPLES[language], language)
    at = tree.text.index("\n") + 1
    for ch in "f(x) {\n":
        tree = tree.edited([Edit(at, at, ch)])
        at += 1
        fresh = parse(tree.text, language)
        assert tree.has_errors == fresh.has_errors
        assert (tree.fresh().sexp(), tree.fresh().errors()) == (fresh.sexp(), fresh.errors())


@pytest.mark.parametrize("broken", [False, True])
def test_an_edit_of_a_large_file_parses_only_a_part_of_it(monkeypatch, broken: bool) -> None:
    """Also where there are errors: typing makes them at every key."""
    text = SAMPLES["python"] * 200 + ("def f(x)\n    return x\n" if broken else "")
    tree = parse(text, "python")
    at = text.index("\n", len(text) // 2) + 1
    monkeypatch.setattr(syntax, "parse", lambda *_: pytest.fail("parsed anew"))
    for key in "x(":
        tree = tree.edited([Edit(at, at, key)])
        at += 1
        assert tree.has_errors == (broken or key == "(")
        assert tree.smallest_statement(at) is not None


def test_an_old_tree_stays_as_it_was() -> None:
    tree = parse("x = 1\n", "python")
    before = tree.sexp()
    tree.edited([Edit(0, 5, "def f(): pass")])
    assert tree.sexp() == before
    assert tree.text == "x = 1\n"


@given(st.text(st.sampled_from(ODD), max_size=200))
@settings(deadline=None)
def test_any_text_parses_and_its_nodes_lie_in_it(text: str) -> None:
    tree = parse(text, "python")
    nodes = list(tree.nodes())
    assert nodes[0].depth == 0
    assert all(node.span.end <= len(text) for node in nodes)
    assert all(problem.span.end <= len(text) for problem in tree.errors())
    for offset in range(0, len(text) + 1, 7):
        tree.in_comment_or_string(offset)
        found = tree.enclosing_definition(offset)
        assert found is None or found.span.end <= len(text)


def test_offsets_are_characters_far_behind_other_characters() -> None:
    text = 'a = "' + "é\U0001f600漢" * 5000 + '"\ndef f(x):\n    return x\n'
    tree = parse(text, "python")
    (definition,) = tree.definitions()
    assert definition.span.of(text) == "def f(x):\n    return x"
    assert definition.name_span is not None
    assert definition.name_span.of(text) == "f"
    assert [node.span.of(text) for node in tree.nodes() if node.type == "identifier"] == ["a", "f", "x", "x"]


NAMES = {
    "python": "Item.value Item.take Shelf.__init__ Shelf.from_json Shelf.refill best_price best_price.weight"
    " report",
    "javascript": "total Cart.constructor Cart.add Cart.checkout discount names",
    "typescript": "Store.constructor Store.current Store.subscribe Store.update load clamp",
    "tsx": "Panel Panel.toggle Counter.increment Counter.render",
    "go": "New Push Pop Drain",
    "rust": "Matrix.new Matrix.columns Matrix.scale Matrix.fmt trace trace_of_zero",
    "java": "Account.Account Account.deposit Account.toString Account.largest Account.State.usable",
    "c": "make_node list_sum list_free main",
    "cpp": "Buffer.Buffer Buffer.push Buffer.operator[] join largest main",
}


def qualified(tree: SyntaxTree) -> list[str]:
    names: list[str] = []
    definitions = [d for d in tree.definitions() if d.kind not in ("callback", "namespace")]
    for definition in definitions:
        if definition.kind in ("function", "method"):
            around = [d for d in definitions if d.span.covers(definition.span) and d.span != definition.span]
            names.append(".".join([*(d.name for d in around), definition.name]))
    return names


@every_language
def test_functions_and_methods_are_found_with_their_names(language: str) -> None:
    assert qualified(parse(SAMPLES[language], language)) == NAMES[language].split()


@every_language
def test_every_place_in_a_function_leads_to_it(language: str) -> None:
    tree = parse(SAMPLES[language], language)
    functions = [d for d in tree.definitions() if d.kind in ("function", "method")]
    for function in functions:
        inner = [d for d in functions if d != function and function.span.covers(d.span)]
        offsets = [o for o in range(function.span.start, function.span.end) if tree.text[o] not in " \t\n"]
        for offset in [*offsets, function.span.end]:
            if not any(d.span.touches(offset) for d in inner):
                assert tree.enclosing_definition(offset) == function


def names_at(language: str, *places: str) -> list[str | None]:
    tree = parse(SAMPLES[language], language)
    found = [tree.enclosing_definition(SAMPLES[language].index(place)) for place in places]
    return [f.name if f else None for f in found]


def test_a_class_line_leads_to_the_class_and_top_level_to_nothing() -> None:
    assert names_at("python", "@dataclass\n", "class Item", "    price", "LIMIT", "import json") == [
        *("Item", "Item", "Item"),
        *(None, None),
    ]
    assert names_at("python", "@property", "    @property", "@cache", "# the cheapest") == [
        *("value", "value"),
        *("best_price", "best_price"),
    ]
    assert names_at("cpp", "namespace", "template <typename T>", "private:") == [None, "Buffer", "Buffer"]
    assert names_at("rust", "#[derive", "#[inline]", "impl Matrix", "mod tests") == [
        *("Matrix", "columns", "Matrix"),
        None,
    ]
    assert names_at("typescript", "@logged", "export interface", "export const clamp") == [
        *("update", "Listener", "clamp"),
    ]
    assert names_at("c", "typedef struct", "#include", "#ifdef") == ["node", None, "list_free"]
    assert names_at("java", "@Override", "CLOSED;") == ["toString", "State"]
    assert names_at("javascript", "export function", "cart.add({") == ["total", ""]


def test_definitions_know_their_kind_and_body() -> None:
    text = SAMPLES["python"]
    by_name = {d.name: d for d in parse(text, "python").definitions()}
    assert by_name["Item"].kind == "class"
    assert by_name["value"].kind == "method"
    assert by_name["weight"].kind == "function"
    body = by_name["weight"].body_span
    assert body is not None
    assert body.of(text) == "return price.value / price.days"


def test_problems_are_placed_and_counted() -> None:
    tree = parse("int f() { return 1 }\nint g() { return (2; }\n", "c")
    assert [(p.span, p.kind) for p in tree.errors()] == [(Span(18, 18), "MISSING"), (Span(40, 40), "MISSING")]
    assert parse("def (:\n", "python").problem_count() > 0


def test_top_level_and_statements_come_in_order() -> None:
    text = SAMPLES["python"]
    tree = parse(text, "python")
    tops = [span.of(text).splitlines()[0] for span in tree.top_level()]
    assert tops[:4] == [
        '"""Stock of a small shop."""',
        "import json",
        "from dataclasses import dataclass",
        "from functools import cache",
    ]
    (report,) = [d for d in tree.definitions() if d.name == "report"]
    statements = [span.of(text).splitlines()[0] for span in tree.statements(report.span)]
    assert statements == [
        "lines = []",
        "for name, item in sorted(shelf.items.items()):",
        'return "\\n".join(lines)',
    ]


@every_language
def test_statements_of_a_function_lie_inside_it_in_order(language: str) -> None:
    tree = parse(SAMPLES[language], language)
    for definition in tree.definitions():
        if definition.kind in ("function", "method"):
            statements = tree.statements(definition.span)
            assert statements
            assert all(definition.span.covers(span) for span in statements)
            assert all(a.end <= b.start for a, b in pairwise(statements))


def test_smallest_nodes_and_statements() -> None:
    text = "if a:\n    b = c + d\n"
    tree = parse(text, "python")
    at = text.index("c")
    assert tree.smallest_node(Span(at, at + 1)).type == "identifier"
    assert tree.smallest_node(Span(at, at + 3)).type == "binary_operator"
    assert tree.smallest_node(Span(at, at + 3)).depth == 5
    statement = tree.smallest_statement(at)
    assert statement is not None
    assert statement.of(text) == "b = c + d"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "x = 'ab|c'  # so|me\ny| = f'a|b{z|}'|\n# end|"),
        ("javascript", "let x = `a|b${y|}`; // so|me|\nz| = /* a|b */ 1|;\n"),
        ("go", "x := \"a|b\" // so|me|\ny| = 'c'|\n"),
        ("rust", '/// a|b\nfn f|() { let x| = "a|b"; }\n'),
        ("java", 'class A| { String s = "a|b"; } // e|nd|\n'),
        ("c", '#include <a.h>\nchar *s| = "a|b"; /* c|d */|\n'),
        ("cpp", 'auto s| = "a|b"; // c|d|\n'),
    ],
)
def test_comments_and_strings_are_told_from_code(language: str, text: str) -> None:
    """A `|` marks a cursor; between two word characters of a quoted or commented word it is in prose."""
    pieces = text.split("|")
    plain = "".join(pieces)
    tree = parse(plain, language)
    at = 0
    for before, after in pairwise(pieces):
        at += len(before)
        line = plain[plain.rfind("\n", 0, at) + 1 : at]
        in_word = before[-1:].isalpha() and after[:1].isalpha()
        comment_end = not after.strip(" ") or after.startswith("\n")
        in_line_comment = ("//" in line or "#" in line) and comment_end
        assert tree.in_comment_or_string(at) == (in_word or in_line_comment), (plain[:at], after)


def test_trees_may_be_read_and_made_from_many_threads() -> None:
    trees = {name: parse(text, name) for name, text in SAMPLES.items()}

    def work(seed: int) -> list[str]:
        name = list(SAMPLES)[seed % len(SAMPLES)]
        edited = trees[name].edited([Edit(0, 0, "\n" * seed)])
        return [edited.sexp(), *(d.name for d in trees[name].definitions())]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(40))) == [work(seed) for seed in range(40)]

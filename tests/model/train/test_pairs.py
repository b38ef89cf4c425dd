"""Pairs by a linter: exactly one refactoring is done, the halves stay apart, and a missing tool is told of."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from model.train.corpus import SourceFile
from model.train.refactorings import linter as linting
from model.train.refactorings.catalogue import MAKERS, REFACTORINGS
from model.train.refactorings.linted import LINTED
from model.train.refactorings.linter import Linter, LinterMissingError, aligned_definitions, outline
from model.train.refactorings.pairs import FILE_NAME, build_pairs, find_pairs, made_pairs, place, read_pairs

SAMPLES = {
    "f_strings": ('    return "a {} b".format(x)', '    return f"a {x} b"'),
    "modern_typing": ("    y: Optional[List[int]] = x", "    y: list[int] | None = x"),
    "early_return": (
        "    if x:\n        return 1\n    else:\n        return 2",
        "    if x:\n        return 1\n    return 2",
    ),
    "collapsed_else_if": (
        "    if x:\n        g(1)\n    else:\n        if x.y:\n            g(2)",
        "    if x:\n        g(1)\n    elif x.y:\n        g(2)",
    ),
    "merged_if": ("    if x:\n        if x.y:\n            g(2)", "    if x and x.y:\n        g(2)"),
    "merged_with": (
        "    with g(x) as a:\n        with g(a) as b:\n            g(b)",
        "    with g(x) as a, g(a) as b:\n        g(b)",
    ),
    "comprehensions": (
        "    z = []\n    for a in x:\n        z.append(a.b)\n    g(z)",
        "    z = [a.b for a in x]\n    g(z)",
    ),
    "needless_comprehension": ("    return [a for a in x]", "    return list(x)"),
    "empty_literals": ("    return list(), dict(), dict(a=1)", "    return [], {}, dict(a=1)"),
    "dict_literals": ("    return dict(a=1, b=x)", '    return {"a": 1, "b": x}'),
    "unused_variables": ("    y = 1\n    return x", "    return x"),
    "compare_none": ("    return x == None", "    return x is None"),
    "membership_test": ("    return not x in y", "    return x not in y"),
    "in_tuple": ("    return x == 1 or x == 2", "    return x in {1, 2}"),
    "returned_directly": ("    y = g(x)\n    return y", "    return g(x)"),
    "open_modes": ('    return open(x, "r")', "    return open(x)"),
    "any_all": (
        "    for a in x:\n        if a.b:\n            return True\n    return False",
        "    return any(a.b for a in x)",
    ),
}
HEAD = "from typing import List, Optional\nfrom t import g, y\n\n\n"
# What none of the refactorings above but the named one may touch.
FURTHER = '    g("%s" % x)\n    h = super(A, x)\n    g(h, x[0] if x else None)\n'


@pytest.fixture(scope="module")
def linter() -> Linter:
    return Linter(LINTED)


@pytest.fixture(scope="module")
def found(linter: Linter) -> dict[str, list[tuple[str, str, tuple[str, ...]]]]:
    """All pairs of a file for each sample, by its name."""
    files = [
        SourceFile("samples", f"{name}.py", f"{HEAD}def f(x):\n{FURTHER}{old}\n")
        for name, (old, _) in SAMPLES.items()
    ]
    result: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {name: [] for name in SAMPLES}
    for each in (p for pairs in place(find_pairs(files, linter), files).values() for p in pairs):
        if each.pair.kind == each.pair.path.removesuffix(".py"):
            result[each.pair.kind].append((each.before, each.pair.after, each.pair.others))
    return result


@pytest.mark.parametrize("name", SAMPLES)
def test_one_refactoring_is_done_and_others_stay(found, name: str) -> None:
    old, new = SAMPLES[name]
    ((before, after, others),) = found[name]
    further = FURTHER.replace('"%s" % x', 'f"{x}"') if name == "f_strings" else FURTHER
    assert before == f"def f(x):\n{FURTHER}{old}"
    assert after == f"def f(x):\n{further}{new}"
    assert "f_strings" in others or name == "f_strings"


def test_every_rule_can_be_selected(linter: Linter) -> None:
    """Ruff refuses a rule that it does not have, or has as a preview only."""
    with linter.workplace(["x = 1\n"]) as work:
        for refactoring in linter.refactorings:
            assert work.fixed(refactoring, [0]) == {}
    assert all(re.fullmatch(r"[A-Z]+\d+", rule) for r in LINTED for rule in r.rules)


def test_a_lost_comment_is_no_pair(linter: Linter) -> None:
    text = "def f(x):\n    z = []\n    for a in x:\n        # why\n        z.append(a.b)\n    return z\n"
    pairs = [p for p in find_pairs([SourceFile("p", "a.py", text)], linter) if p.kind == "comprehensions"]
    assert all("# why" in p.after for p in pairs)


def corpus(folder: Path) -> Path:
    for half, project in (("train", "one"), ("heldout", "two")):
        with gzip.open(folder / f"{half}.jsonl.gz", "wt") as out:
            for i in range(3):
                text = (
                    f"def {project}{i}(x):\n    if x == None:\n        return {i}\n    for a in x: print(a)\n"
                )
                text += f"\n\ndef more{i}(path):\n    with open(path) as f:\n        return f.read({i})\n"
                out.write(json.dumps({"project": project, "path": f"{i}.py", "text": text}) + "\n")
    return folder


def test_a_held_out_projects_pairs_never_train(tmp_path: Path) -> None:
    counts = build_pairs(corpus(tmp_path), MAKERS)
    halves = {half: read_pairs(tmp_path, half) for half in ("train", "heldout")}
    for half, project in (("train", "one"), ("heldout", "two")):
        assert {p.project for p in halves[half]} == {project}
        assert {"compare_none", "context_manager"} <= counts[half].keys()
        assert sum(counts[half].values()) == len(halves[half])
    assert not (tmp_path / f"{FILE_NAME}.part").exists()
    first = (tmp_path / FILE_NAME).read_bytes()
    build_pairs(tmp_path, MAKERS)
    assert gzip.decompress((tmp_path / FILE_NAME).read_bytes()) == gzip.decompress(first)


def test_made_pairs_say_what_was_before() -> None:
    text = "def f(path):\n    with open(path) as f:\n        return f.read()\n"
    file = SourceFile("p", "a.py", text)
    (pair,) = made_pairs([file], {"context_manager": MAKERS["context_manager"]})
    ((placed,),) = place([pair], [file]).values()
    assert placed.pair.after == text.rstrip()
    assert placed.before == (
        "def f(path):\n    f = open(path)\n    try:\n        return f.read()\n    finally:\n        f.close()"
    )


def test_a_changed_file_is_found_out() -> None:
    file = SourceFile("p", "a.py", "def f(path):\n    with open(path) as f:\n        return f.read()\n")
    pairs = made_pairs([file], {"context_manager": MAKERS["context_manager"]})
    with pytest.raises(ValueError, match="redraft train pairs"):
        place(pairs, [SourceFile("p", "a.py", file.text.replace("path", "name"))])
    assert place(pairs, [SourceFile("q", "a.py", file.text)]) == {}


def test_without_ruff_it_says_how_to_get_it(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(linting.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(linting.shutil, "which", lambda name: None)
    with pytest.raises(LinterMissingError, match=r"redraft\[train\]"):
        Linter(LINTED)


def test_no_pairs_where_none_were_built(tmp_path: Path) -> None:
    assert read_pairs(tmp_path, "train") == []


def test_an_outline_reads_headers_decorators_and_ends() -> None:
    text = (
        "@deco(\n    1\n)\n@other\ndef f(\n    a,\n):\n    return a\n# behind\n\n\nclass A:\n    def g(self):\n"
        "        pass\n\n    # in A\n    async def h(self):\n        return 1\n\n\nx = 1\n"
    )
    spans = [(name.strip(), span.of(text)) for name, span in outline(text)]
    assert [name for name, _ in spans] == ["def f", "class A", "def g", "async def h"]
    assert spans[0][1].startswith("@deco(")
    assert spans[0][1].endswith("return a")
    assert spans[1][1].endswith("return 1")
    assert spans[2][1] == "    def g(self):\n        pass"
    assert aligned_definitions(text, text.replace("return a", "return b"), 500) == [
        (outline(text)[0][1], spans[0][1].replace("return a", "return b"))
    ]
    assert aligned_definitions(text, text.replace("def f", "def e"), 500) == []


def test_linted_names_are_in_the_catalogue() -> None:
    assert {r.name for r in LINTED} < set(REFACTORINGS)

"""Benchmark files: what is read from each format, and what is said of a damaged one."""

import json
from pathlib import Path

import pytest

from model.eval.problems import DataError, Problem, auto_indent, read
from model.eval.sandbox import run
from model.request import Complete, Fix, Refactor

INFILL = {
    "task_id": "SingleLineInfilling/Own/0/L0",
    "prompt": 'def double(n):\n    """Twice n."""\n',
    "canonical_solution": "    twice = n + n\n",
    "suffix": "    return twice\n",
    "test": "def check(candidate):\n    assert candidate(4) == 8\n",
    "entry_point": "double",
}
SPAN = {
    **INFILL,
    "task_id": "Span/1",
    "prompt": "def double(n):\n    return n",
    "canonical_solution": " + n",
    "suffix": "\n",
}
HUMAN_EVAL = {
    "task_id": "Own/0",
    "prompt": 'def double(n):\n    """Twice n."""\n',
    "canonical_solution": "    return n + n\n",
    "test": INFILL["test"],
    "entry_point": "double",
}
MBPP = {
    "task_id": 7,
    "text": "Write a function to double a number.",
    "code": "def double(n):\r\n    return n + n",
    "test_list": ["assert double(2) == 4", "assert double(LEAST) == 0"],
    "test_setup_code": "LEAST = 0",
}
FIX = {
    "task_id": "Own/1",
    "declaration": "def helper(n):\n    return n\n\n\ndef double(n):\n",
    "canonical_solution": "    return helper(n) + n\n",
    "buggy_solution": "    return helper(n) - n\n",
    "test": "def check(double):\n    assert double(4) == 8\n\ncheck(double)",
    "entry_point": "double",
}
QUIX = {
    "name": "evens",
    "buggy": '\ndef evens(n):\n    for i in range(n)\n        yield 2 * i\n\n\n"""\nEven numbers.\n"""\n',
    "correct": "\ndef evens(n):\n    for i in range(n):\n        yield 2 * i\n",
    "json_tests": [[[3], [0, 2, 4]], [[0], []], [[10**12], "too slow"]],
    "pytest": (
        "import pytest\nfrom load_testdata import load_json_testcases\n"
        "if pytest.use_correct:\n    from correct_python_programs.evens import evens\n"
        "else:\n    from python_programs.evens import evens\n"
        "testdata = load_json_testcases(evens.__name__)\n"
        "@pytest.mark.parametrize('input_data,expected', testdata)\n"
        "def test_evens(input_data, expected):\n"
        "    if expected == 'too slow':\n        pytest.skip('Takes too long to pass!')\n"
        "    assert list(evens(*input_data)) == expected\n"
    ),
}
EDIT = {
    "full_name": "own_2",
    "before": "def f(x):\n    return x == None\n",
    "after": "def f(x):\n    return x is None\n",
    "instruction_lazy": "use is None",
    "instruction_descriptive": "Use `is None` instead of `== None`",
    "tests": "assert f(None)\nassert not f(0)\n",
}
ROWS = [
    ("infill", INFILL), ("infill", SPAN), ("program", HUMAN_EVAL), ("program", MBPP), ("repair", FIX), ("repair", QUIX),
    ("edit", EDIT),
]  # fmt: skip


def written(folder: Path, *rows: object) -> Path:
    file = folder / "data.jsonl"
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def only(folder: Path, task, row) -> Problem:
    problems = read(written(folder, row), task).usable
    assert problems
    return problems[0]


@pytest.mark.parametrize(("task", "row"), ROWS)
def test_a_reference_passes_its_own_tests(tmp_path, task, row):
    """And the text as it is asked about does not."""
    problem = only(tmp_path, task, row)
    assert run(problem.reference + problem.test).passed
    assert run(problem.text + problem.test).passed is (task == "edit")


def test_a_hole_of_whole_lines_is_an_indented_empty_line(tmp_path):
    problem = only(tmp_path, "infill", INFILL)
    assert isinstance(problem.task, Complete)
    assert not problem.task.multiline
    at = problem.task.cursor
    assert problem.text[:at].endswith('"""\n    ')
    assert problem.text[at:] == "\n    return twice\n"


def test_a_hole_inside_a_line_is_left_there(tmp_path):
    problem = only(tmp_path, "infill", SPAN)
    assert isinstance(problem.task, Complete)
    assert problem.text == SPAN["prompt"] + SPAN["suffix"]
    assert problem.task.multiline


def test_mbpp_shows_the_description_and_the_first_test(tmp_path):
    text = only(tmp_path, "program", MBPP).text
    assert text == 'LEAST = 0\n"""\nWrite a function to double a number.\nassert double(2) == 4\n"""\n'


def test_repairs_are_asked_for_at_the_function(tmp_path):
    for row, name in ((FIX, "def double"), (QUIX, "def evens")):
        problem = only(tmp_path, "repair", row)
        assert isinstance(problem.task, Fix)
        assert problem.text[problem.task.span.start :].startswith(name)


def test_quixbugs_without_its_own_test_file(tmp_path):
    plain = {**QUIX, "json_tests": QUIX["json_tests"][:2]}
    del plain["pytest"]
    problem = only(tmp_path, "repair", plain)
    assert run(problem.reference + problem.test).passed
    assert not run(problem.reference.replace("2 *", "3 *") + problem.test).passed


def test_quixbugs_without_json_tests_is_skipped_and_counted(tmp_path):
    found = read(written(tmp_path, QUIX, {**QUIX, "json_tests": None}), "repair")
    assert len(found.usable) == 1
    assert found.skipped == {"no json_tests": 1}


def test_both_instructions_are_problems(tmp_path):
    found = read(written(tmp_path, EDIT), "edit").usable
    assert [p.task for p in found] == [Refactor("use is None"), Refactor(EDIT["instruction_descriptive"])]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not an object but list"),
        ("[" * 100_000, "is not JSON"),
        ({k: v for k, v in INFILL.items() if k != "suffix"}, "lacks what `infill` needs: suffix"),
        ({**INFILL, "prompt": 3}, "`prompt` is int, not str"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, said):
    with pytest.raises(DataError) as error:
        read(written(tmp_path, INFILL, "", line), "infill")
    assert "data.jsonl:3" in str(error.value)
    assert said in str(error.value)


def test_a_repair_without_its_function_is_named(tmp_path):
    with pytest.raises(DataError, match=r"data.jsonl:1 .*there is no function `other`"):
        read(written(tmp_path, {**FIX, "entry_point": "other"}), "repair")


def test_a_file_that_is_no_text_or_empty(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read(file, "infill")
    with pytest.raises(DataError, match="no problems"):
        read(written(tmp_path), "infill")


def test_the_limit_counts_rows(tmp_path):
    assert len(read(written(tmp_path, INFILL, "", SPAN, INFILL), "infill", 2).usable) == 2
    assert read(written(tmp_path, INFILL, "{"), "infill", 1).usable  # what is beyond the limit is not read


def test_an_editors_indentation():
    assert auto_indent("def f():\n") == "    "
    assert auto_indent("    x = 1\n\n") == "    "
    assert auto_indent("    for x in y:\n        break\n") == "    "
    assert auto_indent("") == ""

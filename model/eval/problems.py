"""Reading benchmark files: JSON lines with the published fields, each row checked, into `Problem`s.

A `Problem` says what stands in the editor, what is asked there, and which programs tell whether an answer is right.
Knows the benchmarks' fields and nothing of engines or sandboxes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from model.editing.source import Span
from model.eval.quixbugs import program_of_tests
from model.request import Complete, Document, Fix, Refactor, Request

Row = Mapping[str, Any]
_LEVEL = "    "
_LEAVES = re.compile(r"(?:return|raise|break|continue|pass)\b")
TaskName = Literal["infill", "program", "repair", "edit"]


class DataError(ValueError):
    """An evaluation file cannot be used; the message names the file, the line and what is missing."""


@dataclass(frozen=True)
class Problem:
    """`text` is what stands in the editor and `reference` what should stand there afterwards. The program under
    test is such a text followed by `test`."""

    name: str
    kind: str
    text: str
    reference: str
    test: str
    task: Complete | Fix | Refactor
    hole: str | None = None
    """The reference's text of a hole; None for a change of existing code."""
    indent: str = ""
    """What the editor has put before the cursor of a hole of whole lines."""
    program: Literal["", "body", "function"] = ""
    """For a hole that is the whole rest of the text: the body of a function whose first lines stand in the text,
    or a function with all that it needs."""

    @property
    def path(self) -> str:
        return re.sub(r"[^A-Za-z0-9]+", "_", self.name) + ".py"

    @property
    def request(self) -> Request:
        return Request(Document(self.text, "python", self.path), self.task)


@dataclass(frozen=True)
class Problems:
    """What a file holds; `skipped` counts rows that cannot be used, by reason."""

    usable: tuple[Problem, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)


def read(path: Path, task: TaskName, limit: int | None = None) -> Problems:
    """At most `limit` rows of a file; raises DataError naming the line, and OSError."""
    usable: list[Problem] = []
    skipped: dict[str, int] = {}
    for number, row in _rows(path, limit):
        found = _problems(path, number, task, row)
        if not found:
            skipped["no json_tests"] = skipped.get("no json_tests", 0) + 1
        usable += found
    if not usable:
        raise DataError(f"{path} holds no problems for `{task}`")
    return Problems(tuple(usable), skipped)


def _rows(path: Path, limit: int | None) -> Iterator[tuple[int, Row]]:
    count = 0
    with path.open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(_decoded(path, lines), 1):
            if not line.strip():
                continue
            if limit is not None and count >= limit:
                return
            count += 1
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}:{number} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise DataError(f"{path}:{number} is not an object but {type(row).__name__}")
            yield number, row


def _decoded(path: Path, lines: Iterator[str]) -> Iterator[str]:
    number = 0
    try:
        for line in lines:
            number += 1
            yield line
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 after line {number}: {error.reason}") from error


def _problems(path: Path, number: int, task: TaskName, row: Row) -> list[Problem]:
    """A row's problems; none where it cannot be used by design."""
    missing: list[str] = []
    for fields, make in FORMATS[task]:
        absent = [name for name in fields if name not in row]
        if not absent:
            _check_types(path, number, fields, row)
            try:
                return make(row)
            except (ValueError, TypeError, LookupError) as error:
                raise DataError(f"{path}:{number} cannot be used for `{task}`: {error}") from error
        missing.append(f"{', '.join(absent)} (of {', '.join(fields)})")
    raise DataError(f"{path}:{number} lacks what `{task}` needs: " + "; or ".join(missing))


def _check_types(path: Path, number: int, fields: Mapping[str, type], row: Row) -> None:
    for name, kind in fields.items():
        if not isinstance(row[name], kind):
            raise DataError(f"{path}:{number}: `{name}` is {type(row[name]).__name__}, not {kind.__name__}")


def _infilling(row: Row) -> list[Problem]:
    """HumanEval-infilling. Where the hole is one of whole lines (the prompt ends with a line and so does the
    solution) the editor shows an indented empty line there, and an answer without a final line end does not run
    into the suffix. Single-line problems say so by name: then one line is asked for."""
    prompt, suffix, hole = row["prompt"], row["suffix"], row["canonical_solution"]
    name = str(row.get("task_id", row["entry_point"]))
    is_lines = prompt.endswith("\n") and hole.endswith("\n")
    below = "\n" + suffix if is_lines else suffix
    reference = prompt + (hole.removesuffix("\n") if is_lines else hole) + below
    indent = auto_indent(prompt) if is_lines else ""
    task = Complete(len(prompt + indent), multiline=not name.startswith("SingleLine"), asked=True)
    kind = name.partition("/")[0] if "/" in name else "infill"
    return [Problem(name, kind, prompt + indent + below, reference, _check(row), task, hole, indent)]


def auto_indent(text: str) -> str:
    """The indentation that an editor gives a new line at the end of `text`: that of the last line with code, one
    level more after a colon, one less after a statement that leaves its block."""
    line = next((line for line in reversed(text.split("\n")) if line.strip()), "")
    indent = line[: len(line) - len(line.lstrip())]
    if line.rstrip().endswith(":"):
        return indent + _LEVEL
    return indent.removesuffix(_LEVEL) if _LEAVES.match(line.strip()) else indent


def _human_eval(row: Row) -> list[Problem]:
    prompt, solution = row["prompt"], row["canonical_solution"]
    task = Complete(len(prompt), asked=True)
    name = str(row.get("task_id", row["entry_point"]))
    return [
        Problem(name, "HumanEval", prompt, prompt + solution, _check(row), task, solution, program="body")
    ]


def _check(row: Row) -> str:
    return f"\n\n{row['test']}\n\ncheck({row['entry_point']})\n"


def _mbpp(row: Row) -> list[Problem]:
    """MBPP: the prompt is a docstring of the description and the first test, after any set-up code."""
    words = row["text"] if "text" in row else row["prompt"]
    tests = [str(test) for test in row["test_list"]]
    if not isinstance(words, str) or not tests:
        raise ValueError("the description is no text, or there are no tests")
    setup = str(row.get("test_setup_code") or "")
    above = setup + "\n" if setup else ""
    prompt = f'{above}"""\n{words.strip()}\n{tests[0]}\n"""\n'
    name, solution = f"MBPP/{row.get('task_id', row.get('name', ''))}", row["code"].replace("\r\n", "\n")
    imports = "\n".join(row.get("test_imports") or ())
    checks = "\n\n" + imports + "\n" + "\n".join(tests) + "\n"
    task = Complete(len(prompt), asked=True)
    return [Problem(name, "MBPP", prompt, prompt + solution, checks, task, solution, program="function")]


def _human_eval_fix(row: Row) -> list[Problem]:
    """HumanEvalFix: the function with its bug and, below it, its tests, as the benchmark shows them."""
    above = row["declaration"] if "declaration" in row else row["prompt"]
    broken, good = above + row["buggy_solution"], above + row["canonical_solution"]
    test = "\n\n" + row["test"].strip("\n") + "\n"
    if f"\ncheck({row['entry_point']})" not in test:
        test += f"\ncheck({row['entry_point']})\n"
    name = str(row.get("task_id", row["entry_point"]))
    task = _fix_at(broken, row["entry_point"])
    # The tests stay out of the text, so that no answer can drop them.
    return [Problem(name, "HumanEvalFix", broken, good, test, task)]


def _quix_bugs(row: Row) -> list[Problem]:
    """QuixBugs: rows whose inputs are graphs have no JSON tests and are skipped. The buggy file ends with a
    description, which the correct one lacks."""
    name, cases, source = row["name"], row.get("json_tests"), row.get("pytest")
    if not cases:
        return []
    if not isinstance(cases, list) or not isinstance(source, str | None):
        raise ValueError("`json_tests` is no list or `pytest` no text")
    broken, test = row["buggy"], program_of_tests(name, cases, source)
    about = re.search(r'(?ms)^""".*\Z', broken)
    good = row["correct"].rstrip() + "\n\n\n" + (about.group() if about else "")
    return [Problem(name, "QuixBugs", broken, good, test, _fix_at(broken, name))]


def _fix_at(text: str, function: str) -> Fix:
    """A fix of the top-level function of that name, asked for at its first line."""
    found = re.search(rf"(?m)^(?:async )?def {re.escape(function)}\b", text)
    if found is None:
        raise ValueError(f"there is no function `{function}` in the buggy code")
    return Fix(Span(found.start(), found.start()))


def _can_it_edit(row: Row) -> list[Problem]:
    """CanItEdit: one problem for each of the two instructions, over the whole file."""
    name, before, after = (
        str(row.get("full_name", row.get("name", row.get("id", "")))),
        row["before"],
        row["after"],
    )
    kinds = {"lazy": row["instruction_lazy"], "descriptive": row["instruction_descriptive"]}
    test = "\n\n" + row["tests"] + "\n"
    return [
        Problem(f"{name}/{kind}", f"CanItEdit {kind}", before, after, test, Refactor(words.strip()))
        for kind, words in kinds.items()
    ]


Make = Callable[[Row], list[Problem]]
FORMATS: dict[TaskName, list[tuple[dict[str, type], Make]]] = {
    "infill": [
        (dict.fromkeys(("prompt", "suffix", "canonical_solution", "test", "entry_point"), str), _infilling)
    ],
    "program": [
        (dict.fromkeys(("prompt", "canonical_solution", "test", "entry_point"), str), _human_eval),
        ({"text": str, "code": str, "test_list": list}, _mbpp),
        ({"prompt": str, "code": str, "test_list": list}, _mbpp),
    ],
    "repair": [
        (
            dict.fromkeys(
                ("declaration", "buggy_solution", "canonical_solution", "test", "entry_point"), str
            ),
            _human_eval_fix,
        ),
        (
            dict.fromkeys(("prompt", "buggy_solution", "canonical_solution", "test", "entry_point"), str),
            _human_eval_fix,
        ),
        (dict.fromkeys(("name", "buggy", "correct"), str), _quix_bugs),
    ],
    "edit": [
        (
            dict.fromkeys(("before", "after", "instruction_lazy", "instruction_descriptive", "tests"), str),
            _can_it_edit,
        )
    ],
}
"""Task -> the fields of each format that it reads, with their types, and what makes problems of such a row."""

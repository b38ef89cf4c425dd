"""Tests of QuixBugs as one program: the published test file runs on a stand-in for pytest, next to the candidate.

The published files know which results are generators, which need a tolerance and which inputs take too long;
a row without one gets a plain comparison. Standard library only: the text runs in the sandbox.
"""

from __future__ import annotations

import json
from typing import Any

_PLAIN = """
import pytest
from load_testdata import load_json_testcases
from python_programs.{name} import {name}


def plain(value):
    if hasattr(value, "__iter__") and not isinstance(value, (str, dict)):
        return [plain(each) for each in value]
    return pytest.approx(value) if isinstance(value, float) else value


@pytest.mark.parametrize("input_data,expected", load_json_testcases("{name}"))
def test_it(input_data, expected):
    arguments = input_data if isinstance(input_data, list) else [input_data]
    assert plain({name}(*arguments)) == expected
"""

_HARNESS = """


def _run_tests(source, name, cases, scope):
    import math, sys
    from types import ModuleType, SimpleNamespace

    class Skipped(Exception):
        pass

    def skip(*_, **__):
        raise Skipped

    class approx:
        def __init__(self, expected, rel=1e-6, abs=1e-12):
            self.expected, self.rel, self.abs = expected, rel, abs

        def __eq__(self, other):
            return math.isclose(other, self.expected, rel_tol=self.rel, abs_tol=self.abs)

    def parametrize(names, rows):
        def mark(test):
            test.rows = [row if "," in names else (row,) for row in rows]
            return test

        return mark

    candidate = ModuleType(name)
    candidate.__dict__.update(scope)
    stand_ins = {
        "pytest": SimpleNamespace(
            use_correct=False, approx=approx, skip=skip, mark=SimpleNamespace(parametrize=parametrize)
        ),
        "load_testdata": SimpleNamespace(load_json_testcases=lambda _: cases),
    }
    for package in ("python_programs", "correct_python_programs"):
        stand_ins[package], stand_ins[f"{package}.{name}"] = ModuleType(package), candidate
    sys.modules.update(stand_ins)
    tests = {"__name__": "tests"}
    exec(compile(source, "tests.py", "exec"), tests)
    ran = 0
    for test in [each for key, each in tests.items() if key.startswith("test") and callable(each)]:
        for row in getattr(test, "rows", [()]):
            try:
                test(*row)
            except Skipped:
                continue
            ran += 1
    assert ran, "no test ran"


import json as _json
"""


def program_of_tests(name: str, cases: list[Any], source: str | None) -> str:
    """What to append to a candidate for the function `name`: it raises where a test fails."""
    tests = source or _PLAIN.format(name=name)
    data = json.dumps(json.dumps(cases))
    return f"{_HARNESS}_run_tests({tests!r}, {name!r}, _json.loads({data}), globals())\n"

"""All refactorings that a model is taught: a linter's, and those made with the syntax tree."""

from __future__ import annotations

from dataclasses import replace

from model.train.refactorings.backward import BACKWARD
from model.train.refactorings.blocks import (
    close_by_hand,
    nest_conditions,
    nest_else_if,
    unroll_comprehension,
)
from model.train.refactorings.codemods import CODEMODS, made_by
from model.train.refactorings.linted import LINTED
from model.train.refactorings.refactoring import Maker, Refactoring
from model.train.refactorings.removals import (
    backwards,
    remove_docstrings,
    remove_hints,
    remove_prints,
    remove_unreachable,
)
from model.train.refactorings.renames import rename

_MAKERS: dict[str, Maker] = {
    **{codemod.name: made_by(codemod) for codemod in CODEMODS},
    **BACKWARD,
    "no_prints": remove_prints,
    "comprehensions": unroll_comprehension,
    "collapsed_else_if": nest_else_if,
    "merged_if": nest_conditions,
}
"""For refactorings that a linter does too, and of which good code gives it few."""

REFACTORINGS: dict[str, Refactoring] = {
    r.name: r
    for r in (
        *(replace(each, make=_MAKERS.get(each.name)) for each in LINTED),
        Refactoring(
            "rename",
            (
                "Rename `{old}` to `{new}`",
                "rename {old} to {new}",
                "Rename the variable {old} to {new}",
                "Change the name {old} to {new}",
                "Use the name `{new}` for `{old}`",
                "call {old} {new} instead",
            ),
            make=rename,
        ),
        Refactoring(
            "context_manager",
            (
                "Use a context manager for the file",
                "open the file in a with statement",
                "Replace open and close with a with block",
                "use with instead of closing by hand",
                "Close the file by a with statement",
            ),
            make=close_by_hand,
        ),
        Refactoring(
            "docstring_removed",
            (
                "Remove the docstring",
                "delete the docstrings",
                "Strip documentation strings",
                "drop the docstring",
                "Take out the docstring",
            ),
            make=remove_docstrings,
        ),
        Refactoring(
            "hints_removed",
            (
                "Remove the type hints",
                "delete the type annotations",
                "Strip all annotations",
                "drop type hints",
                "Make it untyped",
            ),
            make=remove_hints,
        ),
        Refactoring(
            "unreachable_code",
            (
                "Remove unreachable code",
                "delete the dead code",
                "Drop statements that never run",
                "remove code after return",
                "Clean up unreachable statements",
            ),
            make=remove_unreachable,
        ),
        Refactoring(
            "docstring_restored",
            (
                "Add a docstring",
                "write a docstring",
                "Document this function",
                "add documentation",
            ),
            make=backwards(remove_docstrings),
            instructed=False,
        ),
        Refactoring(
            "hints_restored",
            (
                "Add type hints",
                "annotate the parameters and the result",
                "Add type annotations",
                "make it typed",
            ),
            make=backwards(remove_hints),
            instructed=False,
        ),
    )
}

MAKERS: dict[str, Maker] = {name: r.make for name, r in REFACTORINGS.items() if r.make is not None}

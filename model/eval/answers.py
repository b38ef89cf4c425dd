"""Asking the engine, as its users do, and what an answer is: the text in the editor afterwards and what it cost.

A benchmark measures the product: prompts, trimming and the verdict included. What is not offered leaves the text as
it was. Nothing is retried, and no answer sees a test that the benchmark does not show.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model.editing.edit import apply
from model.engine import DiffusionEngine
from model.eval.problems import Problem, auto_indent
from model.request import Complete, Cost, Document, Proposal, Request, Status

PROGRAM_TOKENS = 512
"""Of one whole program; a program is asked for until the model adds nothing, the function ends, or these are spent."""
_ROUNDS = 64
_DEFINITION = re.compile(r"(?:async\s+def|def|class)\b")
_GOES_ON = re.compile(r"(?:async\s+def|def|class|import|from)\b|[@#)\]}]")


@dataclass(frozen=True)
class Answer:
    """`text`: the whole document afterwards. `written`: what went into a hole, empty for changes of code.
    `status` is the (last) proposal's."""

    text: str
    written: str
    status: str
    is_offered: bool
    cost: Cost


def answer(engine: DiffusionEngine, problem: Problem) -> Answer:
    """One problem's answer."""
    if problem.program:
        return write_program(engine, problem)
    return answered(engine.propose(problem.request), problem.request)


def answered(proposal: Proposal, request: Request) -> Answer:
    """A proposal as an answer."""
    text = apply(proposal.edits, request.document.text)
    written = "".join(e.new for e in proposal.edits) if isinstance(request.task, Complete) else ""
    return Answer(text, written, proposal.status, proposal.status == "offered", proposal.cost)


def write_program(engine: DiffusionEngine, problem: Problem) -> Answer:
    """Completions at the end of the text, one after the other: each on a new line, indented as an editor does, or,
    where a fill was cut off by its own limit, right behind it. Where the model adds nothing the line moves out a
    level, and at the outermost one the program ends. So it does, cut, before a top-level statement that follows the
    function, and when its tokens are spent."""
    begin, text, offered = len(problem.text), problem.text, False
    fill_limit = engine.reader.decoding.fill_limit
    costs: list[Cost] = []
    status: Status = "unchanged"
    while len(costs) < _ROUNDS and sum(c.tokens for c in costs) < PROGRAM_TOKENS:
        for start in _starts(text, problem):
            request = Request(Document(start, "python", problem.path), Complete(len(start), asked=True))
            proposal = engine.propose(request)
            costs.append(proposal.cost)
            status = proposal.status
            if status == "offered":
                break
        else:
            break
        offered = True
        text = apply(proposal.edits, start)
        end = end_of_function(text, begin, header=problem.program == "body")
        if end is not None:
            text = text[:end]
            break
        text += "" if proposal.cost.tokens >= fill_limit else "\n"
    return Answer(text, text[begin:], "offered" if offered else status, offered, total(costs))


def _starts(text: str, problem: Problem) -> list[str]:
    """`text` with each indentation that its next line may have, the deepest first; itself inside a line."""
    if text and not text.endswith("\n"):
        return [text]
    deepest, outermost = auto_indent(text), 4 if problem.program == "body" else 0
    return [text + " " * depth for depth in range(max(outermost, len(deepest)), outermost - 1, -4)]


def end_of_function(text: str, begin: int, header: bool) -> int | None:
    """Where, after `begin`, the first top-level statement starts that does not belong to the answer; None where
    there is none. With `header` the function's first line stands before `begin`; without, the answer defines it,
    and further definitions and imports still belong to the answer."""
    is_defined, at = header, begin
    for line in text[begin:].split("\n"):
        is_top = bool(line.strip()) and not line[0].isspace() and (at > begin or text[:begin].endswith("\n"))
        if is_top and line[0] not in ")]}":
            if is_defined and (header or not _GOES_ON.match(line)):
                return at
            is_defined = is_defined or _DEFINITION.match(line) is not None
        at += len(line) + 1
    return None


def total(costs: Sequence[Cost]) -> Cost:
    return Cost(
        sum(c.forwards for c in costs),
        sum(c.prefills for c in costs),
        sum(c.tokens for c in costs),
        sum(c.milliseconds for c in costs),
    )

"""The real server with the model that ships in the repository: what `make try` shows, and its promises."""

import io

import pytest
from rich.console import Console

from lsp_server.tour import tour
from model.editing.edit import apply
from model.editing.source import Span
from model.editing.syntax import parse
from model.eval.cases import broken_functions, intact_functions
from model.eval.holes import completions
from model.loading import load_engine
from model.request import Complete, Document, Fix, Refactor, Request
from model.train.corpus import SourceFile


@pytest.fixture(scope="module")
def engine():
    return load_engine()


@pytest.fixture(scope="module")
def files(pytestconfig):
    """Our own sources: no model was trained on them."""
    paths = sorted((pytestconfig.rootpath / "model").rglob("*.py"))
    return [SourceFile("redraft", p.name, p.read_text("utf-8")) for p in paths]


async def test_the_tour_shows_three_jobs():
    """`make try`: the server starts, loads the model, and answers all three requests."""
    shown = io.StringIO()
    assert await tour(Console(file=shown, width=100)) == 0
    text = shown.getvalue()
    assert "server answered `initialize`" in text
    assert text.count(" forwards, ") == 3, text
    for written in (
        "+    block: torch.Tensor",
        "+def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:",
        "+        if window is None or not window.work_done_progress:",
    ):
        assert written in text, text
    for title in ("Inline completion", "Fix this function", "Refactor the file"):
        assert title in text


def test_an_offered_fix_never_has_more_syntax_errors(engine, files):
    """For broken and for intact functions, and nothing outside the function is touched."""
    cases = [*broken_functions(files, 60, seed=3), *intact_functions(files, 20, seed=3)]
    assert len(cases) == 80
    for case in cases:
        before = case.request.document.text
        proposal = engine.propose(case.request)
        assert proposal.status in ("offered", "unchanged", "rejected", "declined"), proposal
        if proposal.status == "offered":
            after = apply(proposal.edits, before)
            assert after != before
            assert parse(after, "python").problem_count() <= parse(before, "python").problem_count()


def test_completions_stay_at_the_cursor(engine, files):
    """An inline completion is one insertion at the cursor, and the file parses no worse."""
    for case in completions(files, 25, seed=3):
        task = case.request.task
        assert isinstance(task, Complete)
        proposal = engine.propose(case.request)
        if proposal.status == "offered":
            (edit,) = proposal.edits
            assert edit.start == edit.end == task.cursor
            assert edit.new.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\0\x01\x02",
        "x = '\ud800'\n",
        "a\r\nb\rc\n",
        "\f\u2028\n",
        "e\u0301 = 1\n😀 = 2\n",
        "(" * 3000,
    ],
)
def test_odd_texts_are_answered_and_never_damaged(engine, text):
    """Every task on every odd text gives an answer whose edits apply, and never a NUL or U+FFFD of its own."""
    for task in (
        Complete(10**6),
        Complete(0),
        Fix(Span(0, 0)),
        Refactor("tidy"),
        Refactor("tidy", Span(0, len(text))),
    ):
        proposal = engine.propose(Request(Document(text, "python"), task))
        after = apply(proposal.edits, text)
        assert after.count("\0") == text.count("\0")
        assert after.count("\ufffd") == text.count("\ufffd")
        assert proposal.status == "offered" or not proposal.edits

"""Completions by the engine with an oracle for a network."""

from __future__ import annotations

import time

import pytest

from model.checkpoint import Decoding
from model.editing.edit import apply
from model.editing.source import Span
from model.editing.syntax import parse
from model.engine import Mode
from model.request import Complete, Document, Request, Snippet
from model.tokenizer import Tokenizer
from tests.model.engines import Built, ask, outcome


@pytest.mark.parametrize("mode", ["diffusion", "autoregressive", "speculative"])
def test_a_completion_is_inserted_at_the_cursor(built: Built, mode: Mode) -> None:
    text = "def add(a, b):\n    return \n"
    cursor = text.index("return ") + 7
    proposal = ask(built(complete="a + b", mode=mode), text, Complete(cursor))
    assert outcome(proposal, text) == "def add(a, b):\n    return a + b\n"
    (edit,) = proposal.edits
    assert (edit.start, edit.end, edit.new) == (cursor, cursor, "a + b")


def test_a_cursor_inside_a_word(built: Built) -> None:
    """The rest of the word is in the prompt; only what is missing is inserted."""
    text = "result = 1\nprint(ret)\n"
    cursor = text.index("ret") + 2
    engine = built(complete=lambda rest: "sul" if rest == "t)" else "wrong")
    assert outcome(ask(engine, text, Complete(cursor)), text) == "result = 1\nprint(result)\n"


def test_a_selected_item_is_extended_over_its_range(built: Built) -> None:
    text = "items.ap\n"
    task = Complete(8, replace=Span(6, 8), start_with="append")
    proposal = ask(built(complete="(x)"), text, task)
    assert outcome(proposal, text) == "items.append(x)\n"
    assert proposal.edits[0].start == 6


def test_nothing_to_complete_is_unchanged(built: Built) -> None:
    assert ask(built(complete=""), "x = 1\n", Complete(5)).status == "unchanged"


@pytest.mark.parametrize("cursor", [-5, 6, 7, 10_000])
def test_a_position_past_the_end_is_the_end(built: Built, cursor: int) -> None:
    proposal = ask(built(complete="y = ("), "x = 1\n", Complete(cursor, asked=True), language=None)
    assert apply(proposal.edits, "x = 1\n") in ("y = (x = 1\n", "x = 1\ny = (")
    assert proposal.status == "offered"


def test_an_empty_file_can_be_completed(built: Built) -> None:
    assert outcome(ask(built(complete="import os"), "", Complete(0)), "") == "import os"


def test_an_unsure_completion_is_held_back(built: Built) -> None:
    engine = built(complete="abc", confidence=lambda i: 0.3, decoding=Decoding(min_confidence=0.5))
    proposal = ask(engine, "x = \n", Complete(4))
    assert (proposal.status, proposal.message) == ("rejected", "not confident enough")


def test_other_files_reach_the_prompt(built: Built, tokenizer: Tokenizer) -> None:
    engine = built(complete="1")
    heard: list[str] = []
    inner = engine.backend._answer
    engine.backend._answer = lambda prompt: (heard.append(tokenizer.decode(prompt)), inner(prompt))[1]
    request = Request(
        Document("x = \n", "python", "/p/a.py"), Complete(4), (Snippet("/p/b.py", "unusual_name = 5\n"),)
    )
    assert engine.propose(request).status == "offered"
    assert any("unusual_name" in prompt for prompt in heard)


def test_a_deadline_gives_the_verified_part_of_a_completion(built: Built) -> None:
    """One step past the deadline: what was committed before the first mask, and nothing of what was not."""
    unsure = iter([0.99, 0.99, 0.99, 0.2, 0.99, *[0.2] * 1000])
    engine = built(complete="12345678", confidence=lambda i: next(unsure), decoding=Decoding(tau_mask=0.9))
    request = Request(Document("x = \n", "python"), Complete(4))
    proposal = engine.propose(request, deadline=time.monotonic() - 1)
    assert proposal.cost.forwards == 1
    assert [e.new for e in proposal.edits] == ["123"]


def test_several_candidates_begin_with_other_tokens(built: Built) -> None:
    """The first is what a request for one alone gets; the others differ from it and from each other."""
    engine = built(complete="abc(x)")
    alone = ask(engine, "y = \n", Complete(4, asked=True))
    assert not alone.alternatives
    several = ask(engine, "y = \n", Complete(4, asked=True, candidates=4))
    assert several.edits == alone.edits
    texts = [edits[0].new for edits in (several.edits, *several.alternatives)]
    assert len(set(texts)) == len(texts) == 4
    assert len({text[0] for text in texts}) == 4
    assert several.cost.forwards > alone.cost.forwards


def test_candidates_that_would_break_the_file_are_left_out(built: Built) -> None:
    engine = built(complete="f(x)")
    found = ask(engine, "y = 0\n", Complete(6, asked=True, candidates=8))
    for edits in (found.edits, *found.alternatives):
        assert not parse(apply(edits, "y = 0\n"), "python").has_errors


@pytest.mark.parametrize("mode", ["autoregressive", "speculative", "prompt-lookup"])
def test_the_causal_modes_have_one_candidate(built: Built, mode: Mode) -> None:
    found = ask(built(complete="abc", mode=mode), "y = \n", Complete(4, asked=True, candidates=3))
    assert found.status == "offered"
    assert not found.alternatives

"""The engine with an oracle for a network: fixes, what is offered, refused and left alone, on text of every kind."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.canvas import Canvas
from model.config import ModelConfig
from model.editing.edit import apply
from model.editing.source import Span
from model.editing.syntax import parse
from model.engine import EngineRun, Mode
from model.request import Complete, Document, Fix, Refactor, Request
from model.tokenizer import MASK, Tokenizer
from tests.model.engines import BROKEN, GOOD, Built, ask, at, outcome


@pytest.mark.parametrize("mode", ["diffusion", "autoregressive", "speculative"])
def test_a_fix_repairs_the_function_at_the_cursor(built: Built, mode: Mode) -> None:
    engine = built(lambda old: old.replace("items)\n", "items):\n"), mode=mode)
    proposal = ask(engine, BROKEN, Fix(at(BROKEN, "s += i")))
    assert outcome(proposal, BROKEN) == GOOD
    assert [(e.end - e.start, e.new) for e in proposal.edits] == [(0, ":")]
    assert proposal.cost.forwards > 0
    assert 0 < proposal.confidence <= 1


def test_a_fix_of_what_needs_none_is_unchanged(built: Built) -> None:
    proposal = ask(built(), GOOD, Fix(at(GOOD, "s += i")))
    assert (proposal.status, proposal.edits) == ("unchanged", ())
    assert "change nothing" in proposal.message
    assert proposal.cost.forwards == 1


def test_a_fix_that_breaks_more_is_rejected(built: Built) -> None:
    """Its syntax errors would outnumber the input's: it is not offered, and the reason is said."""
    proposal = ask(built(lambda old: old.replace("(items):", "(items:")), GOOD, Fix(at(GOOD, "s += i")))
    assert (proposal.status, proposal.edits) == ("rejected", ())
    assert "syntax error" in proposal.message


def test_tokens_that_break_the_syntax_are_masked_and_written_anew(built: Built) -> None:
    """Syntax-guided remasking through the whole engine: the first answer drops a bracket; only what lies under
    the new error is asked again, and the second answer is offered."""
    text = "def f(a, b):\n    c = a * b\n    d = (c - 1)\n    return c + d\n"
    wanted = text.replace("c - 1", "c + 1")
    candidates = iter([wanted.replace("1)", "1]")] * 2)
    engine = built(lambda old: next(candidates, wanted))
    assert outcome(ask(engine, text, Fix(at(text, "return"))), text) == wanted
    masked = [canvas for canvas in engine.backend.canvases if MASK in canvas]
    assert masked
    assert all(canvas.count(MASK) <= 0.6 * len(canvas) for canvas in masked)


def test_remasking_gives_up_after_two_attempts(built: Built) -> None:
    """A network that insists on its error is not offered, and does not go on forever."""
    text = "def f(a, b):\n    c = a * b\n    d = (c - 1)\n    return c + d\n"
    proposal = ask(built(lambda old: text.replace("1)", "1]")), text, Fix(at(text, "return")))
    assert (proposal.status, proposal.edits) == ("rejected", ())
    assert proposal.cost.forwards <= 3 * 8


def test_there_is_nothing_to_fix_outside_a_function(built: Built) -> None:
    proposal = ask(built(), "import os\n\n\nx = 1\n", Fix(Span(0, 0)))
    assert proposal.status == "declined"
    assert "no function, method or class at the cursor" in proposal.message


@pytest.mark.parametrize("message", ["", "SyntaxError: expected ':'"])
def test_a_diagnostic_is_fixed_where_it_is(built: Built, message: str) -> None:
    engine = built(lambda old: old.replace("items)\n", "items):\n"))
    span = Span(BROKEN.index("total"), BROKEN.index("    s = 0"))
    assert outcome(ask(engine, BROKEN, Fix(span, message)), BROKEN) == GOOD


# Line ends, indentation, odd text


@pytest.mark.parametrize(("ends", "last"), [("\n", "\n"), ("\r\n", "\r\n"), ("\r\n", ""), ("\n", "")])
def test_line_ends_and_a_missing_last_one_are_kept(built: Built, ends: str, last: str) -> None:
    """The network sees and writes `\\n`; the file keeps what it has, in new lines too."""
    text = GOOD.rstrip("\n").replace("\n", ends) + last
    engine = built(lambda old: old.replace("    s = 0\n", "    s = 0\n    t = 1\n"))
    new = outcome(ask(engine, text, Fix(at(text, "s += i"))), text)
    assert new == text.replace(f"s = 0{ends}", f"s = 0{ends}    t = 1{ends}")


def test_lone_carriage_returns_are_kept(built: Built) -> None:
    """Grammars do not read them as line ends, so the syntax gate stays out of this one."""
    text = "alpha\rbeta\r"
    engine = built(lambda old: old.replace("alpha\n", "alpha\nnew\n"))
    proposal = ask(engine, text, Refactor("x"), None)
    assert apply(proposal.edits, text) == "alpha\rnew\rbeta\r"


def test_a_last_line_without_an_end_gets_none(built: Built) -> None:
    text = "def f():\n    return 1"
    new = outcome(ask(built(lambda old: old.replace("1", "2")), text, Fix(at(text, "return"))), text)
    assert new == "def f():\n    return 2"


def test_tabs_are_kept_and_spaces_do_not_come_in(built: Built) -> None:
    text = "def f():\n\tx = 1\n\treturn x\n"
    good = built(lambda old: old.replace("    x = 1\n", "    x = 1\n    y = 2\n"))
    assert outcome(ask(good, text, Fix(at(text, "return"))), text) == text.replace(
        "x = 1\n", "x = 1\n\ty = 2\n"
    )
    bad = built(lambda old: old.replace("    return x", "   return x"))
    assert ask(bad, text, Fix(at(text, "return"))).status == "rejected"


def test_odd_characters_survive_around_and_inside_a_change(built: Built) -> None:
    text = "# \f\u2028 é\u0301 👩‍💻\ndef f():\n    s = '👩‍💻\u2028\f'\n    return s\n# \x00 end\n"
    new = outcome(
        ask(built(lambda old: old.replace("return s", "return s2")), text, Fix(at(text, "return"))), text
    )
    assert new == text.replace("return s", "return s2")


def test_a_region_with_a_lone_surrogate_is_declined(built: Built) -> None:
    """It has no UTF-8 form, so rewriting it would lose it; elsewhere in the file it does no harm."""
    text = "def f():\n    return '\ud800'\n\n\ndef g():\n    return 1\n"
    declined = ask(built(lambda old: old.replace("return", "return  ")), text, Fix(at(text, "return")))
    assert declined.status == "declined"
    assert "half a character" in declined.message
    new = outcome(ask(built(lambda old: old.replace("1", "2")), text, Fix(at(text, "return 1"))), text)
    assert new == text.replace("1", "2")


def test_a_file_that_looks_binary_gets_an_answer_and_keeps_its_bytes(built: Built) -> None:
    text = "\x7fELF\0\0\x01def f(:\0\ufffd\n" * 20
    for task in (Refactor("tidy"), Fix(Span(5, 5)), Complete(7)):
        proposal = ask(built(complete="x"), text, task)
        assert proposal.status in ("unchanged", "declined", "rejected", "offered")
        assert len(apply(proposal.edits, text)) >= len(text)


def test_bytes_that_are_no_character_are_never_offered(built: Built, tokenizer: Tokenizer) -> None:
    half = tokenizer.encode("é")[0] if len(tokenizer.encode("é")) > 1 else tokenizer.encode("\u0fff")[0]
    engine = built()
    engine.backend._answer = lambda prompt: [half]
    proposal = ask(engine, "x = 1\n", Complete(6, asked=True))
    assert (proposal.status, proposal.edits) == ("rejected", ())
    assert "U+FFFD" in proposal.message


def test_a_fix_past_the_end_is_declined(built: Built) -> None:
    assert ask(built(), GOOD, Fix(Span(500, 500))).status == "declined"


# Languages


@pytest.mark.parametrize("language", [None, "brainfuck"])
def test_without_a_grammar_edits_are_offered_unchecked(built: Built, language: str | None) -> None:
    """No grammar, no gate: what would be refused in Python is offered as it is."""
    text = "alpha beta\n    gamma(1)\n"
    proposal = ask(
        built(lambda old: old.replace("(1)", "((1")), text, Refactor("x", Span(0, len(text))), language
    )
    assert apply(proposal.edits, text) == "alpha beta\n    gamma((1\n"
    assert proposal.status == "offered"
    assert "syntax not checked" in proposal.message


# Bounds in time


def test_a_stop_is_heard_within_one_step(built: Built) -> None:
    engine = built(complete="1234567", confidence=lambda i: 0.5)
    stops = iter([False, False, True])
    calls = 0
    forward = engine.backend.forward

    def counted(passes):
        nonlocal calls
        calls += 1
        return forward(passes)

    engine.backend.forward = counted
    proposal = engine.propose(
        Request(Document("x = \n", "python"), Complete(4)), should_stop=lambda: next(stops, True)
    )
    assert (proposal.status, proposal.edits, proposal.message) == ("stopped", (), "Cancelled.")
    assert calls == 3


def test_starting_costs_no_forward(built: Built) -> None:
    run = built().start(Request(Document(GOOD, "python"), Fix(at(GOOD, "s += i"))))
    assert run.cost().forwards == run.cost().prefills == 0
    assert run.proposal().status == "stopped"


# Any text


SAMPLES = st.sampled_from(
    [
        "def f(a):\n    return a\n",
        "class C:\n\tx = 1\n",
        "if x:\n  y()\n",
        "\r\n",
        "\u2028",
        "'''",
        "(",
        "é👩‍💻",
        "\0",
        "#\f\n",
    ]
)
ANY = st.lists(SAMPLES | st.text(max_size=8), max_size=8).map("".join)


def covered(before: str, after: str, span: Span) -> bool:
    """Everything outside `span` is as it was."""
    tail = before[span.end :]
    return after.startswith(before[: span.start]) and after.endswith(tail)


@settings(max_examples=60)
@given(ANY, st.text(max_size=12), st.data())
def test_no_text_outside_a_selection_is_ever_touched(
    oracle, tokenizer: Tokenizer, text_config: ModelConfig, text: str, new: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    span = Span(start, data.draw(st.integers(start, len(text))))
    engine = Built(oracle, tokenizer, text_config)(lambda old: new + old[::2])
    run = engine.start(Request(Document(text, "python"), Refactor("anything", span)))
    while run.step():
        pass
    regions = [q.region.span for q in run._questions]
    proposal = run.proposal()
    after = apply(proposal.edits, text)
    assert all(any(r.covers(e.span) for r in regions) for e in proposal.edits)
    if regions:
        assert covered(text, after, Span(min(r.start for r in regions), max(r.end for r in regions)))
    if proposal.status == "offered":
        assert after != text
        assert parse(after, "python").problem_count() <= parse(text, "python").problem_count()
    else:
        assert after == text


@settings(max_examples=60)
@given(ANY, st.text(max_size=12), st.integers(-2, 60))
def test_a_completion_only_ever_inserts(
    oracle, tokenizer: Tokenizer, text_config: ModelConfig, text: str, new: str, cursor: int
) -> None:
    proposal = ask(Built(oracle, tokenizer, text_config)(complete=new), text, Complete(cursor))
    place = min(max(0, cursor), len(text))
    after = apply(proposal.edits, text)
    assert covered(text, after, Span(place, place))
    assert all(e.start == e.end == place for e in proposal.edits)
    assert (after != text) is (proposal.status == "offered")


def test_a_canvas_can_be_watched(built: Built) -> None:
    """A client that draws the denoising reads the lanes between steps."""
    engine = built(complete="a + b", confidence=lambda i: 0.5)
    run = EngineRun(engine, Request(Document("x = \n", "python"), Complete(4)))
    states: list[Canvas] = []
    while run.step():
        states.append(run.sampler.lanes[0].canvas)
    masks = [len(c.masks) for c in states]
    assert masks == sorted(masks, reverse=True)
    assert len(set(masks)) > 1


@pytest.mark.parametrize("empty", ["", "\n\n", "    "])
def test_an_empty_answer_never_deletes_a_function(built: Built, empty: str) -> None:
    """A region with code is never replaced by nothing."""
    proposal = ask(built(lambda old: empty), GOOD, Fix(at(GOOD, "s += i")))
    assert proposal.status == "unchanged"
    assert not proposal.edits


def test_an_answer_that_was_cut_is_not_offered(built: Built) -> None:
    """Autoregressive decoding that reaches its limit before the end has lost the rest of the region."""
    engine = built(
        lambda old: old.replace("s += i", "s += i + 1") + "    x = 1\n" * 60, mode="autoregressive"
    )
    assert ask(engine, GOOD, Fix(at(GOOD, "s += i"))).status == "unchanged"


def test_a_byte_order_mark_stays(built: Built) -> None:
    text = "\ufeffdef f(x):\n    return x == None\n"
    proposal = ask(built(lambda old: old.replace("==", "is")), text, Fix(at(text, "return")))
    assert apply(proposal.edits, text) == text.replace("==", "is")


def test_a_remaining_syntax_error_is_named(built: Built) -> None:
    text = "def f(x:\n    return x\n"
    proposal = ask(built(), text, Fix(at(text, "return")))
    assert proposal.status == "unchanged"
    assert "line 1 remains" in proposal.message


def test_requests_that_are_stepped_together_get_their_own_answers(built: Built) -> None:
    """And they share forwards: together they take as many as the longest of them alone."""
    engine = built(rewrite=lambda old: old.replace("retrun", "return"))
    texts = ["def f(a):\n    retrun a\n", "def g():\n    x = 1\n    retrun x\n", "def h():\n    return 2\n"]
    engine.backend.batch = len(texts)
    requests = [Request(Document(text, "python"), Fix(Span(5, 5))) for text in texts]
    alone = [engine.propose(request) for request in requests]
    forwards = 0
    forward = engine.backend.forward

    def counted(passes):
        nonlocal forwards
        forwards += 1
        return forward(passes)

    engine.backend.forward = counted  # type: ignore[method-assign]
    runs = [engine.start(request) for request in requests]
    going = list(runs)
    while going:
        more = engine.step(going)
        going = [run for run, goes_on in zip(going, more, strict=True) if goes_on]
    for run, expected, text in zip(runs, alone, texts, strict=True):
        found = run.proposal()
        assert (found.status, found.edits) == (expected.status, expected.edits), text
        assert found.cost.forwards == expected.cost.forwards
    assert forwards == max(each.cost.forwards + each.cost.prefills for each in alone)


@pytest.mark.parametrize(
    ("policy", "why"),
    [("threshold:0.9+dual", "full attention"), ("fixed:4+all", r"behind \+ stands one of none")],
)
def test_what_only_full_attention_reuses_is_refused(built: Built, policy: str, why: str) -> None:
    request = Request(Document("x = 1\n", "python"), Complete(4, asked=True), policy=policy)
    with pytest.raises(ValueError, match=why):
        built().start(request)

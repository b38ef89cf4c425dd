"""The engine with an oracle for a network: what is offered, refused and left alone, on text of every kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.canvas import Canvas
from model.checkpoint import Decoding
from model.config import ModelConfig
from model.editing.edit import apply
from model.editing.source import Span
from model.editing.syntax import parse
from model.engine import DiffusionEngine, Mode
from model.request import Complete, Document, Fix, Proposal, Refactor, Request, Snippet, Task
from model.tokenizer import MASK, MID, NEW, OLD, REST, Tokenizer

DEFAULTS = Decoding()
Rewrite = Callable[[str], str]
BROKEN = "import os\n\n\ndef total(items)\n    s = 0\n    for i in items:\n        s += i\n    return s\n\n\nx = 1\n"
GOOD = BROKEN.replace("items)\n", "items):\n")
TWO = "def a(x):\n    return x == None\n\n\ndef b(y):\n    return y != 1\n\n\nclass C:\n    z = 3\n"


class Built:
    """Builds engines whose network rewrites a region, or writes a completion, as a test says."""

    def __init__(self, oracle, tokenizer: Tokenizer, config: ModelConfig) -> None:
        self.oracle, self.tokenizer, self.config = oracle, tokenizer, config

    def __call__(
        self,
        rewrite: Rewrite = lambda old: old,
        complete: str | Callable[[str], str] = "",
        mode: Mode = "diffusion",
        decoding: Decoding = DEFAULTS,
        config: ModelConfig | None = None,
        **oracle,
    ) -> DiffusionEngine:
        def answer(prompt: Sequence[int]) -> list[int]:
            prompt = list(prompt)
            if prompt[-1] == MID:
                rest = self.tokenizer.decode(prompt[prompt.index(REST) + 1 :])
                return self.tokenizer.encode(complete(rest) if callable(complete) else complete)
            assert prompt[-1] == NEW
            return self.tokenizer.encode(rewrite(self.tokenizer.decode(prompt[prompt.index(OLD) + 1 :])))

        backend = self.oracle(config or self.config, answer, **oracle)
        return DiffusionEngine(backend, self.tokenizer, decoding, mode)


@pytest.fixture
def built(oracle, tokenizer: Tokenizer, text_config: ModelConfig) -> Built:
    return Built(oracle, tokenizer, text_config)


def ask(engine: DiffusionEngine, text: str, task: Task, language: str | None = "python") -> Proposal:
    return engine.propose(Request(Document(text, language), task))


def at(text: str, needle: str) -> Span:
    offset = text.index(needle)
    return Span(offset, offset)


def outcome(proposal: Proposal, text: str) -> str:
    assert proposal.status == "offered", proposal
    assert proposal.message == ""
    return apply(proposal.edits, text)


# Fixes


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


# Refactorings


def test_a_whole_file_is_rewritten_in_one_answer(built: Built) -> None:
    engine = built(lambda old: old.replace("== None", "is None").replace("z = 3", "z = 4"))
    proposal = ask(engine, TWO, Refactor("use is"))
    assert outcome(proposal, TWO) == TWO.replace("== None", "is None").replace("z = 3", "z = 4")
    assert len(proposal.edits) == 2


def test_one_bad_region_does_not_spoil_the_others(built: Built) -> None:
    """Mixed regions: one improves, one breaks, one stays; only the first is offered."""
    engine = built(lambda old: old.replace("== None", "is None").replace("y != 1", "y != ("))
    proposal = ask(engine, TWO, Refactor("use is"))
    assert outcome(proposal, TWO) == TWO.replace("== None", "is None")


def test_a_selection_is_all_that_changes(built: Built) -> None:
    engine = built(lambda old: old.replace("return", "return  "))
    start = TWO.index("def b")
    proposal = ask(engine, TWO, Refactor("more space", Span(start, start + 20)))
    assert outcome(proposal, TWO) == TWO.replace("return y", "return   y")


def test_a_refactoring_that_finds_nothing_is_unchanged(built: Built) -> None:
    assert ask(built(), TWO, Refactor("tidy up")).status == "unchanged"


def test_more_regions_than_fit_in_a_batch(built: Built) -> None:
    text = "".join(f"def f{n}(x):\n    return x == None\n\n\n" for n in range(20))
    config = ModelConfig(**{**built.config.as_json(), "region_limit": 40})
    proposal = ask(built(lambda old: old.replace("==", "is"), config=config), text, Refactor("use is"))
    assert outcome(proposal, text) == text.replace("==", "is")


def test_a_line_longer_than_a_region_is_declined(built: Built) -> None:
    text = "x = [" + ", ".join(str(n) for n in range(1000)) + "]\n"
    proposal = ask(built(), text, Refactor("tidy up"))
    assert proposal.status == "declined"
    assert "longer than 160 tokens" in proposal.message


@pytest.mark.parametrize("text", ["", "\n\n", "   \n\t\n", "\f\u2028"])
def test_a_file_without_code_is_declined(built: Built, text: str) -> None:
    proposal = ask(built(), text, Refactor("tidy up"))
    assert (proposal.status, proposal.message) == ("declined", "there is no code here")


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
    good = built(lambda old: old.replace("\tx = 1\n", "\tx = 1\n\ty = 2\n"))
    assert outcome(ask(good, text, Fix(at(text, "return"))), text) == text.replace(
        "x = 1\n", "x = 1\n\ty = 2\n"
    )
    bad = built(lambda old: old.replace("\treturn x", "    return x"))
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
    assert "is not text" in declined.message
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
    proposal = ask(engine, "x = \n", Complete(4))
    assert (proposal.status, proposal.edits) == ("rejected", ())
    assert "U+FFFD" in proposal.message


# Completions


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
    proposal = ask(built(complete="y"), "x = 1\n", Complete(cursor))
    assert apply(proposal.edits, "x = 1\n") in ("yx = 1\n", "x = 1\ny")
    assert proposal.status == "offered"


def test_a_fix_past_the_end_is_declined(built: Built) -> None:
    assert ask(built(), GOOD, Fix(Span(500, 500))).status == "declined"


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
    assert (proposal.status, proposal.edits, proposal.message) == ("stopped", (), "cancelled")
    assert calls == 3


def test_a_deadline_gives_the_verified_part_of_a_completion(built: Built) -> None:
    """One step past the deadline: what was committed before the first mask, and nothing of what was not."""
    unsure = iter([0.99, 0.99, 0.99, 0.2, 0.99, *[0.2] * 1000])
    engine = built(complete="12345678", confidence=lambda i: next(unsure), decoding=Decoding(tau_mask=0.9))
    request = Request(Document("x = \n", "python"), Complete(4))
    proposal = engine.propose(request, deadline=time.monotonic() - 1)
    assert proposal.cost.forwards == 1
    assert [e.new for e in proposal.edits] == ["123"]


def test_a_deadline_before_any_region_is_done_offers_nothing(built: Built) -> None:
    engine = built(lambda old: old.replace("==", "is"))
    request = Request(Document(TWO, "python"), Refactor("use is", Span(0, 20)))
    proposal = engine.propose(request, deadline=time.monotonic() - 1)
    assert (proposal.status, proposal.edits, proposal.message) == ("stopped", (), "out of time")
    assert proposal.cost.forwards == 1


def test_regions_that_were_not_reached_are_mentioned(built: Built) -> None:
    text = "".join(f"def f{n}(x):\n    return x == None\n\n\n" for n in range(20))
    config = ModelConfig(**{**built.config.as_json(), "region_limit": 40})
    run = built(lambda old: old.replace("==", "is"), config=config).start(
        Request(Document(text, "python"), Refactor("use is"))
    )
    assert run.progress.done == 0
    while run.step() and run.progress.done == 0:
        pass
    assert 0 < run.progress.done < run.progress.total == 20
    proposal = run.proposal()
    assert proposal.status == "offered"
    assert "not reached in time" in proposal.message
    assert apply(proposal.edits, text).count("is None") == run.progress.done


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
    run = built(complete="a + b", confidence=lambda i: 0.5).start(
        Request(Document("x = \n", "python"), Complete(4))
    )
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


def test_a_long_instruction_is_declined(built: Built) -> None:
    proposal = ask(built(), GOOD, Refactor("please " * 200))
    assert proposal.status == "declined"
    assert "fewer words" in proposal.message


def test_unknown_instructions_are_declined_by_a_model_that_knows_few(built: Built) -> None:
    known = replace(DEFAULTS, instructions=(("Use `is None` instead of `== None`", "compare by identity"),))
    engine = built(lambda old: old.replace("==", "is"), decoding=known)
    text = "def f(x):\n    return x == None\n"
    for words in ("use is None", "Use is None instead of == None", "compare by identity"):
        assert ask(engine, text, Refactor(words)).status == "offered"
    for words in ("", "do nothing", "make it faster", "translate comments to German"):
        declined = ask(engine, text, Refactor(words))
        assert declined.status == "declined"
        assert "Use `is None` instead" in declined.message


def test_names_in_an_instruction_stand_where_its_placeholders_are(built: Built) -> None:
    known = replace(DEFAULTS, instructions=(("Rename `{old}` to `{new}`", "call {old} {new} instead"),))
    engine = built(lambda old: old.replace("x", "value"), decoding=known)
    text = "def f(x):\n    return x\n"
    for words in (
        "rename x to value",
        "Rename `x` to `value`",
        "Rename the variable x to value",
        "call x value instead",
    ):
        assert ask(engine, text, Refactor(words)).status == "offered"
    for words in (
        "rename",
        "rename to",
        "rename x",
        "call it",
        "rename all the long names in here to shorter ones",
    ):
        assert ask(engine, text, Refactor(words)).status == "declined"


def test_a_byte_order_mark_stays(built: Built) -> None:
    text = "\ufeffdef f(x):\n    return x == None\n"
    proposal = ask(built(lambda old: old.replace("==", "is")), text, Fix(at(text, "return")))
    assert apply(proposal.edits, text) == text.replace("==", "is")


def test_a_remaining_syntax_error_is_named(built: Built) -> None:
    text = "def f(x:\n    return x\n"
    proposal = ask(built(), text, Fix(at(text, "return")))
    assert proposal.status == "unchanged"
    assert "line 1 remains" in proposal.message

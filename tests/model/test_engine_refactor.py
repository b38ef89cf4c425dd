"""Refactorings by the engine with an oracle for a network: selections, whole files, known instructions."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from model.checkpoint import Instruction
from model.config import ModelConfig
from model.editing.edit import apply
from model.editing.source import Span
from model.request import Document, Frame, Refactor, Request
from tests.model.engines import DEFAULTS, GOOD, TWO, Built, ask, outcome

IS_NONE = Instruction(("Use `is None` instead of `== None`", "compare by identity"), 0.9)


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


def test_a_long_instruction_is_declined(built: Built) -> None:
    proposal = ask(built(), GOOD, Refactor("please " * 200))
    assert proposal.status == "declined"
    assert "fewer words" in proposal.message


def test_unknown_instructions_are_declined_by_a_model_that_knows_few(built: Built) -> None:
    known = replace(
        DEFAULTS,
        instructions=(Instruction(("Use `is None` instead of `== None`", "compare by identity"), 0.9),),
    )
    engine = built(lambda old: old.replace("==", "is"), decoding=known)
    text = "def f(x):\n    return x == None\n"
    for words in ("use is None", "Use is None instead of == None", "compare by identity"):
        assert ask(engine, text, Refactor(words)).status == "offered"
    for words in ("", "do nothing", "make it faster", "translate comments to German"):
        declined = ask(engine, text, Refactor(words))
        assert declined.status == "declined"
        assert "Use `is None` instead" in declined.message


def test_a_local_refactoring_changes_nothing_else(built: Built) -> None:
    """`!= None` that became `is None` would parse, and mean the opposite; so would a lost name."""
    text = "def f(x):\n    y = g(x)\n    return x != None or y == None\n"
    local = Instruction(
        IS_NONE.phrasings, 0.9, sign=r"[!=]= None", becomes=r"== None => is None|!= None => is not None"
    )

    def rewritten(*pairs: tuple[str, str]) -> str:
        def rewrite(old: str) -> str:
            for before, after in pairs:
                old = old.replace(before, after)
            return old

        engine = built(rewrite, decoding=replace(DEFAULTS, instructions=(local,)))
        return apply(ask(engine, text, Refactor("use is None")).edits, text)

    right = ("!= None", "is not None"), ("== None", "is None")
    assert rewritten(*right) == "def f(x):\n    y = g(x)\n    return x is not None or y is None\n"
    assert rewritten(*right, ("g(x)", "g()")) == rewritten(*right), "another line stays"
    assert rewritten(("!= None", "is None"), ("== None", "is None")) == text
    assert rewritten(*right, ("or y", "or z")) == text
    free = built(lambda old: old.replace("!=", "is"))
    assert ask(free, text, Refactor("use is None")).status == "offered", "a free instruction may"


def test_places_that_are_left_are_read_again(built: Built) -> None:
    """A network that changes one place at each reading; the answer is one set of edits of the text asked about."""
    functions = [f"def f{i}(x):\n    return x == None or g{i}(x) == None\n" for i in range(3)]
    text = "\n\n".join(functions)
    known = replace(DEFAULTS, instructions=(replace(IS_NONE, sign="== None", becomes="== None => is None"),))
    engine = built(lambda old: old.replace("==", "is", 1), decoding=known)
    proposal = ask(engine, text, Refactor("use is None"))
    assert apply(proposal.edits, text) == text.replace("==", "is")
    assert len(proposal.edits) == 6
    once = built(lambda old: old.replace("==", "is"), decoding=known)
    assert proposal.edits == ask(once, text, Refactor("use is None")).edits
    assert len(proposal.regions) == 3
    selected = Span(text.index("return"), text.index("return"))  # a place stands for its line
    assert apply(ask(engine, text, Refactor("use is None", selected)).edits, text) == text.replace(
        "==", "is", 2
    )
    selected = Span(0, len(functions[0]))
    some = ask(engine, text, Refactor("use is None", selected))
    assert apply(some.edits, text) == text.replace("==", "is", 2)


def test_tabs_are_spaces_for_the_model_and_tabs_in_the_file(built: Built) -> None:
    seen: list[str] = []

    def rewrite(old: str) -> str:
        seen.append(old)
        return old.replace("return 2", "y = 3\n    return y")

    text = "def f(x):\n\tif x:\n\t\treturn 1\n\treturn 2\n"
    engine = built(rewrite)
    proposal = ask(engine, text, Refactor("x", Span(0, len(text))))
    assert "\t" not in seen[0]
    run = engine.start(Request(Document(text, "python"), Refactor("x", Span(0, len(text)))))
    while run.step():
        pass
    shown = "".join(cell.text for cell in run.frames()[-1].cells)
    assert shown.rstrip("\n") == text.replace("return 2", "y = 3\n\treturn y").rstrip("\n")
    assert outcome(proposal, text) == text.replace("return 2", "y = 3\n\treturn y")


def test_comments_and_strings_are_no_code(built: Built) -> None:
    text = 'def f(x):\n    y = "x == None"\n    return x == None  # == None\n'
    known = replace(DEFAULTS, instructions=(replace(IS_NONE, sign="== None", becomes="== None => is None"),))
    engine = built(lambda old: old.replace("==", "is"), decoding=known)
    wanted = text.replace("return x ==", "return x is")
    assert apply(ask(engine, text, Refactor("use is None")).edits, text) == wanted


@pytest.mark.parametrize(
    "words",
    [
        "do not use is None instead of == None",
        "use == None instead of is None",
        "replace is None with == None",
    ],
)
def test_the_opposite_is_not_what_is_known(built: Built, words: str) -> None:
    known = (Instruction(("Use `is None` instead of `== None`", "Replace == None with is None"), 0.9),)
    engine = built(lambda old: old.replace("==", "is"), decoding=replace(DEFAULTS, instructions=known))
    assert ask(engine, "def f(x):\n    return x == None\n", Refactor(words)).status == "declined"
    assert engine.known(Refactor("replace == None by is None")) == known[0]


def test_another_reading_is_shown_in_the_place_of_the_first(built: Built) -> None:
    text = "x = 1\n\n\ndef f(x):\n    return x == None or g(x) == None\n"
    known = replace(DEFAULTS, instructions=(replace(IS_NONE, sign="== None", becomes="== None => is None"),))
    engine = built(lambda old: old.replace("==", "is", 1), decoding=known)
    run = engine.start(Request(Document(text, "python"), Refactor("use is None")))
    frames: list[Frame] = []
    costs = [run.cost().forwards]
    while run.step():
        frames += run.frames()
        costs.append(run.cost().forwards)
    frames += run.frames()
    assert {(f.number, f.span.of(text)) for f in frames} == {(0, text[text.index("def") : -1])}
    assert frames[-1].is_finished
    assert sum(frame.is_finished for frame in frames) >= 2, "each reading has its end"
    assert costs == sorted(costs)
    assert run.progress.done == run.progress.total
    assert run.proposal().cost.forwards == run.cost().forwards >= 3


def test_each_known_refactoring_has_its_own_threshold(built: Built) -> None:
    text = "def f(x):\n    return x == None\n"
    for tau, status in ((0.5, "offered"), (1.0, "unchanged")):
        known = (replace(IS_NONE, tau=tau), Instruction(("Remove unused imports",), 0.7))
        engine = built(lambda old: old.replace("==", "is"), decoding=replace(DEFAULTS, instructions=known))
        assert ask(engine, text, Refactor("use is None")).status == status
        assert engine.known(Refactor("remove the unused imports")) == known[1]
        assert engine.known(Refactor("make it faster")) is None


def test_names_in_an_instruction_stand_where_its_placeholders_are(built: Built) -> None:
    known = replace(
        DEFAULTS, instructions=(Instruction(("Rename `{old}` to `{new}`", "call {old} {new} instead"), 0.9),)
    )
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


def test_what_holds_no_sign_of_a_refactoring_is_left_alone_unread(built: Built) -> None:
    text = "def f(x):\n    return x == None\n\n\ndef g(x):\n    return x == 1\n"
    signed = replace(IS_NONE, sign=r"== None")
    engine = built(lambda old: old.replace("==", "is"), decoding=replace(DEFAULTS, instructions=(signed,)))
    assert outcome(ask(engine, text, Refactor("use is None")), text) == text.replace("== None", "is None")
    declined = ask(engine, text.replace("== None", "is None"), Refactor("use is None"))
    assert declined.status == "declined"
    assert declined.cost.forwards == 0
    assert "nothing here to do" in declined.message
    assert engine.refactorings(text) == (IS_NONE.phrasings[0],)
    assert engine.refactorings("x = 1\n") == ()


LITERALS = Instruction(
    ("Use literals for empty collections", "use {} and [] instead of dict() and list()"),
    0.5,
    sign=r"\b(?:dict|list)\(\)",
    becomes=r"dict\(\) => \{\}|list\(\) => \[\]",
)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("use literals for empty collections", "x = {}\ny = []\n"),
        ("use {} and [] instead of dict() and list()", "x = {}\ny = []\n"),
        ("use {} instead of dict()", "x = {}\ny = list()\n"),
        ("use literals for empty  collections please", "x = {}\ny = []\n"),
        ("Please use {} and [] instead of dict() and list().", "x = {}\ny = []\n"),
    ],
)
def test_an_instruction_that_names_its_places_is_about_those(built: Built, asked: str, expected: str) -> None:
    engine = built(
        lambda old: old.replace("dict()", "{}").replace("list()", "[]"),
        decoding=replace(DEFAULTS, instructions=(LITERALS,)),
    )
    text = "x = dict()\ny = list()\n"
    assert outcome(ask(engine, text, Refactor(asked)), text) == expected


def test_half_of_what_is_asked_is_declined(built: Built) -> None:
    engine = built(
        lambda old: old.replace("==", "is"), decoding=replace(DEFAULTS, instructions=(LITERALS, IS_NONE))
    )
    text = "def f(x):\n    y = dict()\n    return x == None\n"
    declined = ask(engine, text, Refactor("compare by identity and use literals for empty collections"))
    assert declined.status == "declined"
    assert "one refactoring at a time" in declined.message
    assert ask(engine, text, Refactor("Please, compare by identity.")).status == "offered"


def test_places_that_were_left_are_counted(built: Built) -> None:
    """Those in code: what looks like one in a comment is none."""
    known = replace(DEFAULTS, instructions=(replace(IS_NONE, sign="== None", becomes="== None => is None"),))
    text = "def f(x):\n    # not == None\n    return x == None, y == None, z == None\n"
    engine = built(lambda old: old.replace("x ==", "x is"), decoding=known)
    proposal = ask(engine, text, Refactor("use is None"))
    assert proposal.message == "left as they are: 2 places that look alike"
    nothing = ask(built(lambda old: old, decoding=known), text, Refactor("use is None"))
    assert nothing.status == "unchanged"
    assert "left as they are: 3 places" in nothing.message
    all_done = ask(
        built(lambda old: old.replace(" == N", " is N"), decoding=known), text, Refactor("use is None")
    )
    assert all_done.message == ""

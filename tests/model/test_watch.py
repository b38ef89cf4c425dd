"""What a person sees of denoising: the frames of the real decoders, played back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.canvas import Canvas
from model.editing.edit import apply
from model.editing.source import Span
from model.engine import DiffusionEngine
from model.labels import apply_labels
from model.loading import load_engine
from model.request import Cell, Complete, Document, Fill, Fix, Frame, Proposal, Refactor, Request
from model.tokenizer import DEL, EOR, FIRST_TEXT_ID, INS_2, MASK, Tokenizer
from model.watch import Watcher, _state

BROKEN = "def total(items)\n    s = 0\n    for i in items:\n        s += i\n    return s\n"
GOOD = BROKEN.replace("items)\n", "items):\n")


@pytest.fixture(scope="module")
def engine() -> DiffusionEngine:
    """The embedded model."""
    return load_engine(threads=1)


def watched(engine: DiffusionEngine, request: Request) -> tuple[list[Frame], Proposal]:
    run, frames = engine.start(request), list[Frame]()
    while run.step():
        frames += run.frames()
    return [*frames, *run.frames()], run.proposal()


def text_of(frame: Frame) -> str:
    return "".join(cell.text for cell in frame.cells)


@pytest.mark.parametrize(
    "policy", ["", "threshold:0.3", "fixed:4", "token-editing:0.4,0.6", "autoregressive"]
)
def test_the_last_frame_is_the_answer(engine: DiffusionEngine, policy: str) -> None:
    """Whatever the policy: no mask is left, and what is offered has its text."""
    at = GOOD.index("s = 0")
    request = Request(Document(GOOD, "python"), Fill((Span(at, at + 5),)), policy=policy)
    frames, proposal = watched(engine, request)
    assert [f.forwards for f in frames] == sorted({f.forwards for f in frames})
    assert frames[-1].is_finished
    assert not any(cell.state in ("mask", "remasked") for cell in frames[-1].cells)
    for edit in proposal.edits:
        assert edit.new.strip() in text_of(frames[-1])
    assert proposal.cost.forwards == frames[-1].forwards


def test_a_fix_shows_what_it_revises(engine: DiffusionEngine) -> None:
    frames, proposal = watched(engine, Request(Document(BROKEN, "python"), Fix(Span(5, 5))))
    assert apply(proposal.edits, BROKEN) == GOOD
    assert text_of(frames[-1]) == GOOD.rstrip()
    changed = [cell for frame in frames for cell in frame.cells if cell.state in ("revised", "committed")]
    assert changed
    assert len(changed) < 6, "most of the code is only kept"
    assert all(cell.confidence is not None and 0 < cell.confidence <= 1 for cell in changed)


def test_several_spans_are_denoised_together(engine: DiffusionEngine) -> None:
    """Each has frames of its own; together they take no more forwards than the longest."""
    spans = tuple(Span(GOOD.index(t), GOOD.index(t) + len(t)) for t in ("s = 0", "return s"))
    frames, proposal = watched(engine, Request(Document(GOOD, "python"), Fill(spans)))
    assert {f.number: f.span for f in frames} == dict(enumerate(spans))
    assert proposal.cost.forwards == max(f.forwards for f in frames)
    for edit in proposal.edits:
        assert any(span.start <= edit.start and edit.end <= span.end for span in spans)


def test_a_run_that_is_asked_twice_has_no_news(engine: DiffusionEngine) -> None:
    run = engine.start(Request(Document(BROKEN, "python"), Fix(Span(5, 5))))
    run.step()
    assert run.frames()
    assert not run.frames()


@pytest.mark.parametrize("spans", [(), (Span(0, 5), Span(3, 8)), (Span(2, 2), Span(2, 2))])
def test_spans_that_make_no_sense_are_declined(engine: DiffusionEngine, spans: tuple[Span, ...]) -> None:
    proposal = engine.propose(Request(Document(GOOD, "python"), Fill(spans)))
    assert proposal.status == "declined"
    assert "span" in proposal.message


@pytest.mark.parametrize("task", [Complete(5), Fix(Span(5, 5)), Refactor("use is None")])
def test_an_unknown_policy_names_the_known_ones(engine: DiffusionEngine, task) -> None:
    with pytest.raises(ValueError, match=r"nonsense.*default"):
        engine.start(Request(Document(GOOD, "python"), task, policy="nonsense:1"))


def test_ways_to_decode_do_not_share_a_cache(engine: DiffusionEngine) -> None:
    """Else the second of two runs that are compared would find its prompt encoded."""
    assert engine.styled("autoregressive", edits=False).store is not engine.store


def cells(tokenizer: Tokenizer, old: list[int], canvas: Canvas, sure: dict[int, float]) -> list[Cell]:
    return list(Watcher(tokenizer)._cells(old, canvas, sure))


def test_masks_of_the_next_block_are_new(tokenizer: Tokenizer) -> None:
    """A fill's tokens never move: what was masked is committed, and the next block's masks were never asked."""
    text = tokenizer.encode("wxyz")[:1] * 4
    canvas = Canvas(tuple(text), (MASK,) * 4)
    found = cells(tokenizer, [MASK] * 4, canvas, {i: 0.1 * i for i in range(4)})
    assert [c.state for c in found] == ["committed"] * 4 + ["mask"] * 4
    assert [c.confidence for c in found] == [0.0, 0.1, 0.2, pytest.approx(0.3), None, None, None, None]


@given(st.data())
def test_an_edits_tokens_are_followed_where_they_move(tokenizer: Tokenizer, data: st.DataObject) -> None:
    """Kept tokens are kept, wherever deletions and insertions before them put them."""
    ids = st.integers(FIRST_TEXT_ID + 100, FIRST_TEXT_ID + 104)
    old = data.draw(st.lists(ids, min_size=1, max_size=8))
    kinds = st.sampled_from(["keep", "delete", "insert", "change"])
    chosen = data.draw(st.lists(kinds, min_size=len(old), max_size=len(old)))
    label = {"delete": DEL, "insert": INS_2, "change": FIRST_TEXT_ID + 110}
    labels = [*(label.get(kind, token) for kind, token in zip(chosen, old, strict=True)), EOR]
    new = apply_labels(labels, [*old, EOR])
    canvas = Canvas((), tuple(new), labels=tuple(labels))
    wanted = [
        state
        for kind in chosen
        for state in {
            "keep": ["kept"],
            "delete": [],
            "insert": ["mask", "mask", "kept"],
            "change": ["revised"],
        }[kind]
    ]
    assert [c.state for c in cells(tokenizer, old, canvas, {})] == wanted


def test_states() -> None:
    assert _state(None, MASK) == _state(MASK, MASK) == "mask"
    assert _state(30, MASK) == "remasked"
    assert _state(MASK, 30) == _state(None, 30) == "committed"
    assert _state(30, 30) == "kept"
    assert _state(30, 31) == "revised"


@settings(max_examples=25)
@given(st.text("ab é😀\n", max_size=20))
def test_cells_hold_the_text(tokenizer: Tokenizer, text: str) -> None:
    """Characters of several tokens too, and none twice."""
    ids = tokenizer.encode(text)
    watcher = Watcher(tokenizer)
    assert "".join(watcher._texts(ids)) == text
    masked = [*ids, MASK, *ids]
    assert "".join(watcher._texts(masked)) == text + text
    assert len(watcher._texts(masked)) == len(masked)

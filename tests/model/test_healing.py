"""Token healing: what is taken off a prompt, and what an answer may then begin with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from model.editing.edit import apply
from model.editing.region import EditRegion
from model.editing.source import Span
from model.engine import Mode
from model.healing import Lead, word_at_end
from model.request import Complete, Document, Request
from model.tokenizer import Tokenizer
from tests.model.engines import Built

texts = st.text(st.sampled_from('ab_1é .(\n\t"') | st.characters(codec="utf-8"), max_size=20)


@given(text=texts.filter(bool), more=texts)
def test_every_way_to_write_the_text_is_allowed(tokenizer: Tokenizer, text: str, more: str) -> None:
    """Also the natural one, in which a token goes on behind the text."""
    left = Lead(tokenizer, text.encode())
    for token in tokenizer.encode(text + more):
        if not left.text:
            break
        assert token in left.ids
        left = left.after(token)
    assert not left.text


@given(text=texts.filter(bool))
def test_nothing_else_is_allowed(tokenizer: Tokenizer, text: str) -> None:
    wanted = text.encode()
    allowed = set(Lead(tokenizer, wanted).ids)
    for token in range(tokenizer.size):
        (word,) = tokenizer.token_bytes([token])
        begins = bool(word) and (word.startswith(wanted) or wanted.startswith(word))
        assert (token in allowed) == begins


def test_the_word_at_the_cursor_is_taken_off() -> None:
    for text, word in (
        ("x = retur", " retur"),
        ("    retur", "retur"),
        ("a.b", "b"),
        ("f(", ""),
        ("a ", ""),
        ("größ", "größ"),
        ("", ""),
    ):
        assert word_at_end(text) == word
    assert word_at_end("x" * 1000) == "x" * 64


def test_a_prompt_ends_before_the_word(built: Built, tokenizer: Tokenizer) -> None:
    engine = built()
    region = EditRegion(Span(10, 10), "hole")
    request = Request(Document("x = 1\nretu\n", "python"), Complete(10, asked=True))
    question = engine.reader.question(request, region, None)
    assert question is not None
    assert tokenizer.decode(question.asked.prompt) == "x = 1\n"
    assert question.lead_text == "retu"
    assert (question.begins, question.shown) == (6, Span(6, 10))


def test_all_ways_to_decode_go_on_with_what_was_typed(built: Built) -> None:
    modes: list[Mode] = ["diffusion", "autoregressive", "speculative", "prompt-lookup"]
    text = "x = 1\nretu\n"
    for mode in modes:
        engine = built(complete="rn x", mode=mode)
        found = engine.propose(Request(Document(text, "python"), Complete(10, asked=True)))
        assert apply(found.edits, text) == "x = 1\nreturn x\n", mode


def test_a_watched_canvas_covers_what_was_typed(built: Built) -> None:
    text = "x = 1\nretu\n"
    run = built(complete="rn x").start(Request(Document(text, "python"), Complete(10, asked=True)))
    frames = list(run.frames())
    while run.step():
        frames += run.frames()
    frames += run.frames()
    assert frames
    for frame in frames:
        shown = "".join(cell.text for cell in frame.cells)
        assert frame.span.end == 10
        assert shown.startswith(text[frame.span.start : 10][: len(shown)])

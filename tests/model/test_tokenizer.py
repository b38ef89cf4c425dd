"""Text to ids and back: nothing is lost, and no text can speak in control tokens."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.tokenizer import CONTROL, FIRST_TEXT_ID, INS_16, INSERTIONS, MASK, NEW, Tokenizer
from model.train.vocabulary import train_tokenizer

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["", "\0", "\f\x0b\u2028\x85", "a\r\n\tb\r", "👩‍💻é\u0301", "<mask><eos>", "    \n" * 9, "0123456789" * 3]
)


@given(ANY_TEXT)
def test_every_text_survives_a_round_trip(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.can_represent(text)


@given(st.text() | st.lists(st.sampled_from([*CONTROL, "x", " "])).map("".join))
def test_no_text_encodes_to_a_control_token(tokenizer: Tokenizer, text: str) -> None:
    assert all(FIRST_TEXT_ID <= i < tokenizer.size for i in tokenizer.encode(text))


@given(ANY_TEXT)
def test_spans_tile_the_text(tokenizer: Tokenizer, text: str) -> None:
    """Each token's span holds its bytes; spans start at 0, end with the text and never leave a gap."""
    ids = tokenizer.encode(text)
    spans = tokenizer.spans(ids)
    assert len(spans) == len(ids)
    for (start, end), piece in zip(spans, tokenizer.token_bytes(ids), strict=True):
        assert start < end
        assert piece in text[start:end].encode()
    assert all(a[0] <= b[0] <= a[1] <= b[1] for a, b in pairwise(spans))
    if ids:
        assert (spans[0][0], spans[-1][1]) == (0, len(text))


@given(st.lists(st.integers(0, 279)))
def test_spans_fit_what_any_ids_decode_to(tokenizer: Tokenizer, ids: list[int]) -> None:
    """Also where the bytes are no UTF-8, and control tokens have an empty span."""
    text, spans = tokenizer.decode(ids), tokenizer.spans(ids)
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert all((start == end) <= (i < FIRST_TEXT_ID) for i, (start, end) in zip(ids, spans, strict=True))
    assert max((end for _, end in spans), default=0) == len(text)


@given(st.lists(ANY_TEXT, max_size=5))
def test_a_batch_is_the_texts_one_by_one(tokenizer: Tokenizer, texts: list[str]) -> None:
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(t) for t in texts]


def test_lone_surrogates_become_replacement_characters(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"
    assert tokenizer.encode_batch(["a\ud800b"]) == [tokenizer.encode("a\ufffdb")]
    assert not tokenizer.can_represent("a\ud800b")


def test_control_tokens_have_no_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(range(FIRST_TEXT_ID)) == ""
    assert CONTROL[MASK] == "<mask>"
    assert CONTROL[NEW] == "<new>"
    assert {CONTROL[label]: n for label, n in INSERTIONS.items()}["<ins_16>"] == INSERTIONS[INS_16] == 16


def test_a_saved_tokenizer_is_the_same(tokenizer: Tokenizer, tmp_path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again.size == tokenizer.size
    assert again.encode("def f(x):\n    return x\n") == tokenizer.encode("def f(x):\n    return x\n")


@pytest.mark.parametrize("content", ["", "not json", "{}", "[1]"])
def test_a_damaged_file_is_named(tmp_path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        Tokenizer.load(path)


def test_a_missing_file_is_an_os_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        Tokenizer.load(tmp_path / "none.json")


def test_a_newline_takes_its_indentation_and_digits_stand_alone(tokenizer: Tokenizer) -> None:
    pieces = [b.decode() for b in tokenizer.token_bytes(tokenizer.encode("x:\n    y = 1234\n"))]
    assert "\n    " in pieces
    assert pieces[-5:] == ["1", "2", "3", "4", "\n"]


def test_a_vocabulary_below_the_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 280"):
        train_tokenizer(["x"], 100)

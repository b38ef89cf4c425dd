"""How each family is asked: the tokens that it published around a text with masks in it, fill-in-the-middle format for
those alone that were trained for it, and marks that the user's text does not hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.asking import Around
from model.families.converted import identity_of
from model.families.foreign import open_foreign
from model.families.prompts import Chat, Continued, InPlace, InTheMiddle, asking_for
from model.tokenizer import EOS, Tokenizer
from tests.model.families.checkpoints import Case
from tests.model.families.test_guests import ALL, TEMPLATE, folder_of

QWEN = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
SEED = ("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>")
AROUND = Around("a = ", "1", "b\n")


def asking_of(case: Case, plain: Path, folder: Path, template: str | None = None) -> object:
    """Of a folder with everybody's tokens in its tokenizer."""
    specials = (*case.specials, "<|bos|>", *QWEN, *SEED)
    fields = {**case.tokenizer, "bos_token": "<|bos|>", "eos_token": "<|endoftext|>"}
    full = replace(case, specials=specials, tokenizer=fields)
    opened = open_foreign(folder_of(full, plain, folder / "model", template))
    return asking_for(identity_of(opened), opened.tokenizer(), opened.config.clean_block == 0)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_fill_in_the_middle_is_asked_of_those_who_learnt_it(
    case: Case, plain_tokenizer: Path, tmp_path: Path
) -> None:
    asking = asking_of(case, plain_tokenizer, tmp_path)
    if case.clean_block == 0:
        assert isinstance(asking, InPlace)
    else:
        learnt = case.name == "stable-diffcoder"
        assert isinstance(asking, InTheMiddle if learnt else Continued)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_what_stands_around_a_text_is_the_familys(case: Case, plain_tokenizer: Path, tmp_path: Path) -> None:
    if case.clean_block:
        return
    asking = asking_of(case, plain_tokenizer, tmp_path)
    assert isinstance(asking, InPlace)
    opened = open_foreign(tmp_path / "model")
    encode, begin, end = asking.tokenizer.encode, opened.specials["<|bos|>"], opened.specials["<|endoftext|>"]
    found = asking.fill(AROUND)
    if case.name == "dreamon":
        assert found.prompt == [begin, *encode("a = ")]
        assert found.after == [*encode("1\nb\n"), end]
        assert asking.fill(Around("")) == replace(found, prompt=[begin], after=[end])
    elif case.name == "dream":
        assert found.prompt == [begin, *encode("a = ")]
        assert found.after == encode("1\nb\n")
        assert not asking.fill(Around("a")).after
    else:
        assert (found.prompt, found.after) == (encode("a = "), encode("1\nb\n"))
        assert asking.fill(Around("")).prompt == [EOS]


def test_seed_coders_suffix_comes_first(plain_tokenizer: Path, tmp_path: Path) -> None:
    case = next(case for case in ALL if case.name == "stable-diffcoder")
    asking = asking_of(case, plain_tokenizer, tmp_path, TEMPLATE)
    assert isinstance(asking, Chat)
    prefix, suffix, middle = (asking.specials[name] for name in SEED)
    encode = asking.tokenizer.encode
    found = asking.fill(AROUND)
    assert found.prompt == [suffix, *encode("1\nb\n"), prefix, *encode("a = "), middle]
    assert not found.is_reply


def test_without_one_of_the_tokens_it_is_asked_in_words(plain_tokenizer: Path, tmp_path: Path) -> None:
    case = next(case for case in ALL if case.name == "stable-diffcoder")
    opened = open_foreign(folder_of(case, plain_tokenizer, tmp_path / "model"))
    asking = asking_for(identity_of(opened), opened.tokenizer(), sees_whole=False)
    assert asking.fill(AROUND).is_reply


def test_what_knows_neither_continues(plain_tokenizer: Path, tmp_path: Path) -> None:
    case = next(case for case in ALL if case.name == "sdar")
    asking = asking_of(case, plain_tokenizer, tmp_path)
    assert isinstance(asking, Continued)
    assert asking.fill(AROUND).prompt == asking.tokenizer.encode("a = ")
    in_words = asking_of(case, plain_tokenizer, tmp_path, TEMPLATE)
    assert isinstance(in_words, Chat)
    assert in_words.fill(AROUND).is_reply


TEXTS = st.lists(
    st.sampled_from(("<CODE>", "</CODE>", "<CODE2>", "<CURSOR>", "</CURSOR2>", "x\n")), max_size=8
)


@given(TEXTS, TEXTS, TEXTS)
def test_marks_are_none_that_a_text_holds(
    tokenizer: Tokenizer, prefix: list[str], old: list[str], words: list[str]
) -> None:
    asking = Chat(tokenizer, {}, "{{ messages[0].content }}")
    asking.__dict__["frame"] = ([], [])
    around = Around("".join(prefix), sections=("".join(words),))
    said = [
        tokenizer.decode(asked.prompt)
        for asked in (
            asking.fix(around, "".join(old), "".join(words)),
            asking.refactor(around, "".join(old), "".join(words)),
        )
    ]
    for text in said:
        begin, _, end = text.partition("between ")[2].partition(" and ")
        mark = begin.strip("<>")
        assert text.count(begin) == 2
        assert end.startswith(f"</{mark}>")
        assert text.count(f"</{mark}>") == 2
        assert f"{begin}\n{''.join(old)}</{mark}>\n" in text
    text = tokenizer.decode(asking.fill(around).prompt)
    mark = text.partition("missing at ")[2].partition(" and ")[0]
    assert text.count(mark) == 2

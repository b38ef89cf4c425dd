"""Chat templates: what is asked is, id for id, what `transformers` would ask, and none can hold up who loads it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.asking import Around, Asked
from model.families.chat_template import rendered
from model.families.convert import convert
from model.families.converted import open_guest
from model.families.errors import FamilyError
from model.families.foreign import open_foreign
from model.families.prompts import Chat, asking_for
from model.tokenizer import FIRST_TEXT_ID
from tests.model.families.checkpoints import Case, write
from tests.model.families.conftest import DIFFCODER

BEGIN, END = "<[begin▁of▁sentence]>", "<[end▁of▁sentence]>"
SEED = (
    "{{ bos_token + 'system\\nYou are an AI programming assistant.' + eos_token }}"
    "{% for m in messages %}{{ bos_token + m.role + '\\n' + m.content + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ bos_token + 'assistant\\n' }}{% endif %}"
)
"""As Seed-Coder's: what parts the roles are the tokenizer's own tokens."""
CASE = replace(
    DIFFCODER,
    specials=(BEGIN, END, "<[MASK_TOKEN]>", "<pad>", "<tool>", "<|endoftext|>"),
    tokenizer={
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": {"__type": "AddedToken", "content": BEGIN, "special": True},
        "eos_token": END,
        "mask_token": "<[MASK_TOKEN]>",
        "add_bos_token": False,
    },
)
TEMPLATES = {
    "seed": SEED,
    "loop controls": (
        "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}{% if i > 3 %}{% break %}{% endif %}"
        "{{ i }}{% endfor %}{{ messages[0].content }}"
    ),
    "generation": (
        "{% set x = 'a' %}{% generation %}{% set x = 'b' %}{{ eos_token }}{{ x }}{% endgeneration %}{{ x }}"
        "{{ messages[0].content }}"
    ),
    "tojson": "{{ {'b': '<é>&', 'a': [1]} | tojson }}{{ [1, 2] | tojson(indent=2) }}{{ messages[0].content }}",
    "date": "{{ strftime_now('%Y %B %d') }}\n{{ messages[0].content }}",
    "two files": "{{ bos_token }}{{ pad_token }}{{ eos_token }}{{ messages[0].content }}",
    "tools": "{% if tools is not none or documents is not none %}<tool>{% endif %}{{ messages[0].content }}",
    "unset": "{{ pad_token }}{{ sep_token }}|{% if thinking is defined %}T{% endif %}{{ messages[0].content }}",
    "blocks": "  {% if true %}\n  a\n  {% endif %}\n{{ messages[0]['content'] }}\n",
}


def folder_of(case: Case, plain: Path, folder: Path, template: str, **told: str) -> Path:
    """`told` is what `special_tokens_map.json` says besides."""
    folder.mkdir()
    write(case, plain, folder)
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": {"content": "<pad>"}, **told}))
    return folder


def asked(folder: Path) -> Chat:
    opened, identity = open_guest(folder)
    asking = asking_for(identity, opened.tokenizer(), sees_whole=False)
    assert isinstance(asking, Chat)
    return asking


def test_seed_coders_roles_are_parted_by_its_tokens(plain_tokenizer: Path, tmp_path: Path) -> None:
    folder = folder_of(CASE, plain_tokenizer, tmp_path / "model", SEED)
    asking = asked(folder)
    found = asking.refactor(Around("", path="a.py"), "x = 1\n", "say y").prompt
    encode, begin, end = asking.tokenizer.encode, asking.specials[BEGIN], asking.specials[END]
    question = asking.tokenizer.decode([i for i in found if i not in (begin, end)])
    question = question.partition("user\n")[2].removesuffix("assistant\n")
    assert "say y" in question
    assert found == [
        *(begin, *encode("system\nYou are an AI programming assistant."), end),
        *(begin, *encode("user\n"), *encode(question), end),
        *(begin, *encode("assistant\n")),
    ]


@pytest.mark.parametrize("has_decoder", [False, True])
@pytest.mark.parametrize("name", TEMPLATES)
def test_what_is_asked_is_what_transformers_asks(
    name: str, has_decoder: bool, plain_tokenizer: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    fields = {**CASE.tokenizer, "added_tokens_decoder": {}} if has_decoder else CASE.tokenizer
    case = replace(CASE, tokenizer=fields)
    folder = folder_of(case, plain_tokenizer, tmp_path / "model", TEMPLATES[name], bos_token="<tool>")
    asking = asked(folder)
    found = asking.fix(Around("def f(x):\n    ", "", "    return x\n"), "y = x\n", "y is not used").prompt
    before, after = asking.frame
    question = asking.tokenizer.decode(found[len(before) : len(found) - len(after)])
    fast: Any = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    theirs = fast.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        enable_thinking=False,
        return_dict=False,
    )
    assert [i - FIRST_TEXT_ID for i in found] == theirs


def test_a_converted_folder_asks_the_same(plain_tokenizer: Path, tmp_path: Path) -> None:
    folder = folder_of(CASE, plain_tokenizer, tmp_path / "model", SEED)
    convert(open_foreign(folder), tmp_path / "small", "int8")
    around = Around("a", "", "b")
    assert asked(tmp_path / "small").fix(around, "x = 1\n", "") == asked(folder).fix(around, "x = 1\n", "")


def test_a_bad_template_leaves_completions(plain_tokenizer: Path, tmp_path: Path) -> None:
    folder = folder_of(CASE, plain_tokenizer, tmp_path / "model", "Hello.")
    opened, identity = open_guest(folder)
    with pytest.raises(FamilyError, match="drops what the user says"):
        asking_for(identity, opened.tokenizer(), sees_whole=False)
    asking = asking_for(identity, opened.tokenizer(), sees_whole=True)
    assert "drops what the user says" in asking.cannot_edit
    assert asking.fill(Around("a", "", "b")) == Asked(
        opened.tokenizer().encode("a"), opened.tokenizer().encode("\nb")
    )


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "more time or memory",
        ),
        ("{{ 'a' * 10 ** 10 }}", "MemoryError|memory|characters"),
        (
            "{% set ns = namespace(s='a') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
            "emory",
        ),
        ("{% for i in range(99999) %}abcd{% endfor %}", "more than 65536 characters"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    ],
    ids=("loops", "product", "doubling", "length", "recursion"),
)
def test_a_template_that_takes_too_much_is_refused(template: str, says: str) -> None:
    began = time.monotonic()
    with pytest.raises(FamilyError, match=says):
        rendered(template, {}, "x")
    assert time.monotonic() - began < 40


def test_what_a_template_reaches_is_the_sandbox() -> None:
    for escape in (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ strftime_now.__globals__['sys'].exit() }}",
        "{{ messages.append(1) }}",
    ):
        with pytest.raises(FamilyError, match="cannot be used"):
            rendered(escape, {}, "x")

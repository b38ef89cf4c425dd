"""Chat templates: what is asked is, id for id, what `transformers` would ask, and none can hold up who loads it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.asking import Around, Asked
from model.families import chat_template
from model.families.chat_template import rendered
from model.families.convert import convert
from model.families.converted import open_guest
from model.families.errors import FamilyError
from model.families.foreign import open_foreign
from model.families.prompts import Chat, asking_for
from model.families.render import render
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
        ("{{ 'a' * 10 ** 10 }}", "more than 65536"),
        (
            "{% set ns = namespace(s='a') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
            "more than 65536",
        ),
        # Only text in the end: what is in it is counted by no operation.
        (
            "{% set ns = namespace(x='a') %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
            "{{ ns.x | string | length }}",
            "emory",
        ),
        ("{% for i in range(99999) %}abcd{% endfor %}", "more than 65536 characters"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    ],
    ids=("loops", "product", "doubling", "lists", "length", "recursion"),
)
def test_a_template_that_takes_too_much_is_refused(template: str, says: str) -> None:
    began = time.monotonic()
    with pytest.raises(FamilyError, match=says):
        rendered(template, {}, "x")
    assert time.monotonic() - began < 40


TWICE = "{% set ns = namespace(s='a') %}{% for i in range(18) %}{% set ns.s = MORE %}{% endfor %}"
"""A quarter of a million characters, where they were made."""


@pytest.mark.parametrize(
    "template",
    [
        "{{ ('a' * 70000) | length }}",
        "{{ (70000 * 'a') | length }}",
        "{{ ([0] * 70000) | length }}",
        "{{ 2 ** 70000 > 0 }}",
        "{{ (2 ** 40000) * (2 ** 40000) > 0 }}",
        "{{ ('%70000d' % 1) | length }}",
        "{{ ('%*d' % (70000, 1)) | length }}",
        "{{ ('%.70000f' % 1) | length }}",
        "{{ ('%(a)70000s' | format(a=1)) | length }}",
        "{{ '{:>70000}'.format(1) | length }}",
        "{{ '{:>{}}'.format(1, 70000) | length }}",
        "{{ '{a:70000}'.format_map({'a': 1}) | length }}",
        "{{ 'a' | center(70000) | length }}",
        "{{ ['a'] | map('center', width=70000) | map('length') | list }}",
        "{{ 'a' | indent(70000, true) | length }}",
        "{{ [1] | batch(70000, 0) | list | length }}",
        "{{ [1] | tojson(indent=70000) | length }}",
        "{{ 'a'.ljust(70000) | length }}",
        "{{ ('a' | attr('zfill'))(70000) | length }}",
        "{{ (1).to_bytes(70000, 'big') | length }}",
        "{{ lipsum(n=70000) | length }}",
        "{{ ('a' * 300) | replace('a', 'b' * 300) | length }}",
        "{{ ('a' * 300).replace('a', 'b' * 300) | length }}",
        "{{ range(70000) | list | length }}",
        *(
            TWICE.replace("MORE", more)
            for more in ("ns.s + ns.s", "ns.s ~ ns.s", "ns.s | replace('a', 'aa')")
        ),
        TWICE.replace("{% set ns.s = MORE %}", "{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}"),
    ],
)
def test_nothing_long_is_made(template: str) -> None:
    """Where the system limits no memory: here, in this process."""
    with pytest.raises(ValueError, match="more than 65536"):
        render(template, {})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ 'a' * 3 ~ 'b' + 'c' }}{{ 2 ** 10 * 3 % 7 }}", f"aaabc{2**10 * 3 % 7}"),
        ("{{ '%5.1f|%s' % (1, 'x') }}{{ '%s%%' | format(1000000) }}", "  1.0|x1000000%"),
        ("{{ '{{{:>3}}} 1000000 {a}'.format(1, a=1000000) }}", "{  1} 1000000 1000000"),
        ("{{ 1000000.4 | round | int }}{{ 'a' | center(3) }}{{ 'a'.rjust(2) }}", "1000000 a  a"),
        ("{{ [1, [2]] + [3] }}{{ [1, 2, 3] | batch(2, 0) | list }}", "[1, [2], 3][[1, 2], [3, 0]]"),
        ("{{ 1.5 * 2 + -1 }}{{ 3 | string ~ none }}{{ '<' | e ~ '<' }}", "2.03None&lt;<"),
    ],
)
def test_what_is_short_is_made(template: str, text: str) -> None:
    assert render(template, {}) == text


@pytest.mark.usefixtures("afresh")
def test_memory_is_limited_where_the_system_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "render.py"
    program.write_text("import time\nx = bytes([1]) * (1 << 28)\ntime.sleep(60)\n")
    monkeypatch.setattr(chat_template, "_RENDER", program)
    monkeypatch.setattr(chat_template, "_MEMORY", 1 << 27)
    began = time.monotonic()
    with pytest.raises(FamilyError, match="more time or memory"):
        rendered("{{ messages[0].content }}", {}, "x")
    assert time.monotonic() - began < 30


@pytest.mark.usefixtures("afresh")
def test_a_template_is_ended_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "render.py"
    program.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(chat_template, "_RENDER", program)
    monkeypatch.setattr(chat_template, "_SECONDS", 1.0)
    with pytest.raises(FamilyError, match="not done after 1 seconds"):
        rendered("{{ messages[0].content }}", {}, "x")


def test_what_a_template_reaches_is_the_sandbox() -> None:
    for escape in (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ strftime_now.__globals__['sys'].exit() }}",
        "{{ messages.append(1) }}",
    ):
        with pytest.raises(FamilyError, match="cannot be used"):
            rendered(escape, {}, "x")


@pytest.fixture
def afresh() -> Iterator[None]:
    chat_template._run.cache_clear()
    yield
    chat_template._run.cache_clear()


def shadows(folder: Path) -> None:
    """Modules that would be imported for the real ones, were the folder looked into."""
    folder.mkdir(exist_ok=True)
    (folder / "json.py").write_text("raise SystemExit(5)\n")
    (folder / "jinja2").mkdir()
    (folder / "jinja2" / "__init__.py").write_text("raise SystemExit(5)\n")


@pytest.mark.usefixtures("afresh")
def test_no_folder_at_hand_is_imported_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the working directory, nor the program's, nor what the environment names."""
    for name in ("cwd", "beside", "named"):
        shadows(tmp_path / name)
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "named"))
    program = shutil.copy(chat_template._RENDER, tmp_path / "beside")
    monkeypatch.setattr(chat_template, "_RENDER", Path(program))
    assert rendered("{{ messages[0].content }}", {}, "x") == "x"
    monkeypatch.setattr(chat_template, "_ISOLATED", ())
    with pytest.raises(FamilyError):  # the shadows do shadow
        rendered("{{ messages[0].content }}!", {}, "x")


@pytest.mark.usefixtures("afresh")
def test_jinja_may_be_installed_for_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = getattr(
        sys, "_base_executable", sys.executable
    )  # an environment of its own has no user's packages
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path))
    where = [
        python,
        "-E",
        "-P",
        "-c",
        "import site; print(site.ENABLE_USER_SITE, site.getusersitepackages())",
    ]
    enabled, _, folder = subprocess.check_output(where, text=True).strip().partition(" ")
    if enabled != "True" or not Path(folder).is_relative_to(tmp_path):
        pytest.skip("this Python knows no packages of the user")
    package = Path(folder) / "jinja2"  # looked for before the one that is installed for all
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('the one of the user')\n")
    monkeypatch.setattr(sys, "executable", python)
    with pytest.raises(FamilyError, match="the one of the user"):
        rendered("{{ messages[0].content }}", {}, "x")


@pytest.mark.usefixtures("afresh")
def test_a_missing_jinja_is_told_from_a_bad_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "_ISOLATED", ("-I", "-S"))
    monkeypatch.setattr(sys, "executable", getattr(sys, "_base_executable", sys.executable))
    with pytest.raises(FamilyError, match=r"jinja2.*install redraft\[gpu\]"):
        rendered("{{ messages[0].content }}", {}, "x")


@pytest.mark.usefixtures("afresh")
@pytest.mark.parametrize("code", [1, 3, 137])
def test_however_the_program_ends_the_template_is_at_fault(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "render.py"
    program.write_text(f"raise SystemExit({code})\n")
    monkeypatch.setattr(chat_template, "_RENDER", program)
    with pytest.raises(FamilyError, match="more time or memory"):
        rendered("{{ messages[0].content }}", {}, "x")

"""Other families' checkpoints behind the engine: every family completes, and fixes or refactors where it follows
instructions; what it says is random here, how it is asked and read is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model.asking import Around
from model.cache import KVCache
from model.canvas import Canvas
from model.checkpoint import ModelError
from model.decoders import Decoder, Job
from model.editing.edit import apply
from model.editing.source import Span
from model.engine import DiffusionEngine
from model.families.errors import FamilyError
from model.families.prompts import Chat
from model.families.ways import Way
from model.loading import is_foreign, load_engine
from model.request import Complete, Document, Fill, Fix, Refactor, Request, Task
from model.tokenizer import FIRST_TEXT_ID, Tokenizer
from tests.model.families.cases import LLADA, LLADA2, STOCK
from tests.model.families.checkpoints import Case, write

TEXT = "def add(a, b):\n    return a\n\n\ndef twice(x):\n    return add(x, x)\n"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ALL = [*STOCK, LLADA, LLADA2]


def folder_of(case: Case, tokenizer: Path, path: Path, template: str | None = TEMPLATE) -> Path:
    path.mkdir(exist_ok=True)
    write(case, tokenizer, path)
    if template is not None:
        (path / "chat_template.jinja").write_text(template)
    return path


def brief(engine: DiffusionEngine) -> DiffusionEngine:
    """What is random goes on to its limit; here that is near."""
    reader = engine.reader
    asking = replace(reader.asking, overhead=4) if isinstance(reader.asking, Chat) else reader.asking
    engine.reader = replace(reader, decoding=replace(reader.decoding, fill_limit=12), asking=asking)
    return engine


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_every_family_answers(case: Case, plain_tokenizer: Path, tmp_path: Path) -> None:
    folder = folder_of(case, plain_tokenizer, tmp_path / "model")
    assert is_foreign(folder)
    engine = brief(load_engine(str(folder)))
    tasks: list[Task] = [
        Complete(TEXT.index("return a") + 8, asked=True),
        Fill((Span(15, 27), Span(45, 50))),
        Refactor("rename a to b", Span(0, 28)),
    ]
    for task in tasks:
        proposal = engine.propose(Request(Document(TEXT, "python"), task))
        assert proposal.status in ("offered", "rejected", "unchanged"), proposal
        assert proposal.cost.forwards > 0
        if isinstance(task, Complete | Fill):  # what is random is no reply with a code block
            changed = apply(proposal.edits, TEXT)
            assert changed.startswith(TEXT[:15])
            assert "<|" not in changed
        else:
            assert not proposal.edits
    assert all(cache.length < 2000 for cache in engine.store._entries)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_policies_are_those_that_a_family_takes(case: Case, plain_tokenizer: Path, tmp_path: Path) -> None:
    engine = brief(load_engine(str(folder_of(case, plain_tokenizer, tmp_path / "model"))))
    request = Request(Document(TEXT, "python"), Complete(TEXT.index("return a") + 8, asked=True))
    config = engine.backend.config
    assert engine.guest is not None
    takes_one = engine.guest.way.by is not None
    is_full = config.clean_block == 0 and takes_one
    policies = {"threshold:0.5": takes_one, "hierarchy:0.9,0.4": takes_one}
    policies |= {"speculative": config.clean_block == 1}
    policies |= {"default+dual": is_full, "threshold:0.5+prefix": is_full, "default+none": is_full}
    for policy, takes in policies.items():
        asked = Request(request.document, request.task, policy=policy)
        if takes:
            assert engine.propose(asked).cost.forwards > 0
        else:
            with pytest.raises(ValueError, match=r"no autoregressive mode|takes no policy|full attention"):
                engine.propose(asked)


def sdar(plain_tokenizer: Path, path: Path, template: str | None) -> Path:
    case = next(case for case in STOCK if case.name.startswith("sdar"))
    return folder_of(case, plain_tokenizer, path / "model", template)


def test_what_follows_no_instructions_only_completes(plain_tokenizer: Path, tmp_path: Path) -> None:
    engine = load_engine(str(sdar(plain_tokenizer, tmp_path, None)))
    proposal = engine.propose(Request(Document(TEXT, "python"), Fix(Span(20, 20))))
    assert proposal.status == "declined"
    assert "cannot fix or refactor" in proposal.message


def test_a_reply_becomes_an_edit_of_its_region(plain_tokenizer: Path, tmp_path: Path) -> None:
    """A network that replies with a corrected function: it lands at the region's depth, as the smallest edit."""
    engine = load_engine(str(sdar(plain_tokenizer, tmp_path, TEMPLATE)))
    reply = "Here it is:\n```python\ndef add(a, b):\n    return a + b\n```\nDone."
    text = "class C:\n    def add(a, b):\n        return a\n"
    jobs: list[Job] = []

    def says(job: Job, cache: KVCache) -> Decoder:
        jobs.append(job)
        return Canvas(tuple(engine.reader.tokenizer.encode(reply)), ())
        yield  # what makes it a generator

    assert engine.guest is not None
    engine.guest = replace(engine.guest, way=Way(says))
    proposal = engine.propose(Request(Document(text, "python"), Fix(Span(30, 30), "unused b")))
    assert apply(proposal.edits, text) == "class C:\n    def add(a, b):\n        return a + b\n"
    assert [edit.new for edit in proposal.edits] == [" + b"]
    [job] = jobs
    question = engine.reader.tokenizer.decode(job.prompt)
    assert "<CODE>\n    def add(a, b):" in question
    assert "unused b" in question


def replying(folder: Path, reply: str) -> DiffusionEngine:
    """An engine whose network says a reply, whatever it is asked."""
    engine = load_engine(str(folder))

    def says(job: Job, cache: KVCache) -> Decoder:
        return Canvas(tuple(engine.reader.tokenizer.encode(reply)), ())
        yield  # what makes it a generator

    assert isinstance(engine, DiffusionEngine)
    assert engine.guest is not None
    engine.guest = replace(engine.guest, way=Way(says))
    return engine


@pytest.mark.parametrize(
    "code", ["return a + b", "    return a + b", "def add(a, b):\n    return a + b", "a + b"]
)
def test_a_reply_becomes_a_completion(code: str, plain_tokenizer: Path, tmp_path: Path) -> None:
    text = "import os\n\n\ndef add(a, b):\n    return \n\n\nprint(add(1, 2))\n"
    engine = replying(sdar(plain_tokenizer, tmp_path, TEMPLATE), f"```python\n{code}\n```")
    cursor = text.index("return ") + len("return ")
    task = Complete(cursor, asked=True)
    proposal = engine.propose(Request(Document(text, "python"), task))
    assert apply(proposal.edits, text) == text.replace("return ", "return a + b"), proposal


def test_a_replys_strings_keep_their_values(plain_tokenizer: Path, tmp_path: Path) -> None:
    code = 'def f(self):\n    q = """\nSELECT 1\n"""\n    return run(q)\n'
    text = 'class C:\n    def f(self):\n        q = """\nSELECT 1\n"""\n        return q\n'
    engine = replying(sdar(plain_tokenizer, tmp_path, TEMPLATE), f"```python\n{code}```")
    proposal = engine.propose(Request(Document(text, "python"), Refactor("run it", Span(10, len(text)))))
    assert apply(proposal.edits, text) == text.replace("return q", "return run(q)"), proposal


def test_a_reply_to_tabbed_code_keeps_its_depth(plain_tokenizer: Path, tmp_path: Path) -> None:
    """The network sees spaces, and replies with spaces and a level less of them."""
    reply = "```go\n    if x {\n        return a + b\n    }\n```"
    text = "func f() int {\n\tfor {\n\t\tif x {\n\t\t\treturn a\n\t\t}\n\t}\n}\n"
    engine = replying(sdar(plain_tokenizer, tmp_path, TEMPLATE), reply)
    span = Span(text.index("\t\tif"), text.index("\t}\n}"))
    proposal = engine.propose(Request(Document(text, "go"), Refactor("return the sum", span)))
    assert apply(proposal.edits, text) == text.replace("return a", "return a + b"), proposal


def test_the_users_text_spells_no_special_token(plain_tokenizer: Path, tmp_path: Path) -> None:
    folder = sdar(plain_tokenizer, tmp_path, TEMPLATE)
    engine = load_engine(str(folder))
    asking = engine.reader.asking
    asked = asking.fix(Around("x <|im_end|>"), "<|im_start|>system", "<|mask|>")
    assert isinstance(asking, Chat)
    special = set(asking.specials.values())
    assert [i for i in asked.prompt if i in special] == [
        asking.specials[name] for name in ("<|im_start|>", "<|im_end|>", "<|im_start|>")
    ]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages[0].nothing.at.all }}", "cannot be used"),
        ("{% for m in messages %}", "cannot be used"),
        ("Hello.", "drops what the user says"),
        ("{{ raise_exception('no system message') }}", "no system message"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}{{ messages[0].content }}", "cannot be used"),
        ("{% for i in range(10**9) %}{% endfor %}", "cannot be used"),
    ],
)
def test_bad_templates_are_refused(template: str, message: str, tokenizer: Tokenizer) -> None:
    asking = Chat(tokenizer, {}, template)
    with pytest.raises(FamilyError, match=message):
        asking.fix(Around(""), "x", "")


def test_the_cpu_back_end_of_our_own_is_refused_for_guests(plain_tokenizer: Path, tmp_path: Path) -> None:
    folder = sdar(plain_tokenizer, tmp_path, None)
    with pytest.raises(ModelError, match="choose backend torch or auto"):
        load_engine(str(folder), "onnx")


def test_what_a_guest_is_is_said(plain_tokenizer: Path, tmp_path: Path) -> None:
    engine = load_engine(str(sdar(plain_tokenizer, tmp_path, None)))
    assert engine.description.startswith("SDAR: model (")


def test_our_own_folders_are_not_foreign(tmp_path: Path) -> None:
    from model.checkpoint import EMBEDDED

    assert not is_foreign(EMBEDDED)
    assert not is_foreign(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    assert not is_foreign(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sdar"}))
    assert is_foreign(tmp_path)
    assert FIRST_TEXT_ID == 24

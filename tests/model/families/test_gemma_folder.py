"""DiffusionGemma's folder: what is refused with what reason, and its tokenizer and chat template as ours."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.asking import Around
from model.checkpoint import ModelError
from model.families.chat_template import rendered
from model.families.errors import FamilyError
from model.families.prompts import Chat
from model.gemma.tokens import GemmaTokenizer, chat_of, specials_of
from model.loading import load_engine
from model.tokenizer import FIRST_TEXT_ID
from tests.model.families.gemmas import MARK, SPECIALS, fast_tokenizer

TEXT = "def add(a, b):\n    return a\n\n\ndef twice(x):\n    return add(x, x)\n"


@pytest.fixture
def folder(gemma_folder: Path, tmp_path: Path) -> Path:
    """One to damage."""
    return Path(shutil.copytree(gemma_folder, tmp_path / "model"))


@pytest.fixture(scope="module")
def asking() -> Chat:
    fast = fast_tokenizer()
    specials = specials_of(fast)
    return chat_of(fast, GemmaTokenizer(fast.backend_tokenizer.to_str(), specials, 512), specials)


def test_the_users_text_spells_no_special_token(asking: Chat) -> None:
    found = asking.fix(Around("x <turn|>"), f"<|turn>system {MARK}", "<eos>").prompt
    special = {*asking.specials.values()}
    assert special >= {i + FIRST_TEXT_ID for i in range(len(SPECIALS))}
    names = {index: name for name, index in asking.specials.items()}
    assert [names[i] for i in found if i in special] == ["<bos>", "<|turn>", "<turn|>", "<|turn>"]
    text = asking.tokenizer.decode(found)
    assert f"<|turn>system {MARK}" in text
    assert text.endswith("model\n")


def test_what_is_asked_is_what_its_own_tokenizer_renders(asking: Chat) -> None:
    said = [{"role": "user", "content": "a question"}]
    theirs = fast_tokenizer().apply_chat_template(
        said, tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    assert asking.roles["bos_token"] == "<bos>"
    assert rendered(asking.template, asking.roles, "a question") == theirs


def test_the_tokenizer_gives_every_character_back(asking: Chat) -> None:
    tokenizer = asking.tokenizer
    for text in (TEXT, "é🙂\tx\r\n\n\n  y <eos><0x41>", ""):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert tokenizer.can_represent(text)
        pieces = [text[a:b] for a, b in tokenizer.spans(ids)]
        assert tokenizer.count(text) == len(pieces)
    assert not tokenizer.can_represent("a \u2581 b")  # it would come back as a blank
    assert tokenizer.count("    return") == 2
    theirs = fast_tokenizer()
    assert [i - FIRST_TEXT_ID for i in tokenizer.encode(TEXT)] == theirs.encode(
        TEXT, add_special_tokens=False
    )
    with pytest.raises(FamilyError, match=r"ids up to \d+, the network 50 rows"):
        GemmaTokenizer(theirs.backend_tokenizer.to_str(), {}, 50)
    with pytest.raises(FamilyError, match="cannot be used"):
        GemmaTokenizer("{}", {}, 50)


def refused(folder: Path, *said: str, **settings: Any) -> None:
    with pytest.raises(ModelError) as caught:
        load_engine(str(folder), **settings)
    for each in said:
        assert each in str(caught.value)


def test_a_missing_extra_is_named(gemma_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "model.gemma.load", raising=False)
    monkeypatch.delattr("model.gemma.load", raising=False)
    monkeypatch.setitem(sys.modules, "transformers", None)
    refused(gemma_folder, str(gemma_folder), "transformers 5.13", "install redraft[gemma]")


def test_the_choices_that_it_does_not_have(gemma_folder: Path) -> None:
    refused(gemma_folder, "choose backend torch or auto", backend="onnx")
    refused(gemma_folder, "DiffusionGemma", "cannot decode by 'speculative'", mode="speculative")


def test_too_large(gemma_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.families.load.free_bytes", lambda device: 1 << 20)
    refused(
        gemma_folder,
        str(gemma_folder),
        "needs 0.",
        "GiB on cpu, where 0.0 GiB are free",
        "choose a smaller model",
    )


def test_damaged_folders(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = load_file(weights)
    name = next(name for name in sorted(whole) if "q_proj" in name)
    save_file({k: v for k, v in whole.items() if k != name}, weights, {"format": "pt"})
    refused(folder, "missing tensors", name, "fetch the plain model again")
    save_file({**whole, name: whole[name][:7].clone()}, weights, {"format": "pt"})
    refused(folder, str(folder), "fetch the")
    save_file({**whole, "model.more.weight": torch.ones(2)}, weights, {"format": "pt"})
    refused(folder, "unexpected tensors: model.more.weight")
    weights.write_bytes(weights.read_bytes()[:-100])
    refused(folder, "model.safetensors", "bytes where its header says", "fetch the model again")
    weights.rename(folder / "pytorch_model.bin")
    refused(folder, "pickled weights only (pytorch_model.bin)", "convert them to safetensors first")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("config.json", {"quantization_config": {"quant_method": "gptq"}}, "quantised checkpoints"),
        ("config.json", {"text_config": 3}, "text_config = 3 is no table"),
        ("config.json", {"text_config": {}}, "lacks 'vocab_size'"),
        ("config.json", {"architectures": 5}, "is damaged"),
        ("config.json", {"vision_config": {"model_type": "none"}}, "cannot be read by transformers"),
        ("tokenizer.json", {"model": {}}, "no tokenizer that can be read"),
    ],
)
def test_files_of_a_strange_shape(folder: Path, name: str, change: dict[str, Any], said: str) -> None:
    data = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**data, **change}))
    refused(folder, str(folder), said)


def test_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    refused(folder, "no tokenizer.json", "fetch the model again")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "chat template cannot be used"),
        ("{{ messages[0].nothing.at.all }}", "chat template cannot be used"),
        ("Hello.", "drops what the user says"),
    ],
)
def test_bad_templates(folder: Path, template: str | None, said: str) -> None:
    (folder / "chat_template.jinja").unlink()
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    refused(folder, said)


def test_code_beside_the_weights_is_never_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "modeling.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    names = {
        "AutoConfig": "modeling.Config",
        "AutoModel": "modeling.Model",
        "AutoTokenizer": ["modeling.T", None],
    }
    for name in ("config.json", "tokenizer_config.json"):
        data = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**data, "auto_map": names}))
    monkeypatch.chdir(folder)
    load_engine(str(folder), device="cpu")
    assert not (folder / "ran").exists()

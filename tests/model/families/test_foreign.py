"""What an opened foreign checkpoint says: its family, its special ids, its text, its template, its size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch

from model.config import ModelConfig
from model.families.folder import Fields, Folder
from model.families.foreign import open_foreign
from model.families.load import load_foreign
from model.families.registry import recognise
from model.tokenizer import EOS, FIRST_TEXT_ID, MASK
from tests.model.families.cases import LLADA2
from tests.model.families.checkpoints import LLAMA, PADDING, Case, llada2_tensors, llama_tensors, write
from tests.model.families.test_refused import change

SDAR = {**LLAMA, "architectures": ["SDARForCausalLM"], "model_type": "sdar", "head_dim": 16}


def sdar_tensors(config: Any) -> dict[str, torch.Tensor]:
    return llama_tensors(config, qk_norm=True)


def named(path: Path, **config: Any) -> Folder:
    """A folder with nothing but a config."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    return Folder(path, Fields(path / "config.json", config))


def test_special_tokens_have_names_and_no_text(folder: Path) -> None:
    checkpoint = open_foreign(folder)
    text = checkpoint.tokenizer()
    bpe = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert checkpoint.specials == {
        name: bpe.token_to_id(name) + FIRST_TEXT_ID
        for name in ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|mask|>")
    }
    said = "a <|im_start|>user<|mask|> b"
    assert not set(text.encode(said)) & set(checkpoint.specials.values())
    assert text.decode(text.encode(said)) == said
    assert text.decode(checkpoint.specials.values()) == ""
    code = "def f(a):\n    return a\n"
    assert [i - FIRST_TEXT_ID for i in text.encode(code)] == bpe.encode(code).ids
    assert text.size == checkpoint.config.vocab


def test_only_text_and_ends_can_be_chosen(folder: Path) -> None:
    (folder / "generation_config.json").write_text(
        json.dumps(
            {"eos_token_id": [json.loads((folder / "config.json").read_text())["eos_token_id"], 676 + 2]}
        )
    )
    checkpoint = open_foreign(folder)
    special = checkpoint.specials
    assert checkpoint.mask == special["<|mask|>"]
    assert checkpoint.eos == special["<|endoftext|>"]
    assert checkpoint.ends == (special["<|im_end|>"],)
    padding = set(range(checkpoint.config.vocab - PADDING, checkpoint.config.vocab))
    assert set(checkpoint.forbidden) == padding | set(special.values()) - set(checkpoint.ends)
    backend = load_foreign(checkpoint, "cpu")
    allowed = backend.allow([EOS])
    assert allowed[EOS] == 0
    assert allowed[checkpoint.ends[0]] == 0
    assert (allowed[list(checkpoint.forbidden)] < -1e9).all()
    table = backend.network.table.weight
    assert torch.equal(table[MASK], table[checkpoint.mask])
    assert torch.equal(table[EOS], table[checkpoint.eos])
    assert not table[[i for i in range(FIRST_TEXT_ID) if i not in (MASK, EOS)]].any()
    assert not backend.network.canvas.any()


def test_the_tokenizers_mask_overrides_the_configs(folder: Path) -> None:
    change(folder / "config.json", mask_token_id=7)
    assert open_foreign(folder).mask == open_foreign(folder).specials["<|mask|>"]
    # One that its own list does not have (as SDAR's) is no reason to refuse.
    change(folder / "tokenizer_config.json", mask_token="<|MASK|>")
    assert open_foreign(folder).mask == 7 + FIRST_TEXT_ID
    change(folder / "tokenizer_config.json", mask_token={"content": "<|im_start|>"})
    assert open_foreign(folder).mask == open_foreign(folder).specials["<|im_start|>"]


def test_a_vocabulary_with_gaps_and_special_tokens_in_it(folder: Path) -> None:
    """As Mistral's: special tokens take the first ids, stand in the vocabulary too, and some ids mean nothing."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    moved = {token: i + 40 for token, i in tokenizer["model"]["vocab"].items()}
    tokenizer["added_tokens"] = [{**t, "id": i} for i, t in enumerate(tokenizer["added_tokens"])]
    tokenizer["model"]["vocab"] = {**{t["content"]: t["id"] for t in tokenizer["added_tokens"]}, **moved}
    tokenizer["model"]["unk_token"] = "<|im_start|>"
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    last = max(moved.values())
    if last >= rows:  # the random tables have too few rows for the moved ids
        for token in [t for t, i in moved.items() if i >= rows]:
            del tokenizer["model"]["vocab"][token]
        kept = set(tokenizer["model"]["vocab"])
        merges = tokenizer["model"]["merges"]
        tokenizer["model"]["merges"] = [
            m for m in merges if "".join(m if isinstance(m, list) else m.split()) in kept
        ]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    change(folder / "config.json", eos_token_id=0)
    checkpoint = open_foreign(folder)
    text = "x = '<|im_start|>'\r\n\té e\u0301"
    ids = checkpoint.text.encode(text)
    assert checkpoint.text.decode(ids) == text
    assert min(ids) >= FIRST_TEXT_ID + 40
    assert set(range(FIRST_TEXT_ID, FIRST_TEXT_ID + 40)) <= set(checkpoint.forbidden)
    assert checkpoint.mask == FIRST_TEXT_ID + 3


def test_qwens_two_files_are_a_tokenizer_too(folder: Path) -> None:
    """Dream's folders have no `tokenizer.json`."""
    whole = open_foreign(folder)
    data = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(data["model"]["vocab"]))
    pairs = [" ".join(m) if isinstance(m, list) else m for m in data["model"]["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(pairs) + "\n", "utf-8")
    (folder / "added_tokens.json").write_text(
        json.dumps({t["content"]: t["id"] for t in data["added_tokens"]})
    )
    change(folder / "tokenizer_config.json", tokenizer_class="DreamTokenizer")
    checkpoint = open_foreign(folder)
    assert checkpoint.specials == whole.specials
    assert (checkpoint.mask, checkpoint.forbidden) == (whole.mask, whole.forbidden)
    text = "class A:\n\tdef it(self): return {'b': 1234, '<|mask|>': é}\n\n"
    assert checkpoint.text.decode(checkpoint.text.encode(text)) == text
    assert checkpoint.text.encode("A") == whole.text.encode("A")


def test_the_chat_template(folder: Path) -> None:
    assert open_foreign(folder).chat_template is None
    change(folder / "tokenizer_config.json", chat_template=[{"name": "default", "template": "{{ a }}"}])
    assert open_foreign(folder).chat_template == "{{ a }}"
    change(folder / "tokenizer_config.json", chat_template="{{ b }}")
    assert open_foreign(folder).chat_template == "{{ b }}"
    (folder / "chat_template.jinja").write_text("{{ c }}")
    assert open_foreign(folder).chat_template == "{{ c }}"


@pytest.mark.parametrize(
    ("name", "field", "block"),
    [
        ("SDAR-8B-Chat", None, 4),
        ("SDAR-8B-Chat-b32", None, 32),
        ("mine", 16, 16),
        ("SDAR-4B-Chat-b8", 64, 64),
    ],
)
def test_sdars_block_is_the_configs_or_the_names(
    plain_tokenizer: Path, tmp_path: Path, name: str, field: int | None, block: int
) -> None:
    case = Case("sdar", SDAR, sdar_tensors, block)
    folder = tmp_path / f"models--JetLM--{name}" / "snapshots" / "0123"
    folder.mkdir(parents=True)
    write(case, plain_tokenizer, folder, block_size=field)
    checkpoint = open_foreign(folder)
    assert (checkpoint.config.clean_block, checkpoint.config.block) == (block, block)


@pytest.mark.parametrize(
    ("name", "block"), [("Qwen3-0.6B-diffusion-mdlm-v0.1", 0), ("q-diffusion-bd3lm-v0.1", 32)]
)
def test_dllms_names_say_whether_they_have_blocks(
    plain_tokenizer: Path, tmp_path: Path, name: str, block: int
) -> None:
    config = {**LLAMA, "architectures": ["A2DQwen3LMHeadModel"], "model_type": "a2d-qwen3"}
    folder = tmp_path / name
    folder.mkdir()
    write(Case("a2d", config, sdar_tensors, block), plain_tokenizer, folder)
    assert open_foreign(folder).config.clean_block == block


@pytest.mark.parametrize(
    ("path", "config", "family"),
    [
        ("LLaDA2.0-mini", {"architectures": ["LLaDA2MoeModelLM"]}, "llada2.0"),
        ("LLaDA2.1-flash", {"architectures": ["LLaDA2MoeModelLM"]}, "llada2.1"),
        ("mine", {"architectures": ["LLaDA2MoeModelLM"], "delete_token_id": 156930}, "llada2.2"),
        ("mine", {"model_type": "llada21_moe"}, "llada2.1"),
        ("mine", {"architectures": ["DreamModel"], "model_type": "Dream"}, "dream"),
        ("DreamOn-v0-7B", {"architectures": ["DreamModel"], "model_type": "Dream"}, "dreamon"),
        ("mine", {"model_type": "llada"}, "llada"),
        ("mine", {"model_type": "nemotron_labs_diffusion"}, "nemotron-labs-diffusion"),
        ("mine", {"architectures": ["DiffusionGemmaForBlockDiffusion"]}, "diffusion-gemma"),
    ],
)
def test_families_with_one_architecture_are_told_apart(
    tmp_path: Path, path: str, config: dict[str, Any], family: str
) -> None:
    found = recognise(named(tmp_path / path, **config))
    assert found.name == family
    assert found.decoding["policy"]


def test_dreamons_expand_token_is_a_mark(plain_tokenizer: Path, tmp_path: Path) -> None:
    config = {**LLAMA, "architectures": ["DreamModel"], "model_type": "Dream", "expand_token_id": 300}
    write(
        Case("dreamon", config, lambda c: llama_tensors(c, bias=True), 0),
        plain_tokenizer,
        tmp_path,
        max_position_embeddings=131_072,
    )
    checkpoint = open_foreign(tmp_path)
    assert checkpoint.marks == {"expand": 300 + FIRST_TEXT_ID}
    assert checkpoint.config.context == 2048
    assert checkpoint.config.shifted


def test_a_head_that_nobody_mentions_is_tied_where_it_is_missing(
    plain_tokenizer: Path, tmp_path: Path
) -> None:
    config = {k: v for k, v in SDAR.items() if k != "tie_word_embeddings"}
    (tmp_path / "own").mkdir()
    write(Case("sdar", config, sdar_tensors, 4), plain_tokenizer, tmp_path / "own")
    assert not open_foreign(tmp_path / "own").config.tied
    (tmp_path / "tied").mkdir()
    tied = Case("sdar", config, lambda c: sdar_tensors({**c, "tie_word_embeddings": True}), 4)
    write(tied, plain_tokenizer, tmp_path / "tied")
    assert open_foreign(tmp_path / "tied").config.tied


def test_weights_take_the_type_that_is_asked_for(plain_tokenizer: Path, tmp_path: Path) -> None:
    """All but the bias that chooses experts, which decides by small steps."""
    write(Case("llada2", LLADA2.config, llada2_tensors, 32), plain_tokenizer, tmp_path)
    checkpoint = open_foreign(tmp_path)
    backend = load_foreign(checkpoint, "cpu", torch.bfloat16)
    kinds = {name: weight.dtype for name, weight in backend.network.state_dict().items()}
    assert {n for n, k in kinds.items() if k == torch.float32} == {
        n for n in kinds if n.endswith("mixture.bias")
    }
    assert "layers.1.mixture.bias" in kinds
    found = backend.network.state_dict()["layers.2.mixture.gate_up"]
    assert found.shape == (16, 96, 64)
    assert ModelConfig.from_json(json.loads(json.dumps(checkpoint.config.as_json()))) == checkpoint.config


def test_opening_imports_no_torch(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from model.families.foreign import open_foreign; "
        f"open_foreign(Path({str(folder)!r})); sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode
        == 0
    )

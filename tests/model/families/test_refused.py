"""Foreign checkpoints that cannot be read: the message names the file, what is wrong, and what to do."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.backends import device as devices
from model.backends.device import choose_device
from model.checkpoint import ModelError
from model.families.foreign import open_foreign
from model.families.load import check_fits, load_foreign
from model.families.registry import FAMILIES

INDEX = "model.safetensors.index.json"
FIRST = "model-00001-of-00003.safetensors"


def change(path: Path, **values: Any) -> None:
    """Fields of a JSON file; None takes one out."""
    data = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))


def refused(folder: Path, *said: str) -> str:
    """What is said of a folder: all of `said`, and something to do."""
    with pytest.raises(ModelError) as caught:
        open_foreign(folder)
    message = str(caught.value)
    for each in said:
        assert each in message
    return message


def rewrite(path: Path, changed: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    save_file(changed(load_file(path)), path)


def test_a_sound_folder_is_opened(folder: Path) -> None:
    assert open_foreign(folder).family.name == "stable-diffcoder"


def test_a_missing_shard(folder: Path) -> None:
    (folder / FIRST).unlink()
    refused(folder, str(folder), FIRST, "1 of the 3 files", INDEX, "fetch the model again")


def test_an_index_that_belongs_to_other_files(folder: Path) -> None:
    placed = json.loads((folder / INDEX).read_text())["weight_map"]
    change(folder / INDEX, weight_map={**placed, "model.other": FIRST})
    refused(folder, INDEX, FIRST, "model.other", "fetch them again")


@pytest.mark.parametrize("text", ["[]", "{", '{"weight_map": 3}'])
def test_a_damaged_index(folder: Path, text: str) -> None:
    (folder / INDEX).write_text(text)
    refused(folder, INDEX, "no index of shards", "fetch the model again")


@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "{absolute}", "sub/inside.safetensors", "weights.bin"]
)
def test_an_index_that_names_a_file_outside(folder: Path, name: str) -> None:
    outside = folder.parent / "outside.safetensors"
    outside.write_bytes((folder / FIRST).read_bytes())
    named = name.format(absolute=outside)
    placed = json.loads((folder / INDEX).read_text())["weight_map"]
    change(folder / INDEX, weight_map={k: named if v == FIRST else v for k, v in placed.items()})
    refused(folder, INDEX, repr(named), "no safetensors file of its folder", "do not trust")


def test_a_link_that_leads_outside(folder: Path) -> None:
    outside = folder.parent / "outside.safetensors"
    (folder / FIRST).rename(outside)
    (folder / FIRST).symlink_to(outside)
    refused(folder, FIRST, str(outside), "outside of its folder", "copy the file")
    (folder / FIRST).unlink()
    (folder / "other.safetensors").write_bytes(outside.read_bytes())
    (folder / FIRST).symlink_to("other.safetensors")
    open_foreign(folder)  # a link within the folder is none of our business


def test_a_hubs_cache_is_made_of_links(folder: Path) -> None:
    """`snapshots/REVISION/file` leads to `blobs/HASH` of the same model, and nowhere else."""
    top = folder.parent / "models--someone--model"
    snapshot, blobs = top / "snapshots" / "0123", top / "blobs"
    for each in (snapshot, blobs):
        each.mkdir(parents=True)
    for i, path in enumerate(sorted(folder.iterdir())):
        path.rename(blobs / str(i))
        (snapshot / path.name).symlink_to(Path("../../blobs") / str(i))
    checkpoint = open_foreign(snapshot)
    assert load_foreign(checkpoint, "cpu").config == checkpoint.config
    foreign_blob = folder.parent / "models--else" / "blobs"
    foreign_blob.mkdir(parents=True)
    (snapshot / FIRST).resolve().rename(foreign_blob / "9")
    (snapshot / FIRST).unlink()
    (snapshot / FIRST).symlink_to(foreign_blob / "9")
    refused(snapshot, FIRST, "outside of its folder")


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.float8_e4m3fn, torch.bool])
def test_a_tensor_that_is_no_plain_number(folder: Path, kind: torch.dtype) -> None:
    name = sorted(load_file(folder / FIRST))[0]
    rewrite(folder / FIRST, lambda t: {**t, name: t[name].to(kind)})
    refused(
        folder,
        FIRST,
        f"{name} holds numbers of type",
        "expected F64, F32, BF16, F16",
        "fetch the plain model",
    )


def test_a_tensor_of_another_shape(folder: Path) -> None:
    name = next(n for n in sorted(load_file(folder / FIRST)) if "proj" in n)
    rewrite(folder / FIRST, lambda t: {**t, name: t[name][:7].clone()})
    refused(folder, FIRST, f"{name} has shape (7,", "the config says (", "fetch them again")


def test_missing_and_unexpected_tensors(folder: Path) -> None:
    (folder / INDEX).rename(folder / "kept.json")
    whole = {
        k: v for i in (1, 2, 3) for k, v in load_file(folder / f"model-0000{i}-of-00003.safetensors").items()
    }
    save_file({k: v for k, v in whole.items() if "o_proj" not in k}, folder / "model.safetensors")
    refused(folder, "lack model.layers.0.self_attn.o_proj.weight", "fetch the model again")
    save_file(
        {**whole, "model.layers.0.self_attn.q_proj.qweight": torch.ones(2)}, folder / "model.safetensors"
    )
    refused(folder, "unexpected model.layers.0.self_attn.q_proj.qweight", "fetch the plain model")
    save_file({**whole, "model.rotary_emb.inv_freq": torch.ones(2)}, folder / "model.safetensors")
    open_foreign(folder)  # old files have this, which follows from the config
    save_file({**whole, "lm_head.weight": whole["lm_head.weight"]}, folder / "model.safetensors")
    change(folder / "config.json", tie_word_embeddings=True)
    assert open_foreign(folder).config.tied  # some writers store a tied head again


def test_a_file_that_was_cut(folder: Path) -> None:
    path = folder / FIRST
    path.write_bytes(path.read_bytes()[:-100])
    refused(folder, FIRST, "bytes where its header says", "fetch the model again")
    path.write_bytes(path.read_bytes()[:60])
    refused(folder, FIRST, "is not a safetensors file", "fetch the model again")
    path.write_bytes(b"")
    refused(folder, FIRST, "is not a safetensors file", "fetch the model again")


def test_pickles_alone(folder: Path) -> None:
    for path in folder.glob("model*"):
        path.unlink()
    refused(folder, str(folder), "no model.safetensors", "fetch the model again")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    refused(folder, "pickled weights only (pytorch_model.bin)", "convert them to safetensors first")


def test_an_unknown_architecture_lists_the_known_ones(folder: Path) -> None:
    change(folder / "config.json", architectures=["MambaForCausalLM"])
    message = refused(folder, str(folder / "config.json"), "'MambaForCausalLM' is not supported")
    for family in FAMILIES:
        assert family.title in message
        assert family.architectures[0] in message
    change(folder / "config.json", architectures=None, model_type=None)
    refused(folder, "the architecture None is not supported")


def test_an_autoregressive_model_is_sent_to_adapt(folder: Path) -> None:
    change(folder / "config.json", architectures=["LlamaForCausalLM"])
    refused(folder, "LlamaForCausalLM", "autoregressive", "redraft train adapt")


def test_no_config(folder: Path) -> None:
    (folder / "config.json").write_text("[]")
    refused(folder, "config.json", "not a JSON object", "fetch the model again")
    (folder / "config.json").unlink()
    refused(folder, str(folder), "is no model", "config.json cannot be read")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu' is not supported"),
        ({"attention_bias": True}, "attention_bias = True is not supported"),
        ({"mlp_bias": True}, "mlp_bias = True is not supported"),
        ({"sliding_window": 4096}, "sliding window is not supported"),
        ({"layer_types": ["sliding_attention"]}, "sliding window is not supported"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling 'linear' is not supported"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "the scaling of its positions lacks 'factor'"),
        ({"rope_parameters": "yarn"}, "rope_parameters = 'yarn' is no table"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5 is not supported"),
        ({"num_hidden_layers": None}, "lacks 'num_hidden_layers'"),
        ({"intermediate_size": "many"}, "intermediate_size = 'many' is no number"),
        ({"num_key_value_heads": 3}, "4 heads cannot share 3 key/value heads"),
        ({"num_attention_heads": 0}, "num_attention_heads = 0 describes no network"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised checkpoints cannot be read"),
        ({"eos_token_id": 99_999}, "the special id 99999 is beyond the"),
    ],
)
def test_configs_that_we_do_not_compute(folder: Path, values: dict[str, Any], said: str) -> None:
    change(folder / "config.json", **values)
    refused(folder, str(folder / "config.json"), said)


def test_no_mask_token_anywhere(folder: Path) -> None:
    change(folder / "tokenizer_config.json", mask_token=None)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    for token in tokenizer["added_tokens"]:
        token["content"] = token["content"].replace("mask", "else")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    refused(folder, "config.json has no mask_token_id and the tokenizer no mask token", "add mask_token_id")
    change(folder / "config.json", mask_token_id=4)
    assert open_foreign(folder).mask == 4 + 24


def test_no_end_anywhere(folder: Path) -> None:
    change(folder / "config.json", eos_token_id=None)
    refused(folder, "no eos_token_id and the tokenizer no eos token", "fetch the model again")


def test_a_tokenizer_of_another_model(folder: Path) -> None:
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["added_tokens"][-1]["id"] = vocabulary
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    refused(folder, "tokenizer.json", f"ids up to {vocabulary}", f"{vocabulary} rows", "fetch them again")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"type": "Unigram", "vocab": {}}, "not a byte-level BPE"),
        ({"type": "BPE", "vocab": {"\u2581a": 0}, "merges": []}, "does not stand for bytes"),
        ({"type": "BPE", "vocab": {"a": 0}, "merges": []}, "bytes have no token"),
        ({"type": "BPE", "vocab": []}, "not a byte-level BPE"),
    ],
)
def test_tokenizers_of_another_kind(folder: Path, model: dict[str, Any], said: str) -> None:
    change(folder / "tokenizer.json", model=model)
    refused(folder, "tokenizer.json", said)


def test_no_tokenizer(folder: Path) -> None:
    change(folder / "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")
    change(folder / "config.json", mask_token_id=4)
    (folder / "tokenizer.json").unlink()
    refused(folder, str(folder), "no tokenizer.json", "fetch it")
    (folder / "vocab.json").write_text("{}")
    refused(folder, "merges.txt", "not a byte-level BPE")


def test_code_beside_the_weights_is_never_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto_map` names it; it would leave a file behind."""
    for name in ("modeling_stable_diffcoder", "configuration_stable_diffcoder", "tokenization"):
        (folder / f"{name}.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    names = {"AutoModelForCausalLM": "modeling_stable_diffcoder.StableDiffcoderForCausalLM"}
    change(folder / "config.json", auto_map=names)
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization.Tokenizer", None]})
    monkeypatch.chdir(folder)
    load_foreign(open_foreign(folder), "cpu")
    assert not (folder / "ran").exists()


def test_diffusion_gemma_names_its_extra(folder: Path) -> None:
    change(
        folder / "config.json",
        architectures=["DiffusionGemmaForBlockDiffusion"],
        model_type="diffusion_gemma",
    )
    refused(folder, "DiffusionGemma", "transformers", "install redraft[gemma]")


def test_too_little_memory_says_both_sizes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = open_foreign(folder)
    needed = checkpoint.bytes(4)
    assert needed == 4 * (checkpoint.config.parameters + 2 * 2 * 2 * 16 * 1024)
    monkeypatch.setattr("model.families.load.free_bytes", lambda _: needed)
    check_fits(checkpoint, torch.device("cpu"))
    monkeypatch.setattr("model.families.load.free_bytes", lambda _: needed - 1)
    with pytest.raises(ModelError, match=r"needs \d+\.\d GiB on cpu, where \d+\.\d GiB are free; close what"):
        load_foreign(checkpoint, "cpu")
    check_fits(checkpoint, torch.device("cpu"), torch.bfloat16)
    assert devices.free_bytes(torch.device("cpu")) > 0


@pytest.fixture
def cuda_says(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    def arrange(error: Exception) -> None:
        def fail(*_: Any) -> None:
            raise error

        monkeypatch.setattr(torch.cuda, "init", fail)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    return arrange


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            AssertionError("Torch not compiled with CUDA enabled"),
            "built without CUDA; install one that has it",
        ),
        (
            RuntimeError(
                "The NVIDIA driver on your system is too old (found version 11040).\nPlease update."
            ),
            "too old (found version 11040).; update the NVIDIA driver, or install a PyTorch",
        ),
        (RuntimeError("Found no NVIDIA driver on your system."), "no NVIDIA GPU, or no driver"),
        (RuntimeError("No CUDA GPUs are available"), "no NVIDIA GPU, or no driver"),
        (RuntimeError("CUDA error: invalid device ordinal"), "this machine has 1 GPUs, counted from cuda:0"),
    ],
)
def test_a_gpu_that_cannot_be_used(
    cuda_says: Callable[[Exception], None], error: Exception, said: str
) -> None:
    cuda_says(error)
    with pytest.raises(ModelError, match=re.escape(said)) as caught:
        choose_device("cuda")
    assert "'cuda' cannot be used" in str(caught.value)
    assert "or choose device cpu" in str(caught.value)


def test_an_unknown_device() -> None:
    with pytest.raises(ModelError, match="choose auto, cpu, cuda"):
        choose_device("quantum")
    assert choose_device("cpu").type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_no_gpu_here(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"'cuda' cannot be used.*or choose device cpu"):
        load_foreign(open_foreign(folder), "cuda")
    assert choose_device().type == "cpu"


def test_a_file_that_vanishes_between_opening_and_loading(folder: Path) -> None:
    checkpoint = open_foreign(folder)
    os.truncate(folder / FIRST, 200)
    with pytest.raises(ModelError, match=f"{FIRST} cannot be read.*fetch the model again"):
        load_foreign(checkpoint, "cpu")

"""Foreign checkpoints: our causal logits are those of the stock classes; what cannot be read is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file

from model.backends.interface import Pass
from model.backends.load_torch import load_torch
from model.backends.onnx import OnnxBackend
from model.checkpoint import Decoding, open_checkpoint, write_config
from model.export import export_onnx
from model.families.bpe import read_tokenizer
from model.families.errors import FamilyError
from model.families.llama import open_folder, read_config, read_weights
from model.quantize import quantize
from model.tokenizer import FIRST_TEXT_ID, Tokenizer
from model.transformer import Transformer, masked, state_names

pytest.importorskip("transformers")
PADDING = 7
"""Rows of the vocabulary behind the tokenizer's."""

Write = Callable[..., tuple[Path, Any]]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Write:
    """A random checkpoint written by the stock class, and that class's network."""
    from transformers.models.llama import LlamaConfig, LlamaForCausalLM
    from transformers.models.qwen2 import Qwen2Config, Qwen2ForCausalLM

    classes = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)}

    def make(family: str, tied: bool, **saving: Any) -> tuple[Path, Any]:
        folder = tmp_path_factory.mktemp("foreign")
        tokenizer.save(folder / "tokenizer.json")
        bpe = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        bpe.add_special_tokens(["<|endoftext|>"])
        bpe.save(str(folder / "tokenizer.json"))
        make_config, make_network = classes[family]
        config = make_config(
            vocab_size=bpe.get_vocab_size() + PADDING,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=96,
            max_position_embeddings=1024,
            rope_theta=5e5,
            tie_word_embeddings=tied,
        )
        torch.manual_seed(3)
        network = make_network(config).eval()
        for weight in network.parameters():  # stock initial values make nearly equal logits
            weight.data = (
                torch.randn_like(weight) * 0.15 if weight.ndim > 1 else 1 + 0.3 * torch.randn_like(weight)
            )
        network.save_pretrained(folder, **saving)
        return folder, network

    return make


def causal(network: Transformer, ids: torch.Tensor) -> torch.Tensor:
    length = ids.shape[1]
    sees = torch.ones(1, length, length, dtype=torch.bool).tril()
    hidden, _ = network(
        ids, torch.arange(length)[None], torch.zeros_like(ids, dtype=torch.bool), masked(sees)
    )
    return network.logits(hidden)


def ours(folder: Path) -> Transformer:
    config, tokenizer = open_folder(folder)
    network = Transformer(config).eval()
    network.load_state_dict(read_weights(folder, config, tokenizer))
    return network


@pytest.mark.parametrize("family", ["llama", "qwen2"])
@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_causal_logits_are_those_of_the_stock_class(write: Write, family: str, tied: bool) -> None:
    folder, stock = write(family, tied)
    network = ours(folder)
    text = network.config.vocab - FIRST_TEXT_ID
    ids = torch.randint(0, text, (1, 90), generator=torch.Generator().manual_seed(1))
    wanted = stock(ids).logits[0, :, :text]
    found = causal(network, ids + FIRST_TEXT_ID)[0, :, FIRST_TEXT_ID:]
    assert wanted.std() > 1
    assert (found - wanted).abs().max() < 1e-4
    assert stock.config.vocab_size == text + 1 + PADDING  # the special token's row and the padding are cut


def test_the_parameters_of_all_variants_are_counted_right(write: Write) -> None:
    for family, tied in (("llama", False), ("qwen2", True)):
        config, _ = open_folder(write(family, tied)[0])
        shapes = state_names(config).values()
        assert config.parameters == sum(torch.Size(s).numel() for s in shapes)


def test_shards_are_read_by_their_index(write: Write) -> None:
    folder, _ = write("llama", False, max_shard_size="100KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert ours(folder).config.layers == 2
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"]["model.norm.weight"] = "../elsewhere.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(FamilyError, match=r"elsewhere.* no safetensors file of its folder"):
        ours(folder)


@pytest.mark.parametrize(("family", "tied"), [("qwen2", False), ("llama", True)])
def test_both_back_ends_run_it_as_int8(write: Write, tmp_path: Path, family: str, tied: bool) -> None:
    """The graph follows every flag: biases, no norms, a head of its own."""
    network = ours(write(family, tied)[0])
    torch.manual_seed(2)
    network.canvas.data.normal_()
    save_file(quantize(network.state_dict()), tmp_path / "model.safetensors")
    export_onnx(network.config, tmp_path / "model.safetensors", tmp_path / "graph.onnx")
    write_config(tmp_path, network.config, Decoding(), {})
    checkpoint = open_checkpoint(tmp_path)
    logp = []
    for backend in (OnnxBackend(checkpoint, threads=1), load_torch(checkpoint, "cpu")):
        each = Pass(backend.new_cache(64), list(range(30, 50)), [1, 1, 60], range(23), backend.allow([]))
        (found,) = backend.forward([each])
        logp.append(torch.as_tensor(found.logp_RK[:, 0]).double())
    # Activations are rounded in the graph: that moves these sharp logits (a spread of several nats) a little.
    assert (logp[0] - logp[1]).abs().mean() < 0.1


def test_text_comes_back_and_special_tokens_are_text(write: Write) -> None:
    folder, _ = write("llama", True)
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    text = "x = '<|endoftext|>'\r\n\té e\u0301"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    foreign = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    code = "def f(a):\n    return a\n"
    assert [i - FIRST_TEXT_ID for i in tokenizer.encode(code)] == foreign.encode(code).ids
    assert foreign.token_to_id("<|endoftext|>") == tokenizer.size - FIRST_TEXT_ID  # beyond ours


def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path) -> None:
    vocabulary = {"\u2581a": 0, "b": 1}
    model = {"type": "BPE", "vocab": vocabulary, "merges": []}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    with pytest.raises(ValueError, match="does not stand for bytes"):
        read_tokenizer(tmp_path / "tokenizer.json")


def _changed(folder: Path, **values: Any) -> None:
    data = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**data, **values}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "mistral"}, "model_type 'mistral' is not supported; llama and qwen2"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling 'linear' is not supported"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "rope_parameters 'llama3' is not supported"),
        ({"attention_bias": True}, "attention_bias = True is not supported"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu' is not supported"),
        ({"intermediate_size": "many"}, "invalid literal"),
    ],
)
def test_configs_that_we_do_not_compute_are_refused(
    write: Write, values: dict[str, Any], message: str
) -> None:
    folder, _ = write("llama", True)
    _changed(folder, **values)
    with pytest.raises(ValueError, match=message):
        read_config(folder, 100)


def test_older_files_name_the_base_of_the_positions_otherwise(write: Write) -> None:
    folder, _ = write("llama", True)
    assert read_config(folder, 100).rope_theta == 5e5
    _changed(folder, rope_parameters=None, rope_theta=2e4)
    assert read_config(folder, 100).rope_theta == 2e4


def test_wrong_weights_are_named(write: Write) -> None:
    folder, _ = write("qwen2", True)
    config, tokenizer = open_folder(folder)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    bias = "model.layers.1.self_attn.v_proj.bias"

    def refused(changed: dict[str, torch.Tensor], message: str) -> None:
        save_file(changed, path)
        with pytest.raises(FamilyError, match=message):
            read_weights(folder, config, tokenizer)

    refused({k: v for k, v in tensors.items() if k != bias}, rf"lack {bias}")
    refused({**tensors, "model.extra": torch.ones(1)}, r"unexpected model\.extra")
    refused({**tensors, bias: torch.ones(3)}, rf"{bias} has shape \(3,\), the config says \(32,\)")
    table = "model.embed_tokens.weight"
    refused({**tensors, table: tensors[table][:400].clone()}, "400 rows, fewer than the tokenizer's 676 ids")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FamilyError, match="is not a safetensors file"):
        read_weights(folder, config, tokenizer)


def test_pickles_are_refused(write: Write) -> None:
    folder, _ = write("llama", True)
    config, tokenizer = open_folder(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FamilyError, match=r"no model\.safetensors"):
        read_weights(folder, config, tokenizer)
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(FamilyError, match=r"pickled weights only \(pytorch_model\.bin\).*safetensors first"):
        read_weights(folder, config, tokenizer)

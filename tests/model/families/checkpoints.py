"""Small random checkpoints under the exact field and tensor names of each family, written as the hub has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers
import torch
from safetensors.torch import save_file

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|mask|>")
PADDING = 5
"""Rows of the tables behind the tokenizer's ids."""
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Case:
    """A family's `config.json` (its special ids and vocabulary are filled in), its tensors, and how its clean tokens
    see each other; `stock` is the class that computes the same; `tokenizer` are fields of `tokenizer_config.json`."""

    name: str
    config: Mapping[str, Any]
    tensors: Callable[[Mapping[str, Any]], Tensors]
    clean_block: int
    stock: str = ""
    shifted: bool = False
    specials: tuple[str, ...] = SPECIALS
    tokenizer: Mapping[str, Any] = field(default_factory=lambda: {"mask_token": "<|mask|>"})
    vocab_field: str = "vocab_size"


LLAMA = {
    "hidden_act": "silu",
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_position_embeddings": 1024,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e4,
    "tie_word_embeddings": False,
}


def random_weight(*shape: int, generator: torch.Generator) -> torch.Tensor:
    """So large that logits differ; vectors are around one, as norms are."""
    drawn = torch.randn(*shape, generator=generator)
    return drawn * 0.15 if len(shape) > 1 else 1 + 0.3 * drawn


def llama_tensors(
    config: Mapping[str, Any],
    *,
    bias: bool = False,
    qk_norm: bool = False,
    prefix: str = "model.",
    head: str = "lm_head.weight",
) -> Tensors:
    """Of Llama, Qwen2 (`bias`), Qwen3 (`qk_norm`) and, where the config has them, Qwen3's experts."""
    g = torch.Generator().manual_seed(5)
    c, v = config["hidden_size"], config["vocab_size"]
    d = config.get("head_dim") or c // config["num_attention_heads"]
    q, kv = config["num_attention_heads"] * d, config["num_key_value_heads"] * d
    shapes: dict[str, tuple[int, ...]] = {
        f"{prefix}embed_tokens.weight": (v, c),
        f"{prefix}norm.weight": (c,),
    }
    if not config.get("tie_word_embeddings"):
        shapes[head] = (v, c)
    for i in range(config["num_hidden_layers"]):
        at = f"{prefix}layers.{i}."
        shapes |= {f"{at}input_layernorm.weight": (c,), f"{at}post_attention_layernorm.weight": (c,)}
        for name, rows in (("q", q), ("k", kv), ("v", kv)):
            shapes[f"{at}self_attn.{name}_proj.weight"] = (rows, c)
            if bias:
                shapes[f"{at}self_attn.{name}_proj.bias"] = (rows,)
            if qk_norm and name != "v":
                shapes[f"{at}self_attn.{name}_norm.weight"] = (d,)
        shapes[f"{at}self_attn.o_proj.weight"] = (c, q)
        experts = config.get("num_experts", 0)
        parts = [f"{at}mlp.experts.{j}." for j in range(experts)] or [f"{at}mlp."]
        ff = config["moe_intermediate_size"] if experts else config["intermediate_size"]
        if experts:
            shapes[f"{at}mlp.gate.weight"] = (experts, c)
        for part in parts:
            shapes |= {f"{part}{n}.weight": (ff, c) for n in ("gate_proj", "up_proj")}
            shapes[f"{part}down_proj.weight"] = (c, ff)
    return {name: random_weight(*shape, generator=g) for name, shape in shapes.items()}


def llada_tensors(config: Mapping[str, Any]) -> Tensors:
    g = torch.Generator().manual_seed(6)
    c, v, ff = config["d_model"], config["embedding_size"], config["mlp_hidden_size"]
    kv = config["n_kv_heads"] * (c // config["n_heads"])
    top = "model.transformer."
    shapes: dict[str, tuple[int, ...]] = {f"{top}wte.weight": (v, c), f"{top}ln_f.weight": (c,)}
    shapes[f"{top}ff_out.weight"] = (v, c)
    for i in range(config["n_layers"]):
        at = f"{top}blocks.{i}."
        shapes |= {f"{at}attn_norm.weight": (c,), f"{at}ff_norm.weight": (c,)}
        shapes |= {f"{at}q_proj.weight": (c, c), f"{at}k_proj.weight": (kv, c), f"{at}v_proj.weight": (kv, c)}
        shapes |= {
            f"{at}attn_out.weight": (c, c),
            f"{at}ff_proj.weight": (ff, c),
            f"{at}up_proj.weight": (ff, c),
        }
        shapes[f"{at}ff_out.weight"] = (c, ff)
    return {name: random_weight(*shape, generator=g) for name, shape in shapes.items()}


def llada2_tensors(config: Mapping[str, Any]) -> Tensors:
    g = torch.Generator().manual_seed(7)
    c, v, d = config["hidden_size"], config["vocab_size"], config["head_dim"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    shapes: dict[str, tuple[int, ...]] = {"model.word_embeddings.weight": (v, c), "model.norm.weight": (c,)}
    shapes["lm_head.weight"] = (v, c)
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}."
        shapes |= {f"{at}input_layernorm.weight": (c,), f"{at}post_attention_layernorm.weight": (c,)}
        shapes[f"{at}attention.query_key_value.weight"] = ((heads + 2 * kv_heads) * d, c)
        shapes |= {f"{at}attention.{n}_layernorm.weight": (d,) for n in ("query", "key")}
        shapes[f"{at}attention.dense.weight"] = (c, heads * d)
        parts = {f"{at}mlp.": config["intermediate_size"]}
        if i >= config["first_k_dense_replace"]:
            ff = config["moe_intermediate_size"]
            parts = {f"{at}mlp.experts.{j}.": ff for j in range(config["num_experts"])}
            parts[f"{at}mlp.shared_experts."] = ff * config["num_shared_experts"]
            shapes[f"{at}mlp.gate.weight"] = (config["num_experts"], c)
            shapes[f"{at}mlp.gate.expert_bias"] = (config["num_experts"],)
        for part, ff in parts.items():
            shapes |= {f"{part}{n}.weight": (ff, c) for n in ("gate_proj", "up_proj")}
            shapes[f"{part}down_proj.weight"] = (c, ff)
    return {name: random_weight(*shape, generator=g) for name, shape in shapes.items()}


def write_tokenizer(
    plain: Path, folder: Path, specials: tuple[str, ...], fields: Mapping[str, Any]
) -> dict[str, int]:
    """`plain` is a `tokenizer.json` without special tokens; the ids of the special ones, which stand behind it."""
    bpe = tokenizers.Tokenizer.from_file(str(plain))
    bpe.add_special_tokens(list(specials))
    bpe.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(fields)))
    return {name: bpe.token_to_id(name) for name in specials}


def write(
    case: Case, plain: Path, folder: Path, shards: int = 1, **changed: Any
) -> tuple[dict[str, Any], Tensors]:
    """The written config and tensors; `changed` are fields of the config, None takes one out."""
    ids = write_tokenizer(plain, folder, case.specials, case.tokenizer)
    config = {
        "eos_token_id": ids["<|endoftext|>"],
        case.vocab_field: max(ids.values()) + 1 + PADDING,
        **case.config,
    }
    config = {k: v for k, v in {**config, **changed}.items() if v is not None}
    tensors = case.tensors(config)
    (folder / "config.json").write_text(json.dumps(config))
    save(tensors, folder, shards)
    return config, tensors


def save(tensors: Tensors, folder: Path, shards: int = 1) -> None:
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return
    placed: dict[str, str] = {}
    for i in range(shards):
        name = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = {k: tensors[k] for k in sorted(tensors)[i::shards]}
        save_file(part, folder / name)
        placed |= dict.fromkeys(part, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))


def block_causal(rows: int, block: int) -> torch.Tensor:
    """True where a row sees a column: its own block and all before it."""
    at = torch.arange(rows) // block
    return at[:, None] >= at


def causal_then_canvas(clean: int, canvas: int) -> torch.Tensor:
    sees = torch.ones(clean + canvas, clean + canvas, dtype=torch.bool).tril()
    sees[clean:] = True
    return sees

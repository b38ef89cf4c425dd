"""Llama and Qwen2 checkpoints in Hugging Face's layout: a folder's `config.json`, safetensors and `tokenizer.json`
as our config, weights and tokenizer.

Knows the two families' names; knows nothing of training. Control tokens go in front of the foreign vocabulary, so
that the foreign id i is ours i + 24. Runs no code of the folder's and reads no pickles.

Shape suffixes: V foreign ids, C width.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from model.config import ModelConfig
from model.families.bpe import read_tokenizer
from model.tokenizer import FIRST_TEXT_ID, Tokenizer

LONGEST_CONTEXT = 2048
"""Rows of an editor's requests are short; a longer context would only be paid for."""
_SHORT_CONTEXT = 768
_NOISE = 0.02
"""Of new control rows, in standard deviations of the foreign rows: enough to tell them apart."""
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class FamilyError(ValueError):
    """A foreign checkpoint cannot be read; the message says which file, what is wrong, and what to do."""


def read_config(folder: Path, vocab: int) -> ModelConfig:
    """The config of a network with `vocab` ids, control tokens included; raises FamilyError, OSError.

    The context is the foreign one, at most `LONGEST_CONTEXT`; the longest region is 3/8 of it as in `base`, of a
    short context a fifth as in `tiny`, so that a row of one context still holds a region and its noisy copies.
    """
    path = folder / "config.json"
    data = _read_json(path)
    family = data.get("model_type")
    if family not in ("llama", "qwen2"):
        raise FamilyError(f"{path}: model_type {family!r} is not supported; llama and qwen2 are")
    _refuse_variants(path, data)
    try:
        heads, width = int(data["num_attention_heads"]), int(data["hidden_size"])
        context = min(int(data["max_position_embeddings"]), LONGEST_CONTEXT)
        return ModelConfig(
            name=folder.resolve().name,
            vocab=vocab,
            width=width,
            layers=int(data["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(data.get("num_key_value_heads") or heads),
            head_size=int(data.get("head_dim") or width // heads),
            ff=int(data["intermediate_size"]),
            context=context,
            region_limit=context * 3 // 8 if context > _SHORT_CONTEXT else context // 5,
            rope_theta=_rope_theta(path, data),
            norm_eps=float(data["rms_norm_eps"]),
            qk_norm=False,
            qkv_bias=family == "qwen2",
            tied=bool(data.get("tie_word_embeddings", False)),
            embedding_norm=False,
        )
    except KeyError as error:
        raise FamilyError(f"{path} lacks {error}") from error
    except (TypeError, ArithmeticError) as error:
        raise FamilyError(f"{path} is damaged: {error}") from error


def read_weights(
    folder: Path, config: ModelConfig, tokenizer: Tokenizer, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Our float32 weights of a folder; raises FamilyError naming tensors that are missing, unexpected or misshapen.

    New control rows are the mean of the tokenizer's rows plus a little noise drawn from `seed`; the canvas embedding
    is zero, so that the causal mode is the foreign model's.
    """
    tensors = _read_tensors(folder)
    wanted = _shapes(config)
    if config.tied:  # some writers store the tied head again
        tensors.pop("lm_head.weight", None)
    if missing := sorted(set(wanted) - set(tensors)):
        raise FamilyError(f"{folder}: the weights lack {', '.join(missing[:5])}")
    if unexpected := sorted(set(tensors) - set(wanted)):
        raise FamilyError(f"{folder}: the weights hold unexpected {', '.join(unexpected[:5])}")
    text = tokenizer.size - FIRST_TEXT_ID
    for name, shape in wanted.items():
        found = tuple(tensors[name].shape)
        if name in _TABLES and found[0] < text:
            raise FamilyError(f"{folder}: {name} has {found[0]} rows, fewer than the tokenizer's {text} ids")
        if found[1:] != shape[1:] or (name not in _TABLES and found != shape):
            raise FamilyError(f"{folder}: {name} has shape {found}, the config says {shape}")
    random = torch.Generator().manual_seed(seed)
    state = {
        ours: _with_control_rows(tensors[theirs][:text], random) for theirs, ours in _tables(config).items()
    }
    state["norm.weight"] = tensors["model.norm.weight"]
    state["canvas"] = torch.zeros(config.width)
    for i in range(config.layers):
        state |= _layer(config, i, lambda name, at=f"model.layers.{i}": tensors[f"{at}.{name}"])
    return {name: value.clone() for name, value in state.items()}


_TABLES = ("model.embed_tokens.weight", "lm_head.weight")


def _tables(config: ModelConfig) -> dict[str, str]:
    """Their matrices with a row for each id -> our names."""
    both = {"model.embed_tokens.weight": "table.weight", "lm_head.weight": "head.weight"}
    return {k: v for k, v in both.items() if not config.tied or v == "table.weight"}


def _layer(config: ModelConfig, i: int, get: Callable[[str], torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our names of one layer: keys above values (`[2, kv_heads, head_size]` rows), the gate above the up matrix."""
    layer = {
        "attention_norm.weight": get("input_layernorm.weight"),
        "mlp_norm.weight": get("post_attention_layernorm.weight"),
        "out.weight": get("self_attn.o_proj.weight"),
        "gate_up.weight": torch.cat((get("mlp.gate_proj.weight"), get("mlp.up_proj.weight"))),
        "down.weight": get("mlp.down_proj.weight"),
    }
    for kind in ("weight", "bias") if config.qkv_bias else ("weight",):
        layer[f"q.{kind}"] = get(f"self_attn.q_proj.{kind}")
        layer[f"kv.{kind}"] = torch.cat((get(f"self_attn.k_proj.{kind}"), get(f"self_attn.v_proj.{kind}")))
    return {f"layers.{i}.{name}": value for name, value in layer.items()}


def _with_control_rows(rows_VC: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """`[24 + V, C]`: an average row says nothing of its own, so that training need not first undo it."""
    noise = torch.randn(FIRST_TEXT_ID, rows_VC.shape[1], generator=random)
    return torch.cat((rows_VC.mean(0) + _NOISE * rows_VC.std() * noise, rows_VC))


def _shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Their names and shapes; the tables' rows are counted without our control tokens."""
    c, q, kv = config.width, config.heads * config.head_size, config.kv_heads * config.head_size
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_tables(config), (config.vocab - FIRST_TEXT_ID, c))
    shapes["model.norm.weight"] = (c,)
    for i in range(config.layers):
        at = f"model.layers.{i}"
        for name, rows in (("q", q), ("k", kv), ("v", kv)):
            shapes[f"{at}.self_attn.{name}_proj.weight"] = (rows, c)
            if config.qkv_bias:
                shapes[f"{at}.self_attn.{name}_proj.bias"] = (rows,)
        shapes[f"{at}.self_attn.o_proj.weight"] = (c, q)
        shapes[f"{at}.mlp.gate_proj.weight"] = shapes[f"{at}.mlp.up_proj.weight"] = (config.ff, c)
        shapes[f"{at}.mlp.down_proj.weight"] = (c, config.ff)
        shapes[f"{at}.input_layernorm.weight"] = shapes[f"{at}.post_attention_layernorm.weight"] = (c,)
    return shapes


def _refuse_variants(path: Path, data: Mapping[str, Any]) -> None:
    """What the two families allow and our network does not compute; ignoring it would give other logits."""
    plain = {
        "hidden_act": ("silu",),
        "attention_bias": (False,),  # Llama's has one on the output too
        "mlp_bias": (False,),
        "use_sliding_window": (False,),
        "partial_rotary_factor": (1.0,),
        "quantization_config": (None,),
    }
    for name, usual in plain.items():
        if data.get(name) not in (None, *usual):
            raise FamilyError(f"{path}: {name} = {data[name]!r} is not supported")


def _rope_theta(path: Path, data: Mapping[str, Any]) -> float:
    """Of `rope_theta` or, as newer files have it, `rope_parameters`; raises FamilyError for scaled positions."""
    parameters = data.get("rope_parameters") or {}
    for name, found in (("rope_scaling", data.get("rope_scaling") or {}), ("rope_parameters", parameters)):
        kind = found.get("rope_type", found.get("type", "default"))
        if kind != "default" or found.get("partial_rotary_factor", 1.0) != 1.0:
            raise FamilyError(f"{path}: {name} {kind!r} is not supported; only plain rotary positions are")
    return float(parameters.get("rope_theta", data.get("rope_theta", 10_000.0)))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise FamilyError(f"{path} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise FamilyError(f"{path} is not a JSON object")
    return data


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of `model.safetensors`, or of the shards that its index names, as float32."""
    index = folder / "model.safetensors.index.json"
    names = {"model.safetensors"}
    if not (folder / "model.safetensors").exists():
        if not index.exists():
            pickles = sorted(p.name for pattern in _PICKLES for p in folder.glob(pattern))
            raise FamilyError(
                f"{folder} holds pickled weights only ({', '.join(pickles)}), and loading a pickle runs its code; "
                "convert them to safetensors first"
                if pickles
                else f"{folder} has no model.safetensors and no index of shards"
            )
        names = set(_read_json(index).get("weight_map", {}).values())
    tensors: dict[str, torch.Tensor] = {}
    for name in sorted(names):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise FamilyError(f"{index} names {name!r}, which is no safetensors file of its folder")
        try:
            with safe_open(folder / name, "pt") as shard:
                # Old files store the rotary frequencies, which follow from the config.
                wanted = [k for k in shard.keys() if not k.endswith("rotary_emb.inv_freq")]  # noqa: SIM118
                tensors |= {key: shard.get_tensor(key).float() for key in wanted}
        except (SafetensorError, OSError) as error:
            raise FamilyError(f"{folder / name} cannot be read: {error}") from error
    return tensors


def open_folder(folder: Path) -> tuple[ModelConfig, Tokenizer]:
    """What a folder's network and text are, without its weights; raises FamilyError, OSError."""
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    return read_config(folder, tokenizer.size), tokenizer

"""LLaDA 2.0, 2.1 and 2.2 (inclusionAI), mini and flash: a mixture of experts in block diffusion.

2.1 was trained to change committed tokens, 2.2 to insert and delete as well; the networks are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.config import Experts, ModelConfig
from model.families.dense import build, is_tied
from model.families.errors import FamilyError
from model.families.family import Family
from model.families.folder import Folder
from model.families.layout import Names
from model.families.rope import read_rope, rotary_part
from model.tokenizer import FIRST_TEXT_ID

_BLOCK = 32
_NAMES = Names(
    table="model.word_embeddings.weight",
    qkv="attention.query_key_value",
    q_norm="attention.query_layernorm",
    k_norm="attention.key_layernorm",
    out="attention.dense",
)


def _read(folder: Folder) -> ModelConfig:
    fields = folder.config
    fields.only(hidden_act="silu", use_bias=False, norm_head=False, use_sliding_window=False)
    fields.only(score_function="sigmoid", norm_topk_prob=True)
    if fields.get("num_nextn_predict_layers", 0):
        raise FamilyError(f"{fields.path}: layers that predict further tokens are not supported")
    heads, width = fields.count("num_attention_heads"), fields.count("hidden_size")
    head_size = fields.count("head_dim", width // heads)
    turned = int(head_size * (rotary_part(fields) if "partial_rotary_factor" in fields.data else 0.5))
    theta, scaling = read_rope(fields)
    return build(
        folder,
        vocab=FIRST_TEXT_ID + fields.count("vocab_size"),
        width=width,
        layers=fields.count("num_hidden_layers"),
        heads=heads,
        kv_heads=fields.integer("num_key_value_heads", 0) or heads,
        head_size=head_size,
        ff=fields.count("intermediate_size"),
        positions=fields.count("max_position_embeddings"),
        block=_BLOCK,
        rope_theta=theta,
        rope_scaling=scaling,
        rotary_size=0 if turned == head_size else turned,
        norm_eps=fields.number("rms_norm_eps"),
        qk_norm=bool(fields.get("use_qk_norm", True)),
        qkv_bias=bool(fields.get("use_qkv_bias", False)),
        tied=is_tied(folder, "tie_word_embeddings", _NAMES),
        clean_block=fields.integer("block_size", _BLOCK),
        experts=_experts(folder),
    )


def _experts(folder: Folder) -> Experts:
    fields = folder.config
    ff = fields.count("moe_intermediate_size")
    return Experts(
        count=fields.count("num_experts"),
        per_token=fields.count("num_experts_per_tok"),
        ff=ff,
        shared_ff=fields.integer("num_shared_experts", 0) * ff,
        dense_layers=fields.integer("first_k_dense_replace", 0),
        groups=fields.count("n_group", 1),
        groups_per_token=fields.count("topk_group", 1),
        scaling=fields.number("routed_scaling_factor", 1.0),
        scoring="sigmoid",
        has_bias=True,
    )


def _is_2_2(folder: Folder) -> bool:
    return "delete_token_id" in folder.config.data or "llada2.2" in folder.hints


def _is_2_1(folder: Folder) -> bool:
    return folder.config.get("model_type") == "llada21_moe" or "llada2.1" in folder.hints


def _family(version: str, **more: Any) -> Family:
    return Family(
        name=f"llada{version}",
        title=f"LLaDA {version}",
        architectures=("LLaDA2MoeModelLM",),
        model_types=("llada2_moe", "llada21_moe"),
        read=_read,
        names=_NAMES,
        masks=("<|mask|>",),
        ends=("<|role_end|>",),
        **more,
    )


_EDITING: Mapping[str, float | str] = {
    "policy": "editing",
    "threshold": 0.7,
    "edit_threshold": 0.5,
    "fast_threshold": 0.5,
    "fast_edit_threshold": 0.0,
    "rounds": 16,
    "block": _BLOCK,
    "temperature": 0.0,
}
"""Of the model card: its quality mode, and its speed mode under `fast_`; rounds that may still edit a full block."""
LLADA_2_2 = _family(
    "2.2",
    sign=_is_2_2,
    marks={
        "delete": ("delete_token_id", "", 156930),
        "insert": ("split_token_id", "", 156931),
    },
    decoding={**_EDITING, "threshold": 0.5, "edit_threshold": 0.0},
)
LLADA_2_1 = _family("2.1", sign=_is_2_1, decoding=_EDITING)
LLADA_2_0 = _family(
    "2.0", decoding={"policy": "threshold", "threshold": 0.95, "block": _BLOCK, "temperature": 0.0}
)

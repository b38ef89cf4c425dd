"""The fields that Llama, Qwen2, Qwen3 and Mistral share, and those of Qwen3's experts, as our config.

Which of them has biases or QK-norm no field says; the family does. Knows no family.
"""

from __future__ import annotations

from typing import Any

from model.config import Experts, ModelConfig
from model.families.errors import FamilyError
from model.families.folder import Fields, Folder
from model.families.layout import LLAMA, Names
from model.families.rope import read_rope, rotary_part
from model.tokenizer import FIRST_TEXT_ID

LONGEST_CONTEXT = 8192
"""Rows of an editor's requests are few; a longer context would only be paid for."""
LONGEST_REGION = 1024
FULL_BLOCK = 32
"""Rows that a network with full attention fills together; it was trained for any number."""


def read_dense(
    folder: Folder,
    *,
    qk_norm: bool = False,
    qkv_bias: bool = False,
    clean_block: int,
    block: int = FULL_BLOCK,
    shifted: bool = False,
    names: Names = LLAMA,
    **more: Any,
) -> ModelConfig:
    """Raises FamilyError where a field is missing, or says what our network does not compute."""
    fields = folder.config
    refuse_variants(fields)
    heads, width = fields.count("num_attention_heads"), fields.count("hidden_size")
    theta, scaling = read_rope(fields)
    return build(
        folder,
        vocab=FIRST_TEXT_ID + fields.count("vocab_size"),
        width=width,
        layers=fields.count("num_hidden_layers"),
        heads=heads,
        kv_heads=fields.count("num_key_value_heads", heads),
        head_size=fields.count("head_dim", width // heads),
        ff=fields.count("intermediate_size"),
        positions=fields.count("max_position_embeddings"),
        block=block if clean_block <= 1 else clean_block,
        rope_theta=theta,
        rope_scaling=scaling,
        norm_eps=fields.number("rms_norm_eps"),
        qk_norm=qk_norm,
        qkv_bias=qkv_bias,
        tied=is_tied(folder, "tie_word_embeddings", names),
        clean_block=clean_block,
        shifted=shifted,
        **more,
    )


def build(folder: Folder, positions: int, **values: Any) -> ModelConfig:
    """What all families share; raises FamilyError for numbers that make no network."""
    context = min(positions, LONGEST_CONTEXT)
    try:
        return ModelConfig(
            name=folder.path.resolve().name,
            context=context,
            region_limit=min(context * 3 // 8, LONGEST_REGION),
            embedding_norm=False,
            **values,
        )
    except (ValueError, ArithmeticError) as error:
        raise FamilyError(f"{folder.config.path} describes no network: {error}") from error


def refuse_variants(fields: Fields) -> None:
    """What the backbones allow and our network does not compute; ignoring it would give other logits."""
    # Llama's attention_bias is one on the output too.
    fields.only(hidden_act="silu", attention_bias=False, mlp_bias=False, use_sliding_window=False)
    kinds = set(fields.get("layer_types", ())) - {"full_attention"}
    if kinds or (fields.get("sliding_window") and "use_sliding_window" not in fields.data):
        raise FamilyError(f"{fields.path}: attention to a sliding window is not supported")
    if rotary_part(fields) != 1.0:
        raise FamilyError(f"{fields.path}: partial_rotary_factor = {rotary_part(fields)} is not supported")


def is_tied(folder: Folder, field: str, names: Names) -> bool:
    """Where the config does not say it, a checkpoint without a head of its own is tied."""
    said = folder.config.get(field)
    return names.head not in folder.shards.tensors if said is None else bool(said)


def read_experts(fields: Fields) -> Experts:
    """Qwen3-MoE's."""
    fields.only(decoder_sparse_step=1)
    if fields.get("mlp_only_layers"):
        raise FamilyError(
            f"{fields.path}: mlp_only_layers = {fields.get('mlp_only_layers')} is not supported"
        )
    return Experts(
        count=fields.count("num_experts"),
        per_token=fields.count("num_experts_per_tok"),
        ff=fields.count("moe_intermediate_size"),
        is_normalised=bool(fields.get("norm_topk_prob", False)),
    )

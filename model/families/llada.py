"""LLaDA 8B and 1.5 (GSAI): a Llama with full attention under names of its own, after OLMo."""

from __future__ import annotations

from model.config import ModelConfig
from model.families.dense import FULL_BLOCK, build, is_tied
from model.families.errors import FamilyError
from model.families.family import Family
from model.families.folder import Folder
from model.families.layout import Names
from model.tokenizer import FIRST_TEXT_ID

_NAMES = Names(
    table="model.transformer.wte.weight",
    head="model.transformer.ff_out.weight",
    norm="model.transformer.ln_f.weight",
    layer="model.transformer.blocks.{}.",
    attention_norm="attn_norm",
    mlp_norm="ff_norm",
    q="q_proj",
    k="k_proj",
    v="v_proj",
    out="attn_out",
    mlp="",
    gate="ff_proj",
    up="up_proj",
    down="ff_out",
)


def _read(folder: Folder) -> ModelConfig:
    fields = folder.config
    fields.only(
        block_type="llama",
        layer_norm_type="rms",
        activation_type="silu",
        rope=True,
        alibi=False,
        include_bias=False,
        bias_for_layer_norm=False,
        attention_layer_norm=False,
        input_emb_norm=False,
        scale_logits=False,
        block_group_size=1,
    )
    heads, width = fields.count("n_heads"), fields.count("d_model")
    if fields.get("multi_query_attention"):
        raise FamilyError(f"{fields.path}: multi_query_attention is not supported; n_kv_heads is")
    return build(
        folder,
        vocab=FIRST_TEXT_ID + (fields.get("embedding_size") or fields.count("vocab_size")),
        width=width,
        layers=fields.count("n_layers"),
        heads=heads,
        kv_heads=fields.count("n_kv_heads", heads),
        head_size=width // heads,
        ff=fields.count("mlp_hidden_size", width * fields.count("mlp_ratio", 4)),
        positions=fields.count("max_sequence_length"),
        block=FULL_BLOCK,
        rope_theta=fields.number("rope_theta", 10_000.0),
        norm_eps=fields.number("rms_norm_eps", 1e-5),
        qk_norm=False,
        qkv_bias=bool(fields.get("include_qkv_bias", False)),
        tied=is_tied(folder, "weight_tying", _NAMES),
        clean_block=0,
    )


LLADA = Family(
    name="llada",
    title="LLaDA",
    architectures=("LLaDAModelLM",),
    model_types=("llada",),
    read=_read,
    names=_NAMES,
    masks=("<|mdm_mask|>",),
    ends=("<|eot_id|>",),
    # Fast-dLLM's (Wu et al. 2025), as its own code runs it: LLaDA's own loop takes a forward for every token.
    decoding={"policy": "threshold", "threshold": 0.9, "block": 32, "reuse": "dual", "temperature": 0.0},
)

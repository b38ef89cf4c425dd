"""dllm's small models: Qwen3, Qwen2.5 and Llama made to see both ways, rows in their own place.

One architecture serves masked diffusion (mdlm: full attention) and block diffusion (bd3lm); the config does not tell
them apart, so that the block size of a checkpoint that is called bd3lm is the published 32.
"""

from __future__ import annotations

from functools import partial

from model.config import ModelConfig
from model.families.dense import read_dense
from model.families.family import Family
from model.families.folder import Folder

_BLOCK = 32
_DECODING = {"policy": "fixed", "steps": 32, "block": 32, "temperature": 0.0}


def _read(folder: Folder, *, qk_norm: bool, qkv_bias: bool) -> ModelConfig:
    block = folder.config.integer("block_size", _BLOCK if "bd3lm" in folder.hints else 0)
    return read_dense(folder, qk_norm=qk_norm, qkv_bias=qkv_bias, clean_block=block)


def _family(backbone: str, qk_norm: bool, qkv_bias: bool) -> Family:
    return Family(
        name=f"a2d-{backbone.lower()}",
        title=f"dllm {backbone}",
        architectures=(f"A2D{backbone}LMHeadModel",),
        model_types=(f"a2d-{backbone.lower()}",),
        read=partial(_read, qk_norm=qk_norm, qkv_bias=qkv_bias),
        masks=("<|mask|>",),
        ends=("<|im_end|>", "<|endoftext|>", "<|eot_id|>"),
        decoding=_DECODING,
    )


A2D_QWEN3 = _family("Qwen3", qk_norm=True, qkv_bias=False)
A2D_QWEN2 = _family("Qwen2", qk_norm=False, qkv_bias=True)
A2D_LLAMA = _family("Llama", qk_norm=False, qkv_bias=False)

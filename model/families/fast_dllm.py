"""Fast-dLLM v2 (NVIDIA): Qwen2.5 trained on in block diffusion; its rows still say what stands behind them."""

from __future__ import annotations

from model.config import ModelConfig
from model.families.dense import read_dense
from model.families.family import Family
from model.families.folder import Folder


def _read(folder: Folder) -> ModelConfig:
    block = folder.config.integer("bd_size", 32)
    return read_dense(folder, qkv_bias=True, clean_block=block, shifted=True)


FAST_DLLM = Family(
    name="fast-dllm-v2",
    title="Fast-dLLM v2",
    architectures=("Fast_dLLM_QwenForCausalLM",),
    model_types=("Fast_dLLM_Qwen",),
    read=_read,
    masks=("|<MASK>|",),
    ends=("<|im_end|>", "<|endoftext|>"),
    decoding={"policy": "threshold", "threshold": 0.9, "sub_block": 8, "temperature": 0.0},
)

"""open-dcoder 0.5B (Open-dLLM): Qwen2.5-Coder with full attention, rows still shifted.

Its config is Qwen2's own; only the mask token that its tokenizer declares says that it is a diffusion model.
"""

from __future__ import annotations

from model.config import ModelConfig
from model.families.dense import read_dense
from model.families.family import Family
from model.families.folder import Folder


def _read(folder: Folder) -> ModelConfig:
    return read_dense(folder, qkv_bias=True, clean_block=0, shifted=True)


def _declares_mask(folder: Folder) -> bool:
    return folder.named("mask_token") is not None


OPEN_DCODER = Family(
    name="open-dcoder",
    title="open-dcoder",
    architectures=("Qwen2ForCausalLM",),
    sign=_declares_mask,
    read=_read,
    masks=("<M>", "[MASK]"),
    ends=("<|im_end|>", "<|endoftext|>"),
    decoding={"policy": "fixed", "steps": 64, "temperature": 0.6},
)

"""SDAR (JetAstra): Qwen3 and Qwen3-MoE trained on in block diffusion; blocks of 4, in later variants of 8 to 64."""

from __future__ import annotations

import re

from model.config import ModelConfig
from model.families.dense import read_dense, read_experts
from model.families.family import Family
from model.families.folder import Folder

_BLOCK = 4
"""Of the first checkpoints, whose config does not say it."""
_DECODING = {"policy": "threshold", "threshold": 0.9, "temperature": 1.0}


def _block(folder: Folder) -> int:
    """The config's; else that of the name (`SDAR-8B-Chat-b32`)."""
    if named := re.search(r"sdar[\w.-]*-b(\d+)\b", folder.hints):
        return folder.config.count("block_size", int(named[1]))
    return folder.config.count("block_size", _BLOCK)


def _read(folder: Folder) -> ModelConfig:
    return read_dense(folder, qk_norm=True, clean_block=_block(folder))


def _read_moe(folder: Folder) -> ModelConfig:
    experts = read_experts(folder.config)
    return read_dense(folder, qk_norm=True, clean_block=_block(folder), experts=experts)


SDAR = Family(
    name="sdar",
    title="SDAR",
    architectures=("SDARForCausalLM",),
    model_types=("sdar",),
    read=_read,
    masks=("<|MASK|>", "<MASK>"),
    ends=("<|im_end|>",),
    decoding=_DECODING,
)
SDAR_MOE = Family(
    name="sdar-moe",
    title="SDAR-MoE",
    architectures=("SDARMoeForCausalLM",),
    model_types=("sdar_moe",),
    read=_read_moe,
    masks=("<|MASK|>", "<MASK>"),
    ends=("<|im_end|>",),
    decoding=_DECODING,
)

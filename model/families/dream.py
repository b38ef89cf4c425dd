"""Dream and Dream-Coder (HKU), DiffuCoder (Apple) and DreamOn: Qwen2 with full attention, rows still shifted.

DreamOn changes the length of what it fills: a mask may become two (the expand token) or vanish (the end token).
"""

from __future__ import annotations

from dataclasses import replace

from model.config import ModelConfig
from model.families.dense import read_dense
from model.families.family import Family
from model.families.folder import Folder

_CONTEXT = 2048
"""What these were trained on, whatever Qwen2's config allows."""


def _read(folder: Folder) -> ModelConfig:
    return read_dense(folder, qkv_bias=True, clean_block=0, shifted=True)


def _read_dreamon(folder: Folder) -> ModelConfig:
    config = _read(folder)
    context = min(config.context, _CONTEXT)
    return replace(config, context=context, region_limit=min(config.region_limit, context * 3 // 8))


def _expands(folder: Folder) -> bool:
    says = "expand_token_id" in folder.config.data or "expand_token_id" in folder.generation
    return says or "<|expand|>" in folder.specials or "dreamon" in folder.hints


_ARCHITECTURES = ("DreamModel",)
DREAMON = Family(
    name="dreamon",
    title="DreamOn",
    architectures=_ARCHITECTURES,
    model_types=("Dream",),
    sign=_expands,
    read=_read_dreamon,
    masks=("<|mask|>",),
    ends=("<|im_end|>",),
    marks={"expand": ("expand_token_id", "<|expand|>", 151667)},
    decoding={"policy": "entropy", "per_step": 1, "temperature": 0.2, "top_p": 0.9, "first_masks": 4},
    frame=("bos_token", "eos_token"),  # its quickstart's `process_infilling_prompt`
)
DREAM = Family(
    name="dream",
    title="Dream, Dream-Coder, DiffuCoder",
    architectures=_ARCHITECTURES,
    model_types=("Dream",),
    read=_read,
    masks=("<|mask|>",),
    ends=("<|im_end|>",),
    decoding={"policy": "entropy", "per_step": 1, "temperature": 0.2, "top_p": 0.95},
    frame=("bos_token", ""),  # Dream-Coder's evaluation of plain code: `add_bos_token=true`
)

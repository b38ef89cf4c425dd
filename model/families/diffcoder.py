"""Stable-DiffCoder 8B (ByteDance Seed): a Llama for code, trained on in block diffusion with blocks of four."""

from __future__ import annotations

from model.config import ModelConfig
from model.families.dense import read_dense
from model.families.family import Family
from model.families.folder import Folder

_BLOCK = 4
"""Of the published `generate`; the config does not say it."""


def _read(folder: Folder) -> ModelConfig:
    return read_dense(folder, clean_block=_BLOCK)


STABLE_DIFFCODER = Family(
    name="stable-diffcoder",
    title="Stable-DiffCoder",
    architectures=("StableDiffcoderForCausalLM",),
    read=_read,
    masks=("<[MASK_TOKEN]>", "<|mask|>"),
    mask_id=5,  # a default of the published `generate`
    decoding={"policy": "threshold", "threshold": 0.95, "temperature": 0.0},
    # Seed-Coder's, whose data and pipeline it was trained with (arXiv 2506.03524, 2.2.6: suffix first).
    middle={"suffix": "<[fim-suffix]>", "prefix": "<[fim-prefix]>", "middle": "<[fim-middle]>"},
)

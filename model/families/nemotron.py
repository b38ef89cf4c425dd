"""Nemotron-Labs-Diffusion 3B, 8B, 14B (NVIDIA): Ministral 3 in three modes, as our own network.

Clean tokens are causal and their rows say the next one; a canvas's rows say their own.
"""

from __future__ import annotations

from model.config import ModelConfig
from model.families.dense import read_dense
from model.families.family import Family
from model.families.folder import Folder
from model.families.layout import Names

_NAMES = Names(
    table="encoder.embed_tokens.weight",
    head="diffusion_head.weight",
    norm="encoder.norm.weight",
    layer="encoder.layers.{}.",
)


def _read(folder: Folder) -> ModelConfig:
    return read_dense(folder, clean_block=1, block=folder.config.integer("block_size", 32), names=_NAMES)


NEMOTRON = Family(
    name="nemotron-labs-diffusion",
    title="Nemotron-Labs-Diffusion",
    architectures=("NemotronLabsDiffusionModel",),
    model_types=("nemotron_labs_diffusion",),
    read=_read,
    names=_NAMES,
    ends=("</s>", "<|im_end|>"),
    decoding={"policy": "speculation", "threshold": 0.9, "block": 32, "temperature": 0.0},
)

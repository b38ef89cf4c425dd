"""DiffusionGemma (Google): a Gemma 4 that starts from uniform noise, not from masks. Its network is not ours: it is run
by `transformers`, which an optional extra installs. Here it is only recognised."""

from __future__ import annotations

from model.config import ModelConfig
from model.families.errors import FamilyError
from model.families.family import Family
from model.families.folder import Folder


def _read(folder: Folder) -> ModelConfig:
    raise FamilyError(f"{folder.path} is run by transformers, not by our network")


DIFFUSION_GEMMA = Family(
    name="diffusion-gemma",
    title="DiffusionGemma",
    architectures=("DiffusionGemmaForBlockDiffusion",),
    model_types=("diffusion_gemma",),
    read=_read,
    decoding={"policy": "entropy_bound", "entropy_bound": 0.1, "block": 256, "temperature": 0.8},
    extra="gemma",
)

"""DiffusionGemma (Google): a Gemma 4 that starts from uniform noise, not from masks. Its network is not ours: it is run
by `transformers`, which an optional extra installs (`model/gemma`). Here it is recognised and its config read."""

from __future__ import annotations

from dataclasses import replace

from model.config import ModelConfig
from model.families.dense import build
from model.families.errors import FamilyError
from model.families.family import Family
from model.families.folder import Fields, Folder
from model.tokenizer import FIRST_TEXT_ID


def text_part(folder: Folder) -> Folder:
    """The same folder with the text network's fields beside those of the whole."""
    config = folder.config
    text = config.get("text_config", {})
    if not isinstance(text, dict):
        raise FamilyError(f"{config.path}: text_config = {text!r} is no table; fetch the model again")
    own = {name: value for name, value in config.data.items() if value is not None}
    return replace(folder, config=Fields(config.path, {**text, **own}))


def _read(folder: Folder) -> ModelConfig:
    """Its shape as far as prompts and memory depend on it; it computes more than our network has fields for."""
    fields = text_part(folder).config
    return build(
        folder,
        fields.count("max_position_embeddings", 131_072),
        vocab=fields.count("vocab_size") + FIRST_TEXT_ID,
        width=fields.count("hidden_size"),
        layers=fields.count("num_hidden_layers"),
        heads=fields.count("num_attention_heads"),
        kv_heads=fields.count("num_key_value_heads"),
        head_size=max(fields.count("head_dim"), fields.integer("global_head_dim", 0)),
        ff=fields.count("intermediate_size"),
    )


DIFFUSION_GEMMA = Family(
    name="diffusion-gemma",
    title="DiffusionGemma",
    architectures=("DiffusionGemmaForBlockDiffusion",),
    model_types=("diffusion_gemma",),
    read=_read,
    ends=("<turn|>", "<end_of_turn>"),
    decoding={"policy": "entropy_bound", "entropy_bound": 0.1, "block": 256, "temperature": 0.8},
    extra="gemma",
)

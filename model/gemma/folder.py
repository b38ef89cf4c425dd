"""What a DiffusionGemma's folder says, read and checked before torch and transformers are imported."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

from model.config import ModelConfig
from model.families.errors import FamilyError
from model.families.foreign import ends_of, identify, naming_damage
from model.families.gemma import text_part
from model.families.shards import Shards

_COPIES = 8
"""Tables of a canvas's logits, in float32, that a denoising step has at once."""


@dataclass(frozen=True)
class GemmaFolder:
    """`ends` are the ids that end a reply, in the foreign numbering; a reply is written in canvases of `canvas`
    tokens."""

    path: Path
    config: ModelConfig
    title: str
    canvas: int
    ends: tuple[int, ...]
    shards: Shards

    @property
    def weights(self) -> int:
        return sum(prod(tensor.shape) for tensor in self.shards.tensors.values())

    def bytes(self, number: int) -> int:
        """Memory of the weights, keys and values of one full context, and a denoising step, with `number` bytes for
        each number."""
        c = self.config
        cache = 2 * c.layers * c.kv_heads * c.head_size * c.context
        return number * (self.weights + cache) + _COPIES * 4 * self.canvas * c.vocab


def open_gemma(path: Path) -> GemmaFolder:
    """Raises ModelError (FamilyError) that says which file, what is wrong, and what to do."""
    with naming_damage(path):
        folder, family = identify(path)
        text = text_part(folder)
        if not (path / "tokenizer.json").exists():
            raise FamilyError(f"{path} has no tokenizer.json; fetch the model again")
        canvas, ends = text.config.count("canvas_length", 256), ends_of(text, family, mask=-1)
        return GemmaFolder(path, family.read(folder), family.title, canvas, tuple(ends), folder.shards)

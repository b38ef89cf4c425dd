"""A foreign checkpoint's tensors copied into our network's, one by one: never two copies of the whole.

Each is mapped from its file, copied to where it belongs (on the network's device, in its type) and let go. Names,
shapes and types were checked before (`layout.check_tensors`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from safetensors import SafetensorError, safe_open

from model.config import ModelConfig
from model.families.errors import FamilyError
from model.families.layout import Place
from model.families.shards import Shards
from model.transformer import state_names

State = dict[str, torch.Tensor]
_ALL = slice(None)


def empty_state(config: ModelConfig, device: torch.device | str, dtype: torch.dtype) -> State:
    """Our weights, not yet filled."""
    return empty(state_names(config), device, dtype)


def empty(
    shapes: Mapping[str, tuple[int, ...]], device: torch.device | str, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """The experts' bias is never less than float32, since it decides by small steps."""
    wide = torch.promote_types(dtype, torch.float32)
    return {
        name: torch.empty(shape, dtype=wide if name.endswith("mixture.bias") else dtype, device=device)
        for name, shape in shapes.items()
    }


@torch.no_grad()
def fill(state: State, shards: Shards, wanted: Mapping[str, Place]) -> None:
    """Raises FamilyError where a file cannot be read."""
    files = {shards.tensors[name].file for name in wanted}
    for file in sorted(files):
        try:
            with safe_open(file, "pt") as shard:
                for name in wanted:
                    if shards.tensors[name].file == file:
                        _copy(shard.get_tensor(name), wanted[name], state)
        except (SafetensorError, OSError) as error:
            raise FamilyError(f"{file} cannot be read: {error}; fetch the model again") from error


def _copy(tensor: torch.Tensor, place: Place, state: State) -> None:
    for piece in place.pieces:
        target = state[piece.ours] if piece.expert is None else state[piece.ours][piece.expert]
        target[piece.at or _ALL].copy_(tensor[piece.of or _ALL])

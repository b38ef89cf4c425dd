"""A foreign checkpoint's network, filled shard by shard on its device, behind the PyTorch back end."""

from __future__ import annotations

import torch

from model.backends.torch import TorchBackend
from model.checkpoint import ModelError
from model.families.device import choose_device, free_bytes, in_gib
from model.families.foreign import ForeignCheckpoint
from model.families.weights import State, empty_state, fill
from model.tokenizer import EOS, FIRST_TEXT_ID, MASK
from model.transformer import Transformer


def load_foreign(
    checkpoint: ForeignCheckpoint, device: str = "auto", dtype: torch.dtype | None = None
) -> TorchBackend:
    """`dtype` None is bf16 on a GPU and float32 on a CPU. Raises ModelError where it does not fit or cannot be read."""
    chosen = choose_device(device)
    number = dtype or default_dtype(chosen)
    check_fits(checkpoint, chosen, number)
    try:
        state = empty_state(checkpoint.config, chosen, number)
        fill(state, checkpoint.shards, checkpoint.wanted)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{checkpoint.folder} does not fit on {chosen}: {str(error).splitlines()[0]}; {_SMALLER}"
        ) from error
    set_controls(state, checkpoint.mask, checkpoint.eos)
    with torch.device("meta"):  # only the modules; the weights were made above
        network = Transformer(checkpoint.config)
    network.load_state_dict(state, assign=True)
    return TorchBackend(network, checkpoint.forbidden, checkpoint.ends)


_SMALLER = "close what else uses its memory, or choose a smaller model or another device"


def default_dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def check_fits(checkpoint: ForeignCheckpoint, device: torch.device, dtype: torch.dtype | None = None) -> None:
    """Raises ModelError with both sizes where the weights and the cache of one full context exceed what is free."""
    needed = checkpoint.bytes((dtype or default_dtype(device)).itemsize)
    free = free_bytes(device)
    if needed > free:
        raise ModelError(
            f"{checkpoint.folder} needs {in_gib(needed)} on {device}, where {in_gib(free)} are free; {_SMALLER}"
        )


def set_controls(state: State, mask: int, eos: int) -> None:
    """Our `<mask>` and `<eos>` get the foreign tokens' rows; no other control token is ever read or chosen."""
    state["canvas"].zero_()
    for table in (state[name] for name in ("table.weight", "head.weight") if name in state):
        table[:FIRST_TEXT_ID] = 0
        table[MASK], table[EOS] = table[mask], table[eos]

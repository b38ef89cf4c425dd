"""A foreign checkpoint's network, filled shard by shard on its device, behind the PyTorch back end; and that of a guest
folder, whose tensors are taken as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from kernels.dispatch import INTERPRETED, fp8_obstacle
from model.backends.device import choose_device, free_bytes, in_gib
from model.backends.failures import first_line, is_lost, is_out_of_memory, loss
from model.backends.gpu import GpuBackend
from model.backends.interface import Backend
from model.backends.network import Network
from model.backends.products import SMALL, Weights
from model.backends.torch import TorchBackend
from model.checkpoint import ModelError
from model.families.converted import GuestFolder
from model.families.foreign import ForeignCheckpoint
from model.families.sizes import cache_bytes, slot_rows, weight_bytes
from model.families.weights import State, empty_state, fill
from model.tokenizer import DEL, EOS, FIRST_TEXT_ID, INS_1, MASK
from model.transformer import Transformer


def load_opened(opened: ForeignCheckpoint | GuestFolder, device: str = "auto") -> Backend:
    """Either kind of folder behind its back end. Raises ModelError."""
    return (
        load_foreign(opened, device)
        if isinstance(opened, ForeignCheckpoint)
        else load_converted(opened, device)
    )


def load_foreign(
    checkpoint: ForeignCheckpoint, device: str = "auto", dtype: torch.dtype | None = None
) -> Backend:
    """The back end for a device: fused kernels on a GPU, plain PyTorch on a CPU. Raises ModelError."""
    network = load_network(checkpoint, device, dtype)
    chosen = network.table.weight.device
    if chosen.type == "cuda":
        rows = slot_rows(checkpoint.config)
        with _explained(checkpoint.folder, chosen):  # others may have taken memory since it was looked at
            fused = Network(network, Weights())
            return GpuBackend(fused, checkpoint.forbidden, checkpoint.ends, rows=rows)
    return TorchBackend(network, checkpoint.forbidden, checkpoint.ends)


def load_converted(guest: GuestFolder, device: str = "auto") -> Backend:
    """The fused network of a guest folder: on a GPU its kernels, on a CPU their references. Raises ModelError."""
    chosen = choose_device(device)
    network = stored_network(guest, device)
    identity = guest.identity
    about = "" if identity.kind == "plain" else f"{identity.kind} weights"
    if about and _runs_references(chosen):
        about += (
            ", widened to 32 bits" if network.is_wide else ", widened anew for every product, which is slow"
        )
    with _explained(guest.folder, chosen):
        return GpuBackend(network, identity.forbidden, identity.ends, about, rows=slot_rows(guest.config))


def stored_network(guest: GuestFolder, device: str = "auto") -> Network:
    """Its tensors as they are, the unquantised ones in the device's type; widened where there are no kernels for small
    ones and memory suffices. Raises ModelError where they do not fit or cannot be read."""
    chosen = choose_device(device)
    number = default_dtype(chosen)
    config, kind = guest.config, guest.identity.kind
    if kind == "fp8" and (obstacle := fp8_obstacle(chosen)):
        raise ModelError(
            f"{guest.folder} has fp8 weights, and {obstacle} ({chosen}); use int8: convert it with --weights int8"
        )
    needed = weight_bytes(config, kind, number.itemsize) + cache_bytes(config, number.itemsize)
    require_room(guest.folder, chosen, needed)
    tensors: State = {}
    try:
        with _explained(guest.folder, chosen):
            for file in sorted({stored.file for stored in guest.shards.tensors.values()}):
                with safe_open(file, "pt", device=str(chosen)) as shard:
                    for name in shard.keys():  # noqa: SIM118  # it is no mapping
                        tensor = shard.get_tensor(name)
                        is_kept = name.rpartition(".")[2] in SMALL or tensor.dtype != torch.bfloat16
                        tensors[name] = tensor if is_kept else tensor.to(number)
            # The small weights are there until the wide ones are.
            wide = kind != "plain" and _runs_references(chosen)
            wide = wide and weight_bytes(config, "plain", 4) + cache_bytes(config, 4) <= free_bytes(chosen)
            return Network.of_tensors(config, tensors, wide)
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{guest.folder} cannot be loaded: {error!r}; convert the model again") from error


def load_network(
    checkpoint: ForeignCheckpoint, device: str = "auto", dtype: torch.dtype | None = None
) -> Transformer:
    """`dtype` None is bf16 on a GPU and float32 on a CPU. Raises ModelError where it does not fit or cannot be read."""
    chosen = choose_device(device)
    number = dtype or default_dtype(chosen)
    check_fits(checkpoint, chosen, number)
    with _explained(checkpoint.folder, chosen):
        state = empty_state(checkpoint.config, chosen, number)
        fill(state, checkpoint.shards, checkpoint.wanted)
    set_controls(state, checkpoint)
    with torch.device("meta"):  # only the modules; the weights were made above
        network = Transformer(checkpoint.config)
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def _runs_references(device: torch.device) -> bool:
    """Whether products with small weights are not those of the kernels."""
    return device.type == "cpu" and not INTERPRETED


@contextmanager
def _explained(folder: Path, device: torch.device) -> Iterator[None]:
    """Errors of the device as ModelError."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise ModelError(f"{folder} does not fit on {device}: {first_line(error)}; {SMALLER}") from error
        if is_lost(error, device):
            raise ModelError(f"{folder} cannot be loaded: {loss(error)}") from error
        raise


SMALLER = "close what else uses its memory, or choose a smaller model or another device"


def default_dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def check_fits(checkpoint: ForeignCheckpoint, device: torch.device, dtype: torch.dtype | None = None) -> None:
    """Raises ModelError with both sizes where the weights and the cache of one full context (on a GPU all that the
    pool begins with) exceed what is free."""
    number = (dtype or default_dtype(device)).itemsize
    needed = checkpoint.bytes(number)
    if device.type == "cuda":
        needed = weight_bytes(checkpoint.config, "plain", number) + cache_bytes(checkpoint.config, number)
    require_room(checkpoint.folder, device, needed)


def require_room(folder: Path, device: torch.device, needed: int) -> None:
    """Raises ModelError with both sizes where fewer bytes are free than `needed`."""
    if needed > (free := free_bytes(device)):
        raise ModelError(
            f"{folder} needs {in_gib(needed)} on {device}, where {in_gib(free)} are free; {SMALLER}"
        )


def set_controls(state: State, checkpoint: ForeignCheckpoint) -> None:
    """Our control tokens get the foreign ones' rows: `<mask>`, `<eos>`, and what a family's marks mean with us. No
    other control token is ever read or chosen. `state` may be a part of a network's."""
    rows = {MASK: checkpoint.mask, EOS: checkpoint.eos}
    rows |= {OURS[name]: id_ for name, id_ in checkpoint.marks.items()}
    if "canvas" in state:
        state["canvas"].zero_()
    for table in (state[name] for name in ("table.weight", "head.weight") if name in state):
        table[:FIRST_TEXT_ID] = 0
        for ours, theirs in rows.items():
            table[ours] = table[theirs]


OURS = {"expand": INS_1, "insert": INS_1, "delete": DEL}
"""DreamOn's expand makes a mask two, LLaDA2.2's split puts one before a token: both are our `<ins_1>`."""

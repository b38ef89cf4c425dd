"""What quantising costs a network: how far its distributions move on real Python, and how often its best token stays.

Source files of the standard library are read as the network would meet them: a clean beginning, then a canvas of which
every other token is masked (with full attention all of it is canvas). The network is asked for the masked tokens, and
where its clean rows say the next token, for those too. The exact network is loaded first and let go before the other.

Shapes: R rows, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from model.backends.network import Network, Rows
from model.backends.products import Weights
from model.families.converted import GuestFolder
from model.families.foreign import ForeignCheckpoint
from model.families.load import load_network, stored_network
from model.tokenizer import FIRST_TEXT_ID, MASK, Tokenizer

_MODULES = ("bisect", "heapq", "textwrap", "shlex", "fnmatch", "string", "copy", "queue")
_CLEAN = 64
"""Tokens before a canvas, to the end of a block."""
_CANVAS = 32


@dataclass(frozen=True)
class Loss:
    """Mean divergence in nats of the rows, from the exact network to the quantised one; the share of rows whose best
    token is the same."""

    divergence: float
    agreement: float
    rows: int


@dataclass(frozen=True)
class Sample:
    clean: list[int]
    canvas: list[int]
    wanted: list[int]


def measure(checkpoint: ForeignCheckpoint, guest: GuestFolder, device: str = "auto") -> Loss:
    """What the conversion of `checkpoint` to `guest` cost. Raises ModelError where one of them does not fit."""
    network = Network(load_network(checkpoint, device), Weights())
    asked = list(samples(network, checkpoint.tokenizer()))
    exact = said_by(network, asked)
    del network
    return compared(exact, said_by(stored_network(guest, device), asked))


def samples(network: Network, tokenizer: Tokenizer) -> Iterator[Sample]:
    """One piece of each module, from its middle, where its code is."""
    block = network.config.clean_block
    room = network.config.context
    begin = 0 if block == 0 else min(_CLEAN, room // 2) // block * block
    size = min(_CANVAS if block == 0 else max(network.config.block, block), room - begin)
    if block == 0:
        size = min(_CLEAN + _CANVAS, room)
    for name in _MODULES:
        ids = tokenizer.encode(inspect.getsource(__import__(name)))
        at = len(ids) // 2
        clean, canvas = ids[at : at + begin], ids[at + begin : at + begin + size]
        masked = range(1, len(canvas), 2)
        noisy = [MASK if i in masked else token for i, token in enumerate(canvas)]
        said = range(len(clean)) if block == 1 else ()
        yield Sample(clean, noisy, [*said, *(begin + i for i in masked)])


@torch.inference_mode()
def said_by(network: Network, asked: list[Sample]) -> list[torch.Tensor]:
    """Log-probabilities `[R, V]` of each sample's wanted rows, on the host; control tokens are never said."""
    found: list[torch.Tensor] = []
    for sample in asked:
        hidden = network(*_laid_out(network, sample))[0, sample.wanted]
        logits = F.linear(hidden, network.head_VC).float()
        logits[:, :FIRST_TEXT_ID] = float("-inf")
        found.append(logits.log_softmax(-1)[:, FIRST_TEXT_ID:].cpu())
    return found


def compared(exact: list[torch.Tensor], small: list[torch.Tensor]) -> Loss:
    divergence, same, rows = 0.0, 0, 0
    for p, q in zip(exact, small, strict=True):
        p, q = p.double().log_softmax(-1), q.double().log_softmax(-1)
        divergence += float((p.exp() * (p - q)).sum())
        same += int((p.argmax(-1) == q.argmax(-1)).sum())
        rows += len(p)
    return Loss(divergence / rows, same / rows, rows)


def _laid_out(network: Network, sample: Sample) -> tuple[Rows, torch.Tensor]:
    """A sample as one forward over an empty cache."""
    config, device = network.config, network.table_VC.device
    count, clean = len(sample.clean) + len(sample.canvas), len(sample.clean)

    def grid(values: object) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.int32, device=device)

    at = grid([list(range(count))])
    rows = Rows(
        ids_BT=grid([[*sample.clean, *sample.canvas]]),
        positions_BT=at,
        is_canvas_BT=grid([[0] * clean + [1] * (count - clean)]),
        places_BT=at,
        slot_B=grid([0]),
        past_B=grid([0]),
        causal_B=grid([clean]),
        rows_B=grid([count]),
    )
    size = -(-count // 64) * 64
    shape = (1, config.layers, 2, config.kv_heads, size, config.head_size)
    return rows, torch.zeros(shape, dtype=network.table_VC.dtype, device=device)

"""What quantising costs a network: how far its distributions move on real Python, and how often its best token stays.

Source files of the standard library are read as the network would meet them: a clean beginning, then a canvas of which
every other token is masked (with full attention all of it is canvas). The network is asked for the masked tokens, and
where its clean rows say the next token, for those too. The exact network is loaded first and let go before the other.

Shapes: B pieces, T tokens, R wanted rows, C width, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import torch
import torch.nn.functional as F

from model.backends.network import Network, Rows
from model.backends.products import Weights
from model.config import ModelConfig
from model.families.converted import GuestFolder
from model.families.foreign import ForeignCheckpoint
from model.families.load import load_network, stored_network
from model.tokenizer import FIRST_TEXT_ID, MASK, Tokenizer

_MODULES = ("bisect", "heapq", "textwrap", "shlex", "fnmatch", "string", "copy", "queue")
_CLEAN = 64
"""Tokens before a canvas, to the end of a block."""
_CANVAS = 32
_ROWS = 64
"""Canvas tokens of a module, half of them masked."""


@dataclass(frozen=True)
class Loss:
    """Mean divergence in nats of the rows, from the exact network to the quantised one; the share of rows whose best
    token is the same."""

    divergence: float
    agreement: float
    rows: int


@dataclass(frozen=True)
class Sample:
    """Pieces of one length from one module: the first `clean` tokens of each are clean, the others a canvas."""

    ids_BT: torch.Tensor
    clean: int
    wanted: Sequence[int]


def measure(checkpoint: ForeignCheckpoint, guest: GuestFolder, device: str = "auto") -> Loss:
    """What the conversion of `checkpoint` to `guest` cost. Raises ModelError where one of them does not fit."""
    network = Network(load_network(checkpoint, device), Weights())
    asked = samples(network.config, checkpoint.tokenizer())
    exact = said_by(network, asked)
    del network
    return compared(exact, said_by(stored_network(guest, device), asked))


def samples(config: ModelConfig, tokenizer: Tokenizer) -> list[Sample]:
    """Pieces of each module, from its middle on, where its code is: a few hundred wanted rows in all."""
    block = config.clean_block
    clean = 0 if block == 0 else min(_CLEAN, config.context // 2) // block * block
    canvas = min(_CLEAN + _CANVAS if block == 0 else max(config.block, block), config.context - clean)
    pieces = max(1, _ROWS // canvas)
    masked = range(clean + 1, clean + canvas, 2)
    found: list[Sample] = []
    for name in _MODULES:
        ids = torch.tensor(tokenizer.encode(inspect.getsource(import_module(name))))
        starts = len(ids) // 2 + torch.arange(pieces) * canvas
        ids_BT = ids[(starts[:, None] + torch.arange(clean + canvas)) % len(ids)]
        ids_BT[:, list(masked)] = MASK
        found.append(Sample(ids_BT, clean, [*(range(clean) if block == 1 else ()), *masked]))
    return found


@torch.inference_mode()
def said_by(network: Network, asked: list[Sample]) -> list[torch.Tensor]:
    """Log-probabilities `[R, V]` of each sample's wanted rows, on the host; control tokens are never said."""
    found: list[torch.Tensor] = []
    for sample in asked:
        hidden_RC = network(*_laid_out(network, sample))[:, list(sample.wanted)].flatten(0, 1)
        logits = F.linear(hidden_RC, network.head_VC).float()
        found.append(logits[:, FIRST_TEXT_ID:].log_softmax(-1).cpu())
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
    """A sample as one forward over empty caches."""
    config, device = network.config, network.table_VC.device
    batch, count = sample.ids_BT.shape

    def integers(values: torch.Tensor) -> torch.Tensor:
        return values.to(device, torch.int32).contiguous()

    at = integers(torch.arange(count).expand(batch, count))
    rows = Rows(
        ids_BT=integers(sample.ids_BT),
        positions_BT=at,
        is_canvas_BT=(at >= sample.clean).int(),
        places_BT=at,
        slot_B=integers(torch.arange(batch)),
        past_B=integers(torch.zeros(batch)),
        causal_B=integers(torch.full((batch,), sample.clean)),
        rows_B=integers(torch.full((batch,), count)),
    )
    size = -(-count // 64) * 64
    shape = (batch, config.layers, 2, config.kv_heads, size, config.head_size)
    return rows, torch.zeros(shape, dtype=network.table_VC.dtype, device=device)

"""Foreign networks: our logits are the stock class's under the same mask, or a plain computation's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from model.backends.interface import TOP_K, Pass
from model.backends.torch import TorchBackend
from model.families.foreign import ForeignCheckpoint, open_foreign
from model.families.load import load_foreign
from model.tokenizer import EOS, FIRST_TEXT_ID, MASK
from model.transformer import masked
from tests.model.families import plain
from tests.model.families.cases import LLADA, LLADA2, STOCK
from tests.model.families.checkpoints import Case, Tensors, block_causal, causal_then_canvas, write

pytest.importorskip("transformers")
ROWS = 24
"""Of a sequence; the last third of it is canvas where clean tokens are causal."""
Logits = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""`(ids [rows], sees [rows, rows]) -> [rows, vocabulary]`, in the foreign numbering."""


def stock_logits(name: str, config: Mapping[str, Any], tensors: Tensors) -> Logits:
    """The stock class of that name with our tensors under its names."""
    import transformers

    known = {k: v for k, v in config.items() if k not in ("architectures", "model_type", "block_size")}
    cut = ("encoder.", "model."), ("diffusion_head.", "lm_head.")
    renamed = {k.replace(*cut[0]).replace(*cut[1]): v.clone() for k, v in tensors.items()}
    made = getattr(transformers, f"{name}Config")(**known, attn_implementation="eager")
    network = getattr(transformers, f"{name}ForCausalLM").from_pretrained(
        None, config=made, state_dict=renamed, dtype=torch.float32
    )
    network.eval()

    def logits(ids: torch.Tensor, sees: torch.Tensor) -> torch.Tensor:
        bias = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)
        positions = torch.arange(len(ids))[None]
        return network(ids[None], attention_mask=bias[None, None], position_ids=positions).logits[0]

    return logits


def drawn(checkpoint: ForeignCheckpoint) -> torch.Tensor:
    """Foreign ids: text, and every third one a mask from the second third on."""
    ids = torch.randint(0, 600, (ROWS,), generator=torch.Generator().manual_seed(2))
    ids[ROWS // 3 :: 3] = checkpoint.mask - FIRST_TEXT_ID
    return ids


def clean_rows(clean_block: int) -> int:
    """How many of the rows are clean; the others are one canvas."""
    if clean_block <= 1:
        return clean_block * ROWS * 2 // 3
    return (ROWS - 1) // clean_block * clean_block


def mask_of(clean_block: int) -> torch.Tensor:
    """What the family's own code lets rows see."""
    if clean_block == 1:
        return causal_then_canvas(clean_rows(1), ROWS - clean_rows(1))
    return block_causal(ROWS, clean_block or ROWS)


@torch.no_grad()
def assert_same(folder: Path, clean_block: int, wanted: Logits) -> ForeignCheckpoint:
    checkpoint = open_foreign(folder)
    assert checkpoint.config.clean_block == clean_block
    backend = load_foreign(checkpoint, "cpu")
    ids, sees = drawn(checkpoint), mask_of(clean_block)
    expected = wanted(ids, sees)
    assert expected.std() > 1
    _assert_same_network(backend, checkpoint, ids, sees, expected)
    _assert_same_candidates(backend, checkpoint, ids, expected)
    return checkpoint


def _assert_same_network(
    backend: TorchBackend,
    checkpoint: ForeignCheckpoint,
    ids: torch.Tensor,
    sees: torch.Tensor,
    expected: torch.Tensor,
) -> None:
    """All logits, and the two control rows that are copies."""
    ours = (ids + FIRST_TEXT_ID)[None]
    network = backend.network
    hidden, _ = network(
        ours, torch.arange(ROWS)[None], torch.ones_like(ours, dtype=torch.bool), masked(sees[None])
    )
    found = network.logits(hidden)[0]
    assert (found[:, FIRST_TEXT_ID:] - expected).abs().max() < 1e-4
    assert torch.equal(found[:, MASK], found[:, checkpoint.mask])
    assert torch.equal(found[:, EOS], found[:, checkpoint.eos])


def _assert_same_candidates(
    backend: TorchBackend, checkpoint: ForeignCheckpoint, ids: torch.Tensor, expected: torch.Tensor
) -> None:
    """The back end in passes over a cache, masks as our own `<mask>`: the best of what may be chosen."""
    block = checkpoint.config.clean_block
    clean, ours = clean_rows(block), [int(i) + FIRST_TEXT_ID for i in ids]
    canvas = [MASK if i == checkpoint.mask else i for i in ours[clean:]]
    cache, free = backend.new_cache(ROWS), backend.allow([])
    cuts = [0, block * (clean // block // 2), clean] if clean else []
    for start, end in pairwise(cuts):
        backend.forward([Pass(cache, ours[start:end], [], [], free)])
    (found,) = backend.forward([Pass(cache, [], canvas, range(len(canvas)), free)])
    best = torch.log_softmax(expected[clean:] + torch.as_tensor(free)[FIRST_TEXT_ID:], dim=-1).topk(TOP_K)
    assert (torch.as_tensor(found.logp_RK) - best.values).abs().max() < 1e-4
    assert (torch.as_tensor(found.best) == best.indices[:, 0] + FIRST_TEXT_ID).all()


@pytest.mark.parametrize("case", STOCK, ids=lambda c: c.name)
def test_logits_are_those_of_the_stock_class(case: Case, plain_tokenizer: Path, tmp_path: Path) -> None:
    """Sharded or in one file, tied or not, with biases, QK-norm, stretched positions or experts."""
    shards = 3 if case.name in ("sdar", "dream", "sdar-moe") else 1
    config, tensors = write(case, plain_tokenizer, tmp_path, shards)
    checkpoint = assert_same(tmp_path, case.clean_block, stock_logits(case.stock, config, tensors))
    assert checkpoint.family.name == case.name.removesuffix("-b8")
    assert checkpoint.config.shifted == case.shifted
    assert checkpoint.config.parameters == sum(
        w.numel() for w in load_foreign(checkpoint).network.state_dict().values()
    )


def test_llada_is_what_its_description_says(plain_tokenizer: Path, tmp_path: Path) -> None:
    config, tensors = write(LLADA, plain_tokenizer, tmp_path)
    assert_same(tmp_path, 0, partial(plain.llada, config, tensors))


@pytest.mark.parametrize("block", [None, 8])
def test_llada2_is_what_its_description_says(
    plain_tokenizer: Path, tmp_path: Path, block: int | None
) -> None:
    """Fused matrices, half-turned heads, a dense first layer, grouped routing with a bias, a shared expert."""
    config, tensors = write(LLADA2, plain_tokenizer, tmp_path, shards=2, block_size=block)
    checkpoint = assert_same(tmp_path, block or 32, partial(plain.llada2, config, tensors))
    assert checkpoint.config.experts is not None
    assert checkpoint.config.experts.dense_layers == 1

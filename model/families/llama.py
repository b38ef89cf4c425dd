"""Llama and Qwen2 checkpoints, which are autoregressive, as the start of our own training (`redraft train adapt`).

Of the foreign vocabulary only the text is kept; control tokens go in front of it, so that the foreign id i is ours
i + 24. Knows nothing of training.

Shape suffixes: V our ids, C width.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from model.config import ModelConfig
from model.families.bpe import read_tokenizer
from model.families.dense import read_dense, refuse_variants
from model.families.errors import FamilyError
from model.families.folder import Fields, Folder, read_json
from model.families.layout import LLAMA, check_tensors, places
from model.families.rope import read_rope
from model.families.shards import open_shards
from model.families.weights import State, empty_state, fill
from model.tokenizer import FIRST_TEXT_ID, Tokenizer

LONGEST_CONTEXT = 2048
"""Rows of an editor's requests are short; a longer context would only be paid for."""
_SHORT_CONTEXT = 768
_NOISE = 0.02
"""Of new control rows, in standard deviations of the foreign rows: enough to tell them apart."""


def read_config(path: Path, vocab: int) -> ModelConfig:
    """The config of a network with `vocab` ids, control tokens included; raises FamilyError, OSError.

    The context is the foreign one, at most `LONGEST_CONTEXT`; the longest region is 3/8 of it as in `base`, of a
    short context a fifth as in `tiny`, so that a row of one context still holds a region and its noisy copies.
    """
    fields = Fields(path / "config.json", read_json(path / "config.json"))
    family = fields.get("model_type")
    if family not in ("llama", "qwen2"):
        raise FamilyError(f"{fields.path}: model_type {family!r} is not supported; llama and qwen2 are")
    if fields.get("quantization_config"):
        raise FamilyError(f"{fields.path}: quantised checkpoints cannot be read; fetch the plain model")
    refuse_variants(fields)
    read_rope(fields, ("default",))  # what is trained here must run as an ONNX graph too
    # A head is expected where the config does not say that it is tied.
    fields = replace(fields, data={"tie_word_embeddings": False, **fields.data})
    config = read_dense(Folder(path, fields), qkv_bias=family == "qwen2", clean_block=1)
    context = min(config.context, LONGEST_CONTEXT)
    region = context * 3 // 8 if context > _SHORT_CONTEXT else context // 5
    return replace(config, vocab=vocab, context=context, region_limit=region)


def read_weights(path: Path, config: ModelConfig, tokenizer: Tokenizer, seed: int = 0) -> State:
    """Our float32 weights of a folder; raises FamilyError naming tensors that are missing, unexpected or misshapen.

    New control rows are the mean of the tokenizer's rows plus a little noise drawn from `seed`; the canvas embedding
    is zero, so that the causal mode is the foreign model's.
    """
    shards = open_shards(path)
    text = tokenizer.size - FIRST_TEXT_ID
    stored = shards.tensors.get(LLAMA.table)
    rows = stored.shape[0] if stored else text
    if rows < text:
        raise FamilyError(f"{path}: {LLAMA.table} has {rows} rows, fewer than the tokenizer's {text} ids")
    wanted = places(config, LLAMA, rows)
    check_tensors(shards, wanted, (LLAMA.head,) if config.tied else ())
    state = empty_state(config, "cpu", torch.float32)
    fill(state, shards, wanted)
    state["canvas"].zero_()
    random = torch.Generator().manual_seed(seed)
    for name in ("table.weight", "head.weight"):
        if name in state:
            _set_control_rows(state[name], random)
    return state


def _set_control_rows(rows_VC: torch.Tensor, random: torch.Generator) -> None:
    """An average row says nothing of its own, so that training need not first undo it."""
    text = rows_VC[FIRST_TEXT_ID:]
    noise = torch.randn(FIRST_TEXT_ID, rows_VC.shape[1], generator=random)
    rows_VC[:FIRST_TEXT_ID] = text.mean(0) + _NOISE * text.std() * noise


def open_folder(path: Path) -> tuple[ModelConfig, Tokenizer]:
    """What a folder's network and text are, without its weights; raises FamilyError, OSError."""
    tokenizer = read_tokenizer(path / "tokenizer.json")
    return read_config(path, tokenizer.size), tokenizer

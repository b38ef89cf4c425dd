"""Where each foreign tensor goes in our network: names, shapes, and the rows that it fills. No torch, no weights.

Ours keeps keys above values and the gate above the up matrix; experts are stacked. Which tensors there are follows
from our config, what they are called from a family's `Names`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from model.config import ModelConfig
from model.families.errors import FamilyError
from model.families.shards import Shards
from model.tokenizer import FIRST_TEXT_ID

_FLOATS = ("F64", "F32", "BF16", "F16")
_DERIVED = ("rotary_emb.inv_freq",)
"""Endings of tensors that old files store and that follow from the config."""


@dataclass(frozen=True)
class Names:
    """A family's names, of Llama where it does not say otherwise; those of a layer without `.weight`."""

    table: str = "model.embed_tokens.weight"
    head: str = "lm_head.weight"
    norm: str = "model.norm.weight"
    layer: str = "model.layers.{}."
    attention_norm: str = "input_layernorm"
    mlp_norm: str = "post_attention_layernorm"
    q: str = "self_attn.q_proj"
    k: str = "self_attn.k_proj"
    v: str = "self_attn.v_proj"
    qkv: str = ""
    """The three in one, where a family has that."""
    q_norm: str = "self_attn.q_norm"
    k_norm: str = "self_attn.k_norm"
    out: str = "self_attn.o_proj"
    mlp: str = "mlp."
    gate: str = "gate_proj"
    up: str = "up_proj"
    down: str = "down_proj"
    router: str = "mlp.gate.weight"
    router_bias: str = "mlp.gate.expert_bias"
    expert: str = "mlp.experts.{}."
    shared: str = "mlp.shared_experts."


LLAMA = Names()


@dataclass(frozen=True)
class Piece:
    """Rows `of` a foreign tensor that become the rows `at` of ours, or of one of its experts (None: all rows)."""

    ours: str
    at: slice | None = None
    of: slice | None = None
    expert: int | None = None


@dataclass(frozen=True)
class Place:
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]


def places(config: ModelConfig, names: Names, rows: int) -> dict[str, Place]:
    """Foreign name -> place, of a checkpoint whose tables have `rows` rows; those beyond our vocabulary are left."""
    text = config.vocab - FIRST_TEXT_ID
    found = {names.norm: Place((config.width,), (Piece("norm.weight"),))}
    for theirs, ours in ((names.table, "table.weight"), (names.head, "head.weight")):
        if ours == "head.weight" and config.tied:
            continue
        piece = Piece(ours, slice(FIRST_TEXT_ID, config.vocab), slice(text))
        found[theirs] = Place((rows, config.width), (piece,))
    for i in range(config.layers):
        theirs, ours = names.layer.format(i), f"layers.{i}."
        found |= {theirs + name: place for name, place in _attention(config, names, ours)}
        mlp = _mlp if i < config.dense_layers else _mixture
        found |= {theirs + name: place for name, place in mlp(config, names, ours)}
    return found


def _attention(config: ModelConfig, names: Names, ours: str) -> Iterator[tuple[str, Place]]:
    c, d = config.width, config.head_size
    q, kv = config.heads * d, config.kv_heads * d
    for name, norm in ((names.attention_norm, "attention_norm"), (names.mlp_norm, "mlp_norm")):
        yield f"{name}.weight", Place((c,), (Piece(f"{ours}{norm}.weight"),))
    yield f"{names.out}.weight", Place((c, q), (Piece(f"{ours}out.weight"),))
    if config.qk_norm:
        yield f"{names.q_norm}.weight", Place((d,), (Piece(f"{ours}q_norm.weight"),))
        yield f"{names.k_norm}.weight", Place((d,), (Piece(f"{ours}k_norm.weight"),))
    for kind, columns in (("weight", (c,)), ("bias", ())) if config.qkv_bias else (("weight", (c,)),):
        if names.qkv:
            both = Piece(f"{ours}q.{kind}", of=slice(q)), Piece(f"{ours}kv.{kind}", of=slice(q, None))
            yield f"{names.qkv}.{kind}", Place((q + 2 * kv, *columns), both)
            continue
        yield f"{names.q}.{kind}", Place((q, *columns), (Piece(f"{ours}q.{kind}"),))
        for name, at in ((names.k, slice(kv)), (names.v, slice(kv, 2 * kv))):
            yield f"{name}.{kind}", Place((kv, *columns), (Piece(f"{ours}kv.{kind}", at),))


def _mlp(config: ModelConfig, names: Names, ours: str) -> Iterator[tuple[str, Place]]:
    return _swiglu(names, names.mlp, config.width, config.ff, f"{ours}gate_up.weight", f"{ours}down.weight")


def _mixture(config: ModelConfig, names: Names, ours: str) -> Iterator[tuple[str, Place]]:
    assert config.experts is not None
    e, c, ours = config.experts, config.width, f"{ours}mixture."
    yield names.router, Place((e.count, c), (Piece(f"{ours}router.weight"),))
    if e.has_bias:
        yield names.router_bias, Place((e.count,), (Piece(f"{ours}bias"),))
    for i in range(e.count):
        yield from _swiglu(names, names.expert.format(i), c, e.ff, f"{ours}gate_up", f"{ours}down", i)
    if e.shared_ff:
        both = f"{ours}shared_gate_up.weight", f"{ours}shared_down.weight"
        yield from _swiglu(names, names.shared, c, e.shared_ff, *both)


def _swiglu(
    names: Names, theirs: str, c: int, ff: int, gate_up: str, down: str, expert: int | None = None
) -> Iterator[tuple[str, Place]]:
    gate, up = Piece(gate_up, slice(ff), expert=expert), Piece(gate_up, slice(ff, 2 * ff), expert=expert)
    yield f"{theirs}{names.gate}.weight", Place((ff, c), (gate,))
    yield f"{theirs}{names.up}.weight", Place((ff, c), (up,))
    yield f"{theirs}{names.down}.weight", Place((c, ff), (Piece(down, expert=expert),))


def check_tensors(shards: Shards, wanted: Mapping[str, Place], ignored: tuple[str, ...] = ()) -> None:
    """Raises FamilyError naming tensors that are missing, unexpected, of another shape, or no plain numbers."""
    folder = shards.folder
    if missing := sorted(set(wanted) - set(shards.tensors)):
        raise FamilyError(
            f"{folder}: the weights lack {', '.join(missing[:5])}{_more(missing)}; fetch the model again"
        )
    unexpected = sorted(
        n for n in set(shards.tensors) - set(wanted) - set(ignored) if not n.endswith(_DERIVED)
    )
    if unexpected:
        raise FamilyError(
            f"{folder}: the weights hold unexpected {', '.join(unexpected[:5])}{_more(unexpected)}: they are not of "
            "the architecture that config.json names, or quantised; fetch the plain model"
        )
    for name, place in wanted.items():
        found = shards.tensors[name]
        if found.shape != place.shape:
            raise FamilyError(
                f"{found.file}: {name} has shape {found.shape}, the config says {place.shape}; "
                "the files belong to different models: fetch them again"
            )
        if found.dtype not in _FLOATS:
            raise FamilyError(
                f"{found.file}: {name} holds numbers of type {found.dtype}, expected {', '.join(_FLOATS)}; "
                "quantised weights cannot be read: fetch the plain model"
            )


def _more(names: list[str]) -> str:
    return f" and {len(names) - 5} more" if len(names) > 5 else ""

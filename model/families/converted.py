"""A guest folder: another family's network under our names, in the layout of the fused network, with quantised weights.

    config.json       our config, the family, its special ids, template and defaults; `format` is "guest"
    tokenizer.json    the text's tokens alone
    model-*.safetensors, model.safetensors.index.json

It holds everything that an engine needs, so that the foreign folder may go. `model/families/convert.py` writes it; here
it is read and checked, without torch. Ids are ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from model.checkpoint import GUEST_FORMAT
from model.config import ModelConfig
from model.families.errors import FamilyError
from model.families.folder import read_json
from model.families.foreign import ForeignCheckpoint, open_foreign
from model.families.shards import Shards, open_shards
from model.families.sizes import KINDS, matrices, parts_of
from model.tokenizer import FIRST_TEXT_ID, Tokenizer

VERSION = 2
_AGAIN = "convert the model again"


@dataclass(frozen=True)
class Identity:
    """What an engine needs to know of a guest besides its network and its text, as `ForeignCheckpoint` has it. `kind`
    is how the matrices are kept."""

    name: str
    title: str
    kind: str
    specials: Mapping[str, int]
    mask: int
    eos: int
    ends: tuple[int, ...]
    forbidden: tuple[int, ...]
    marks: Mapping[str, int]
    roles: Mapping[str, str]
    chat_template: str | None
    begin: tuple[int, ...]
    end: tuple[int, ...]
    middle: Mapping[str, int]
    decoding: Mapping[str, float | str]


@dataclass(frozen=True)
class GuestFolder:
    folder: Path
    config: ModelConfig
    identity: Identity
    shards: Shards

    def tokenizer(self) -> Tokenizer:
        """Raises FamilyError where it is missing, damaged, or of a larger vocabulary."""
        try:
            tokenizer = Tokenizer.load(self.folder / "tokenizer.json", self.config.vocab - FIRST_TEXT_ID)
            tokenizer.token_bytes([FIRST_TEXT_ID])
        except (OSError, ValueError, IndexError) as error:
            raise FamilyError(f"the tokenizer of {self.folder} cannot be read: {error}; {_AGAIN}") from error
        return tokenizer


def open_guest(folder: Path) -> tuple[ForeignCheckpoint | GuestFolder, Identity]:
    """A folder of another family, as it was published or converted. Raises ModelError (FamilyError)."""
    if read_json(folder / "config.json").get("format") == GUEST_FORMAT:
        guest = open_converted(folder)
        return guest, guest.identity
    checkpoint = open_foreign(folder)
    return checkpoint, identity_of(checkpoint)


def identity_of(checkpoint: ForeignCheckpoint, kind: str = "plain") -> Identity:
    return Identity(
        name=checkpoint.family.name,
        title=checkpoint.family.title,
        kind=kind,
        specials=dict(checkpoint.specials),
        mask=checkpoint.mask,
        eos=checkpoint.eos,
        ends=checkpoint.ends,
        forbidden=checkpoint.forbidden,
        marks=dict(checkpoint.marks),
        roles=dict(checkpoint.roles),
        chat_template=checkpoint.chat_template,
        begin=checkpoint.begin,
        end=checkpoint.end,
        middle=dict(checkpoint.middle),
        decoding=dict(checkpoint.decoding),
    )


def write_identity(folder: Path, config: ModelConfig, identity: Identity, source: str) -> None:
    known = {field.name: getattr(identity, field.name) for field in fields(Identity)}
    data = {
        "format": GUEST_FORMAT,
        "version": VERSION,
        "source": source,
        "guest": known,
        "model": config.as_json(),
    }
    (folder / "config.json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def open_converted(folder: Path) -> GuestFolder:
    """Read and check a folder; raises ModelError (FamilyError) that says what is wrong and what to do."""
    path = folder / "config.json"
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["version"] != VERSION:
            raise FamilyError(
                f"{path} is of version {data['version']}, this Redraft reads {VERSION}; {_AGAIN}"
            )
        config = ModelConfig.from_json(data["model"])
        identity = _read_identity(data["guest"])
    except FamilyError:
        raise
    except OSError as error:
        raise FamilyError(
            f"{folder} is no model: its config.json cannot be read ({error.strerror})"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise FamilyError(f"{path} cannot be read: {error!r}; {_AGAIN}") from error
    if wrong := [i for i in _ids(identity) if not 0 <= i < config.vocab]:
        raise FamilyError(f"{path}: the id {wrong[0]} is beyond the {config.vocab} rows; {_AGAIN}")
    shards = open_shards(folder)
    _check(shards, config, identity.kind)
    return GuestFolder(folder, config, identity, shards)


def _ids(identity: Identity) -> Iterator[int]:
    """All that it names."""
    yield from (
        identity.mask,
        identity.eos,
        *identity.ends,
        *identity.forbidden,
        *identity.begin,
        *identity.end,
    )
    for table in (identity.marks, identity.specials, identity.middle):
        yield from table.values()


def _check(shards: Shards, config: ModelConfig, kind: str) -> None:
    """Raises FamilyError naming tensors that are missing, unexpected or misshapen."""
    wanted = _shapes(config, kind)
    found = {name: each.shape for name, each in shards.tensors.items()}
    if missing := sorted(wanted.keys() - found.keys()):
        raise FamilyError(f"{shards.folder}: the weights lack {', '.join(missing[:5])}; {_AGAIN}")
    if unexpected := sorted(found.keys() - wanted.keys()):
        raise FamilyError(
            f"{shards.folder}: the weights hold unexpected {', '.join(unexpected[:5])}; {_AGAIN}"
        )
    for name, shape in wanted.items():
        if found[name] != shape:
            raise FamilyError(
                f"{shards.folder}: {name} has shape {found[name]}, the config says {shape}; {_AGAIN}"
            )


def _shapes(config: ModelConfig, kind: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors, in the fused network's layout."""
    c, d = config.width, config.head_size
    shapes: dict[str, tuple[int, ...]] = {
        "table.weight": (config.vocab, c),
        "canvas": (c,),
        "norm.weight": (c,),
    }
    if not config.tied:
        shapes["head.weight"] = (config.vocab, c)
    for i in range(config.layers):
        at = f"layers.{i}."
        shapes |= {f"{at}{norm}_norm.weight": (c,) for norm in ("attention", "mlp")}
        if config.qk_norm:
            shapes |= {f"{at}{row}_norm.weight": (d,) for row in "qk"}
        if config.qkv_bias:
            shapes[f"{at}qkv.bias"] = ((config.heads + 2 * config.kv_heads) * d,)
        if i >= config.dense_layers and (e := config.experts):
            shapes[f"{at}mixture.router.weight"] = (e.count, c)
            if e.has_bias:
                shapes[f"{at}mixture.bias"] = (e.count,)
    for matrix in matrices(config):
        parts = parts_of(matrix, kind).items()
        shapes |= {f"layers.{i}.{matrix.name}.{part}": shape for i in matrix.layers for part, shape in parts}
    return shapes


def _read_identity(data: Mapping[str, Any]) -> Identity:
    values = {field.name: data[field.name] for field in fields(Identity)}
    for name in ("ends", "forbidden", "begin", "end"):
        values[name] = tuple(int(i) for i in values[name])
    for name in ("specials", "marks", "middle"):
        values[name] = {str(token): int(i) for token, i in values[name].items()}
    values["roles"] = {str(role): str(token) for role, token in values["roles"].items()}
    if values["kind"] not in KINDS:
        raise ValueError(f"weights of the kind {values['kind']!r} are unknown; known are {', '.join(KINDS)}")
    return Identity(**values)

"""A foreign diffusion checkpoint: a folder that was recognised and checked, before torch is imported.

`open_foreign` reads the config, the tokenizer and the headers of the weights; `load.load_foreign` reads the weights.
Foreign id i is ours i + 24 everywhere in here. Nothing of the folder is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model.checkpoint import ModelError
from model.config import ModelConfig
from model.families.bpe import text_of, without_text
from model.families.errors import FamilyError
from model.families.family import Family
from model.families.folder import Fields, Folder, read_json
from model.families.layout import Place, check_tensors, places
from model.families.registry import recognise
from model.families.shards import Shards
from model.tokenizer import FIRST_TEXT_ID, Tokenizer


@dataclass(frozen=True)
class ForeignCheckpoint:
    """`mask` and `eos` are the foreign tokens' ids, whose rows stand for our `<mask>` and `<eos>` as well; `ends` mean
    `<eos>` too; `forbidden` is what must never be chosen: special tokens and rows without text, `ends` excepted.
    `marks` have a meaning for the family's own decoding, see `Family`; `roles` are the names of special tokens by what
    a chat template calls them; `begin` and `end` stand around a text with masks in it, `middle` are the tokens of
    fill-in-the-middle format where the family knows it."""

    folder: Path
    family: Family
    config: ModelConfig
    text: Tokenizer
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
    shards: Shards
    wanted: Mapping[str, Place]
    """Where each of the tensors goes."""

    @property
    def decoding(self) -> Mapping[str, float | str]:
        """The family's published defaults, by name."""
        return self.family.decoding

    def tokenizer(self) -> Tokenizer:
        """As of our own checkpoints; special tokens are not in it, but in `specials`."""
        return self.text

    def bytes(self, number: int, rows: int | None = None) -> int:
        """Memory of the weights, and of keys and values of `rows` tokens (None: a full context), with `number` bytes
        for each number."""
        c = self.config
        return number * (c.parameters + c.numbers_per_token * (c.context if rows is None else rows))


def open_foreign(path: Path) -> ForeignCheckpoint:
    """Read and check a folder; raises ModelError (FamilyError) that says which file, what is wrong, and what to do."""
    with naming_damage(path):
        folder, family = identify(path)
        if family.extra:
            raise FamilyError(
                f"{folder.path} is {family.title}, which runs with transformers: install redraft[{family.extra}]"
            )
        config = family.read(folder)
        wanted = _checked(folder, family, config)
        return _opened(folder, family, config, wanted)


def identify(path: Path) -> tuple[Folder, Family]:
    """A folder and its family; raises FamilyError where it has none that can be read."""
    with naming_damage(path):
        folder = Folder(path, read_fields(path))
        fields = folder.config
        if fields.get("quantization_config") or fields.get("quantization"):
            raise FamilyError(f"{fields.path}: quantised checkpoints cannot be read; fetch the plain model")
        return folder, recognise(folder)


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Turns what a file of a shape that nobody thought of raises into a FamilyError."""
    try:
        yield
    except ModelError:
        raise
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise FamilyError(f"{path} is damaged ({error!r}); fetch the model again") from error


def _checked(folder: Folder, family: Family, config: ModelConfig) -> dict[str, Place]:
    tensors = folder.shards.tensors
    experts = config.experts.count * (config.layers - config.dense_layers) if config.experts else 0
    if config.layers + experts > len(tensors):  # also keeps an absurd number from being counted up to
        raise FamilyError(
            f"{folder.config.path} says {config.layers} layers with {experts} experts in all, the weights hold "
            f"{len(tensors)} tensors; the files belong to different models: fetch them again"
        )
    wanted = places(config, family.names, config.vocab - FIRST_TEXT_ID)
    # Some writers store a tied head again.
    check_tensors(folder.shards, wanted, (family.names.head,) if config.tied else ())
    return wanted


def _opened(
    folder: Folder, family: Family, config: ModelConfig, wanted: Mapping[str, Place]
) -> ForeignCheckpoint:
    rows = config.vocab - FIRST_TEXT_ID
    text, mask = text_of(folder, rows), mask_of(folder, family)
    eos, *ends = ends_of(folder, family, mask)
    marks = {name: _mark(folder, *mark) for name, mark in family.marks.items()}
    for id_ in (mask, eos, *ends, *marks.values()):
        if not 0 <= id_ < rows:
            raise FamilyError(
                f"{folder.config.path}: the special id {id_} is beyond the {rows} rows; fetch the model again"
            )
    silent = {*folder.specials.values(), mask, eos, *without_text(text)} - set(ends)
    return ForeignCheckpoint(
        folder=folder.path,
        family=family,
        config=config,
        text=text,
        specials={name: i + FIRST_TEXT_ID for name, i in folder.specials.items()},
        mask=mask + FIRST_TEXT_ID,
        eos=eos + FIRST_TEXT_ID,
        ends=tuple(i + FIRST_TEXT_ID for i in ends),
        forbidden=tuple(sorted(i + FIRST_TEXT_ID for i in silent)),
        marks={name: i + FIRST_TEXT_ID for name, i in marks.items()},
        roles=folder.roles,
        chat_template=folder.chat_template,
        begin=_framing(folder, family.frame[0]),
        end=_framing(folder, family.frame[1]),
        middle=_middle(folder, family),
        shards=folder.shards,
        wanted=wanted,
    )


def read_fields(path: Path) -> Fields:
    """Raises FamilyError where a folder has no config that can be read."""
    try:
        return Fields(path / "config.json", read_json(path / "config.json"))
    except OSError as error:
        raise FamilyError(f"{path} is no model: its config.json cannot be read ({error.strerror})") from error


def mask_of(folder: Folder, family: Family) -> int:
    """The foreign id of the mask token: the tokenizer's, else the config's, else that of a known name."""
    found = folder.named("mask_token")
    if found is None:
        found = folder.config.get("mask_token_id", folder.generation.get("mask_token_id"))
    if found is None:
        found = next((folder.specials[name] for name in family.masks if name in folder.specials), None)
    if found is None and family.mask_id in folder.specials.values():
        found = family.mask_id
    if found is None:
        raise FamilyError(
            f"{folder.config.path} has no mask_token_id and the tokenizer no mask token: {family.title} cannot "
            "be decoded without one; fetch the model again, or add mask_token_id"
        )
    return int(found)


def ends_of(folder: Folder, family: Family, mask: int) -> list[int]:
    """The foreign ids of tokens that end a text, the config's first one first; never the mask's."""
    said: list[int | None] = []
    for source in (
        folder.config.get("eos_token_id"),
        folder.named("eos_token"),
        folder.generation.get("eos_token_id"),
    ):
        said += source if isinstance(source, Sequence) else [source]
    named = [folder.specials.get(name) for name in family.ends]
    found = list(dict.fromkeys(int(i) for i in (*said, *named) if i not in (None, mask)))
    if not found:
        raise FamilyError(
            f"{folder.config.path} has no eos_token_id and the tokenizer no eos token; fetch the model again"
        )
    return found


def _mark(folder: Folder, field: str, name: str, published: int) -> int:
    known = folder.config.get(field, folder.generation.get(field))
    return int(folder.specials.get(name, published) if known is None else known)


def _framing(folder: Folder, role: str) -> tuple[int, ...]:
    """In our numbering; none where the tokenizer has no such token."""
    found = folder.named(role)
    return () if found is None else (found + FIRST_TEXT_ID,)


def _middle(folder: Folder, family: Family) -> dict[str, int]:
    """In our numbering; none where the tokenizer lacks one of them."""
    if not set(family.middle.values()) <= folder.specials.keys():
        return {}
    return {part: folder.specials[name] + FIRST_TEXT_ID for part, name in family.middle.items()}

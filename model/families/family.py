"""What tells one family of foreign diffusion checkpoints from another; each has a small file that fills this in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from model.config import ModelConfig
from model.families.folder import Folder
from model.families.layout import LLAMA, Names


@dataclass(frozen=True)
class Family:
    """`architectures` and `model_types` are what `config.json` says; a `sign` must hold besides, where there is one.

    `masks` are names of the mask token, and `mask_id` is its published id, for folders whose tokenizer and config do
    not say; `ends` are names of tokens that end a text besides the config's. `marks` are ids with a meaning for the
    family's own decoding: our name -> the config's field, the token's name (if it is known), and the published id.
    `decoding` holds the published defaults.

    `frame` is what stands before and behind a text with masks in it, as the tokenizer calls it (`bos_token`,
    `eos_token`); empty where no published code puts anything there. `middle` are the names of the tokens before prefix,
    suffix and middle, in the order in which those come: only of families that were trained to fill in the middle."""

    name: str
    title: str
    architectures: tuple[str, ...]
    read: Callable[[Folder], ModelConfig]
    model_types: tuple[str, ...] = ()
    sign: Callable[[Folder], bool] | None = None
    names: Names = LLAMA
    masks: tuple[str, ...] = ()
    mask_id: int | None = None
    ends: tuple[str, ...] = ()
    marks: Mapping[str, tuple[str, str, int]] = field(default_factory=dict)
    decoding: Mapping[str, float | str] = field(default_factory=dict)
    frame: tuple[str, str] = ("", "")
    middle: Mapping[str, str] = field(default_factory=dict)
    extra: str = ""
    """The optional extra without which the family is not read; such a family is not loaded here."""

    def recognises(self, folder: Folder) -> bool:
        config = folder.config
        listed = config.get("architectures", [])
        is_named = any(each in self.architectures for each in listed) if listed else False
        if not listed:
            is_named = config.get("model_type") in self.model_types
        return is_named and (self.sign is None or self.sign(folder))

"""What a foreign checkpoint's folder says besides its weights: its config, its special tokens, its chat template.

A folder in Hugging Face's layout. Runs nothing of it: `auto_map`, which names Python files to import, is never looked
at. Knows no family.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from model.families.errors import FamilyError
from model.families.shards import Shards, open_shards

SOURCE = "redraft.json"
"""Written by `redraft models download`: the hub's repository and revision."""


def read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise FamilyError(f"{path} is not JSON: {error}; fetch the model again") from error
    if not isinstance(data, dict):
        raise FamilyError(f"{path} is not a JSON object; fetch the model again")
    return data


def _read_optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


@dataclass(frozen=True)
class Fields:
    """A config file's fields; what is missing or of another type raises FamilyError with the file and the name."""

    path: Path
    data: Mapping[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        found = self.data.get(name)
        return default if found is None else found

    def integer(self, name: str, default: int | None = None) -> int:
        return int(self._number(name, int, default))

    def count(self, name: str, default: int | None = None) -> int:
        """An integer above 0."""
        if (found := self.integer(name, default)) < 1:
            raise FamilyError(f"{self.path}: {name} = {found} describes no network; fetch the model again")
        return found

    def number(self, name: str, default: float | None = None) -> float:
        return float(self._number(name, float, default))

    def _number(self, name: str, kind: type, default: float | None) -> Any:
        found = self.get(name, default)
        if found is None:
            raise FamilyError(f"{self.path} lacks {name!r}; fetch the model again")
        try:
            return kind(found)
        except (TypeError, ValueError) as error:
            raise FamilyError(f"{self.path}: {name} = {found!r} is no number: {error}") from error

    def only(self, **plain: Any) -> None:
        """Refuses fields that say anything else: what our network does not compute, and would otherwise ignore."""
        for name, usual in plain.items():
            if self.get(name, usual) != usual:
                raise FamilyError(f"{self.path}: {name} = {self.data[name]!r} is not supported")


@dataclass(frozen=True)
class Folder:
    """A folder of which the config was read; what else it says is read when it is asked for."""

    path: Path
    config: Fields

    @cached_property
    def shards(self) -> Shards:
        """Its tensors' names, types and shapes."""
        return open_shards(self.path)

    @cached_property
    def generation(self) -> dict[str, Any]:
        return _read_optional(self.path / "generation_config.json")

    @cached_property
    def tokenizer_config(self) -> dict[str, Any]:
        return _read_optional(self.path / "tokenizer_config.json")

    @cached_property
    def tokenizer_json(self) -> dict[str, Any]:
        return _read_optional(self.path / "tokenizer.json")

    @cached_property
    def specials(self) -> dict[str, int]:
        """The tokens that stand beside the text's, by name, in the foreign numbering."""
        found = {str(k): int(v) for k, v in _read_optional(self.path / "added_tokens.json").items()}
        for index, token in (self.tokenizer_config.get("added_tokens_decoder") or {}).items():
            found[str(token["content"])] = int(index)
        for token in self.tokenizer_json.get("added_tokens") or ():
            found[str(token["content"])] = int(token["id"])
        return found

    @cached_property
    def roles(self) -> dict[str, str]:
        """The tokenizer's special tokens by what it calls them: `bos_token`, `eos_token`, `mask_token` ... As
        `transformers` reads them: beside a config without `added_tokens_decoder` the older file has the last word."""
        sources = [self.tokenizer_config]
        if "added_tokens_decoder" not in self.tokenizer_config:
            sources.append(_read_optional(self.path / "special_tokens_map.json"))
        found: dict[str, str] = {}
        for role, token in (item for source in sources for item in source.items()):
            name = token.get("content") if isinstance(token, dict) else token
            if role.endswith("_token") and isinstance(name, str):
                found[role] = name
        return found

    def named(self, role: str) -> int | None:
        """The id of the tokenizer's `mask_token`, `eos_token` ...; None where it has none."""
        return self.specials.get(self.roles.get(role, ""))

    @cached_property
    def chat_template(self) -> str | None:
        """Jinja text; of several templates the one named `default`."""
        path = self.path / "chat_template.jinja"
        if path.exists():
            return path.read_text("utf-8")
        found = self.tokenizer_config.get("chat_template")
        if isinstance(found, list):
            found = next((each.get("template") for each in found if each.get("name") == "default"), None)
        return found

    @cached_property
    def hints(self) -> str:
        """Names that the folder goes by, in lower case: its own, those of the folders above it (a hub's cache puts the
        model's name two levels up), the one in its config, and what it was downloaded as. Only for what no field
        says."""
        parts = self.path.resolve().parts[-4:]
        source = _read_optional(self.path / SOURCE).get("repo", "")
        return "/".join((*parts, str(self.config.get("_name_or_path", "")), str(source))).lower()

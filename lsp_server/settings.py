"""The settings: a frozen tree with a default for everything, read from the client's JSON.

An unknown key or a value of the wrong type never fails: the default stays and a warning says which key it
was and what is allowed. Keys are camelCase in JSON and snake_case here. Knows nothing of where the JSON
came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import attrs

from model.editing.manners import EVERY, Manners
from model.request import Complete


@attrs.frozen
class EngineOptions:
    """What decides which engine is loaded; a change loads another one. `threads` 0 means the back end's
    choice."""

    model: str = ""
    backend: Literal["auto", "onnx", "torch"] = "auto"
    device: str = "auto"
    threads: int = 0


@attrs.frozen
class InlineSettings:
    """Inline completion. `delay_ms` is how long typing must rest; 0 follows the user's rhythm, from 100 to
    400 ms (1 is as good as no delay). A suggestion comes within `deadline_ms` after that, as far as it has got. For one
    to come by itself, `min_prefix` characters of code must stand before the cursor on its line, and it must have
    `min_length` characters besides white space. Who asks for one gets up to `candidates`, which is at least one and at
    most eight."""

    enable: bool = True
    delay_ms: int = 0
    deadline_ms: int = 300
    multiline: bool = True
    min_prefix: int = 0
    min_length: int = 2
    candidates: int = 3
    manners: Manners = EVERY

    def task(self, cursor: int, *, asked: bool = False) -> Complete:
        """A completion as these settings want it."""
        count = min(max(1, self.candidates), 8) if asked else 1
        return Complete(cursor, self.multiline, asked, manners=self.manners, candidates=count)


@attrs.frozen
class FixSettings:
    enable: bool = True
    deadline_ms: int = 30_000


@attrs.frozen
class RefactorSettings:
    """`presets` are offered as code actions; without any, what the model knows and could do at the place.
    `needs_confirmation` asks the client to show a preview."""

    enable: bool = True
    deadline_ms: int = 120_000
    needs_confirmation: bool = False
    presets: tuple[str, ...] = ()


@attrs.frozen
class LimitSettings:
    max_file_bytes: int = 1_000_000


@attrs.frozen
class Settings:
    """Everything a user can set, under `redraft` in the editor's settings."""

    enable: bool = True
    disabled_languages: tuple[str, ...] = ()
    model: str = ""
    backend: Literal["auto", "onnx", "torch"] = "auto"
    device: str = "auto"
    threads: int = 0
    inline: InlineSettings = InlineSettings()
    fix: FixSettings = FixSettings()
    refactor: RefactorSettings = RefactorSettings()
    limits: LimitSettings = LimitSettings()
    ignore: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "warning"

    @property
    def engine(self) -> EngineOptions:
        return EngineOptions(self.model, self.backend, self.device, self.threads)


def read(raw: object, defaults: Settings = Settings()) -> tuple[Settings, tuple[str, ...]]:
    """The settings in `raw` (parsed JSON), and a warning for everything in it that was not understood."""
    warnings: list[str] = []
    return _read_tree(defaults, raw, "redraft", warnings), tuple(warnings)


def _read_tree(defaults: Any, raw: object, path: str, warnings: list[str]) -> Any:
    if not isinstance(raw, Mapping):
        warnings.append(f"{path}: expected an object, got {_say(raw)}; the defaults stay.")
        return defaults
    kind = cast("type[attrs.AttrsInstance]", type(defaults))
    types = get_type_hints(kind)
    names = {camel(a.name): a.name for a in attrs.fields(kind)}
    values: dict[str, object] = {}
    for key, value in cast("Mapping[object, object]", raw).items():
        name = names.get(str(key))
        if name is None:
            warnings.append(f"{path}.{key}: unknown setting; known here: {', '.join(names)}.")
        elif value is None:
            continue  # some clients send it for what is not set
        elif attrs.has(types[name]):
            values[name] = _read_tree(getattr(defaults, name), value, f"{path}.{key}", warnings)
        else:
            allowed, ok, clean = _read_value(types[name], value)
            if ok:
                values[name] = clean
            else:
                warnings.append(f"{path}.{key}: expected {allowed}, got {_say(value)}; the default stays.")
    return attrs.evolve(defaults, **values)


def _read_value(kind: Any, value: object) -> tuple[str, bool, object]:
    """What is allowed in words, whether `value` is, and the value as it is kept."""
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return "one of " + ", ".join(map(repr, choices)), value in choices, value
    if get_origin(kind) is tuple:
        items = cast("list[object]", value) if isinstance(value, list) else None
        fine = items is not None and all(isinstance(item, str) for item in items)
        return "a list of strings", fine, tuple(items or ())
    if kind is bool:
        return "true or false", isinstance(value, bool), value
    if kind is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return "a whole number from 0", whole and cast("int", value) >= 0, value
    return "a string", isinstance(value, str), value


def _say(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def camel(name: str) -> str:
    """A name of ours as JSON has it."""
    return re.sub(r"_(\w)", lambda m: m.group(1).upper(), name)

"""Settings: defaults for everything, and a warning instead of a failure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from lsp_server.settings import EngineOptions, Settings, camel, read

ROOT = Path(__file__).parents[2]


def test_nothing_gives_the_defaults():
    assert read({}) == (Settings(), ())


def test_known_keys_are_taken_over_at_every_depth():
    raw = {
        "inline": {"delayMs": 5, "multiline": False},
        "ignore": ["*.secret"],
        "backend": "onnx",
        "threads": 2,
    }
    settings, warnings = read(raw)
    assert not warnings
    assert (settings.inline.delay_ms, settings.inline.multiline) == (5, False)
    assert settings.ignore == ("*.secret",)
    assert settings.engine == EngineOptions(backend="onnx", threads=2)
    assert settings.fix == Settings().fix


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"nonsense": 1}, "redraft.nonsense: unknown setting; known here: enable"),
        ({"inline": {"delay": 1}}, "redraft.inline.delay: unknown"),
        ({"inline": 5}, "redraft.inline: expected an object"),
        ({"enable": "yes"}, "redraft.enable: expected true or false"),
        ({"threads": True}, "expected a whole number from 0"),
        ({"threads": -1}, "expected a whole number from 0"),
        ({"threads": 1.5}, "expected a whole number from 0"),
        ({"backend": "gpu"}, "expected one of 'auto', 'onnx', 'torch'"),
        ({"backend": ["onnx"]}, "expected one of"),
        ({"ignore": "*.py"}, "expected a list of strings"),
        ({"ignore": [1]}, "expected a list of strings"),
        ({"model": {}}, "expected a string"),
        ([], "redraft: expected an object"),
        ("x" * 500, "redraft: expected an object"),
    ],
)
def test_what_is_not_understood_is_said_and_the_default_stays(raw, says):
    settings, warnings = read(raw)
    assert settings == Settings()
    assert len(warnings) == 1
    assert says in warnings[0]
    assert len(warnings[0]) < 300


def test_one_wrong_key_does_not_spoil_the_others():
    settings, warnings = read({"enable": 3, "model": "m"})
    assert settings == Settings(model="m")
    assert len(warnings) == 1


def test_null_means_default_and_defaults_may_come_from_the_command_line():
    defaults = Settings(model="mine", threads=3)
    assert read({"model": None, "threads": 4}, defaults) == (attrs.evolve(defaults, threads=4), ())


def test_null_means_the_default_everywhere():
    assert read({"inline": None, "enable": None, "refactor": {"presets": None}}) == (Settings(), ())
    assert read({"inline": {"manners": None}}) == (Settings(), ())


@pytest.mark.parametrize(("given", "count"), [(0, 1), (1, 1), (5, 5), (99, 8)])
def test_who_asks_gets_from_one_to_eight(given, count):
    settings, _ = read({"inline": {"candidates": given}})
    assert settings.inline.task(3, asked=True).candidates == count
    assert settings.inline.task(3).candidates == 1


def test_every_setting_is_documented_with_its_default():
    rows = re.findall(
        r"^\| `([\w.]+)` \| `(.*?)` \|", (ROOT / "docs/settings.md").read_text("utf-8"), re.MULTILINE
    )
    assert dict(rows) == {name: json.dumps(value) for name, value in flat(Settings())}


def flat(tree: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    for field in attrs.fields(type(tree)):
        value, name = getattr(tree, field.name), prefix + camel(field.name)
        if attrs.has(type(value)):
            yield from flat(value, f"{name}.")
        else:
            yield name, list(value) if isinstance(value, tuple) else value

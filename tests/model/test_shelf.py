"""Where models are kept, how they are named, and which is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.checkpoint import EMBEDDED, ModelError
from model.shelf import choose, find, kept, models_folder, name_of, remember


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REDRAFT_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models"


@pytest.mark.parametrize(
    ("platform", "environment", "ends"),
    [
        ("linux", {}, ".local/share/redraft/models"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/redraft/models"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "Library/Application Support/redraft/models"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/redraft/models"),
        ("win32", {}, "AppData/Local/redraft/models"),
        ("win32", {"REDRAFT_MODELS": "/mine"}, "/mine"),
    ],
)
def test_every_platform_has_a_place(platform: str, environment: dict[str, str], ends: str) -> None:
    assert models_folder(environment, platform).as_posix().endswith(ends)


def test_a_model_is_named_by_its_folder_or_a_path(home: Path, tmp_path: Path) -> None:
    (home / "mine").mkdir(parents=True)
    (home / ".downloads").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "mine").mkdir()
    assert kept() == [home / "mine"]
    assert find("mine") == home / "mine"  # wherever the server was started
    assert find("./mine") == Path("mine")
    assert find("here") == Path("here")
    assert find("embedded") == EMBEDDED
    assert find("/not/there") == Path("/not/there")
    assert (name_of(home / "mine"), name_of(EMBEDDED)) == ("mine", "embedded")
    with pytest.raises(ModelError, match="no model at nothing, and none of that name in"):
        find("nothing")


def test_a_remembered_model_is_the_default_and_a_named_one_comes_first(home: Path) -> None:
    assert choose().folder == EMBEDDED
    (home / "mine").mkdir(parents=True)
    remember(home / "mine")
    assert choose().folder == home / "mine"
    assert "redraft models use" in choose().why
    assert choose("embedded").folder == EMBEDDED
    remember(EMBEDDED)
    assert choose().folder == EMBEDDED


def test_a_remembered_path_is_absolute(home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    remember(Path("elsewhere"))
    assert choose().folder == tmp_path / "elsewhere"


def test_a_remembered_model_that_is_gone_is_said(home: Path) -> None:
    (home / "mine").mkdir(parents=True)
    remember(home / "mine")
    (home / "mine").rmdir()
    assert choose().folder == EMBEDDED
    assert "'mine'" in choose().lost
    assert "is gone" in choose().lost


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": 3}', '{"model": ""}', "\x00"])
def test_a_damaged_memory_is_said(home: Path, text: str) -> None:
    home.mkdir()
    (home / "default.json").write_text(text)
    assert choose().folder == EMBEDDED
    assert "default.json cannot be read" in choose().lost

"""Which files may enter a prompt."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model.editing.ignore import IgnoreRules


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".env",
            ".env.local",
            "deploy/.ENV",
            "prod.env",
            "certs/server.pem",
            "server.key",
            "id_rsa",
            "id_ed25519.pub",
        ),
        *(
            ".netrc",
            ".npmrc",
            "secrets.yaml",
            "config/secrets/a.py",
            "credentials.json",
            ".aws/config",
            ".git/config",
        ),
    ],
)
def test_secrets_never_enter(tmp_path: Path, name: str) -> None:
    assert not IgnoreRules().allows(name, tmp_path)
    assert not IgnoreRules(["!" + name, "!**"]).allows(name, tmp_path)
    assert not IgnoreRules().allows(Path("/elsewhere") / name, tmp_path)


@pytest.mark.parametrize("name", ["a.py", "src/environment.py", "keys.py", "docs/secretary.md", "monkey.c"])
def test_other_files_may(tmp_path: Path, name: str) -> None:
    assert IgnoreRules().allows(name, tmp_path)
    assert IgnoreRules().allows(tmp_path / name, tmp_path)
    assert IgnoreRules().allows(Path("/elsewhere") / name, tmp_path)


def test_the_workspaces_own_place_does_not_matter(tmp_path: Path) -> None:
    assert IgnoreRules().allows("a.py", tmp_path / "secrets" / "work")


def test_gitignore_files_work_as_in_git(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", "build/\n*.log\n/top.py\n!keep.log\n")
    write(tmp_path, "src/.gitignore", "!special.log\ngenerated.py\n")
    write(tmp_path, "build/.gitignore", "!*\n")
    rules = IgnoreRules()
    allowed = {
        name: rules.allows(name, tmp_path)
        for name in (
            *("build/a.py", "src/build/a.py", "a.log", "keep.log", "src/special.log", "src/other.log"),
            *("top.py", "src/top.py", "src/generated.py", "generated.py", "src/deep/generated.py"),
        )
    }
    assert [name for name, yes in allowed.items() if yes] == [
        *("keep.log", "src/special.log", "src/top.py", "generated.py"),
    ]


def test_a_gitignore_cannot_take_back_the_defaults(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", "!.env\n")
    assert not IgnoreRules().allows(".env", tmp_path)


def test_the_users_globs_are_added(tmp_path: Path) -> None:
    rules = IgnoreRules(["private/**", "*.sql"])
    assert not rules.allows("private/a.py", tmp_path)
    assert not rules.allows("db/x.sql", tmp_path)
    assert not rules.allows("/elsewhere/x.sql", tmp_path)
    assert rules.allows("a.py", tmp_path)


def test_a_link_is_judged_by_its_target(tmp_path: Path) -> None:
    write(tmp_path, "id_rsa", "x")
    try:
        (tmp_path / "notes.txt").symlink_to(tmp_path / "id_rsa")
    except OSError:
        pytest.skip("this system makes no links")
    assert not IgnoreRules().allows("notes.txt", tmp_path)


def test_an_unreadable_gitignore_is_as_none(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").mkdir()
    assert IgnoreRules().allows("a.py", tmp_path)


def test_a_changed_gitignore_counts_at_once(tmp_path: Path) -> None:
    rules, file = IgnoreRules(), tmp_path / "a.py"
    ignore = tmp_path / ".gitignore"
    assert rules.allows(file, tmp_path)
    ignore.write_text("a.py\n")
    assert not rules.allows(file, tmp_path)
    ignore.write_text("b.py\n")
    os.utime(ignore, ns=(1, 1))  # the same size, and in the same moment for all that a clock tells
    assert rules.allows(file, tmp_path)
    ignore.unlink()
    assert rules.allows(file, tmp_path)

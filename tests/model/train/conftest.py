"""A recipe that trains in seconds, and a corpus in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model.config import ModelConfig
from model.tokenizer import Tokenizer
from model.train.corpus import SourceFile
from model.train.recipes import Phase, Pretraining, Recipe
from model.train.tasks import Limits
from tests.library import library_files


@pytest.fixture(scope="session")
def files() -> list[SourceFile]:
    return [SourceFile("library", p.name, p.read_text("utf-8")) for p in library_files()]


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a folder."""
    folder = tmp_path_factory.mktemp("library")
    for path in library_files():
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="session")
def recipe(tokenizer: Tokenizer) -> Recipe:
    return Recipe(
        name="seconds",
        model=ModelConfig("seconds", tokenizer.size, 32, 2, 2, 1, 16, 64, 512, 160, 16),
        limits=Limits(prefix=48, suffix=16, region=72, middle=24),
        steps=8,
        rows_per_step=2,
        row_length=384,
        stages=(
            Pretraining(
                1.0,
                phases=(
                    Phase("mask", 0.0, 2, (("fill", 0.6), ("fix", 0.2), ("refactor", 0.2))),
                    Phase("edit", 0.5, 2, (("fill", 0.4), ("fix", 0.4), ("refactor", 0.2))),
                ),
            ),
        ),
    )

"""A small tokenizer without special tokens, and a folder with a small random SDAR checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.tokenizer import Tokenizer
from tests.model.families.checkpoints import LLAMA, Case, llama_tensors, write


@pytest.fixture(scope="session")
def plain_tokenizer(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    path = tmp_path_factory.mktemp("text") / "tokenizer.json"
    tokenizer.save(path)
    return path


@pytest.fixture(scope="session")
def gemma_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random DiffusionGemma; not to be changed."""
    from tests.model.families.gemmas import write_gemma  # it takes transformers' models, which take seconds

    return write_gemma(tmp_path_factory.mktemp("gemma") / "model")


DIFFCODER = Case(
    "stable-diffcoder",
    {**LLAMA, "architectures": ["StableDiffcoderForCausalLM"], "model_type": "llama"},
    llama_tensors,
    4,
)


@pytest.fixture
def folder(plain_tokenizer: Path, tmp_path: Path) -> Path:
    """A sound checkpoint in three files, for tests to damage."""
    path = tmp_path / "model"
    path.mkdir()
    write(DIFFCODER, plain_tokenizer, path, shards=3)
    return path

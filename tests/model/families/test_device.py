"""Where a foreign network goes: devices that cannot be used, and memory that does not suffice."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model.backends import device as devices
from model.backends.device import choose_device
from model.checkpoint import ModelError
from model.families.foreign import open_foreign
from model.families.load import check_fits, load_foreign


def test_too_little_memory_says_both_sizes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = open_foreign(folder)
    needed = checkpoint.bytes(4)
    assert needed == 4 * (checkpoint.config.parameters + 2 * 2 * 2 * 16 * 1024)
    monkeypatch.setattr("model.families.load.free_bytes", lambda _: needed)
    check_fits(checkpoint, torch.device("cpu"))
    monkeypatch.setattr("model.families.load.free_bytes", lambda _: needed - 1)
    with pytest.raises(ModelError, match=r"needs \d+\.\d GiB on cpu, where \d+\.\d GiB are free; close what"):
        load_foreign(checkpoint, "cpu")
    check_fits(checkpoint, torch.device("cpu"), torch.bfloat16)
    assert devices.free_bytes(torch.device("cpu")) > 0


@pytest.fixture
def cuda_says(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    def arrange(error: Exception) -> None:
        def fail(*_: Any) -> None:
            raise error

        monkeypatch.setattr(torch.cuda, "init", fail)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    return arrange


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            AssertionError("Torch not compiled with CUDA enabled"),
            "built without CUDA; install one that has it",
        ),
        (
            RuntimeError(
                "The NVIDIA driver on your system is too old (found version 11040).\nPlease update."
            ),
            "too old (found version 11040).; update the NVIDIA driver, or install a PyTorch",
        ),
        (RuntimeError("Found no NVIDIA driver on your system."), "no NVIDIA GPU, or no driver"),
        (RuntimeError("No CUDA GPUs are available"), "no NVIDIA GPU, or no driver"),
        (RuntimeError("CUDA error: invalid device ordinal"), "this machine has 1 GPUs, counted from cuda:0"),
    ],
)
def test_a_gpu_that_cannot_be_used(
    cuda_says: Callable[[Exception], None], error: Exception, said: str
) -> None:
    cuda_says(error)
    with pytest.raises(ModelError, match=re.escape(said)) as caught:
        choose_device("cuda")
    assert "'cuda' cannot be used" in str(caught.value)
    assert "or choose device cpu" in str(caught.value)


def test_an_unknown_device() -> None:
    with pytest.raises(ModelError, match="choose auto, cpu, cuda"):
        choose_device("quantum")
    assert choose_device("cpu").type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_no_gpu_here(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"'cuda' cannot be used.*or choose device cpu"):
        load_foreign(open_foreign(folder), "cuda")
    assert choose_device().type == "cpu"

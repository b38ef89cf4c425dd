"""Where the kernels' tests run: compiled on a GPU, or interpreted on the CPU under TRITON_INTERPRET=1.

Triton decides between the two when a kernel is defined, for the whole process. So that other tests in it are not
interpreted too, tests that take `device` skip in an ordinary run without a GPU; test_interpreter.py runs them in a
process with TRITON_INTERPRET=1, and so can you: `TRITON_INTERPRET=1 pytest tests/kernels/test_norm.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from kernels import dispatch


@pytest.fixture
def device() -> torch.device:
    """Where Triton's kernels run here."""
    gpu = torch.cuda.is_available()
    if os.environ.get("REQUIRE_GPU") == "1":
        if not gpu or not dispatch.HAS_TRITON or dispatch.INTERPRETED:
            pytest.fail(f"REQUIRE_GPU=1, and: GPU {gpu}, {dispatch.HAS_TRITON=}, {dispatch.INTERPRETED=}")
        return torch.device("cuda")
    if not dispatch.HAS_TRITON:
        pytest.skip("Triton is not installed (it exists for Linux)")
    if dispatch.INTERPRETED:
        return torch.device("cpu")
    if not gpu:
        pytest.skip("no GPU; test_interpreter.py runs this test under TRITON_INTERPRET=1")
    return torch.device("cuda")


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels that have been launched: proof that no reference stood in for them."""
    names: list[str] = []
    launch = dispatch.launch

    def record(kernel, grid, *arguments, **meta) -> None:
        names.append(kernel.__name__)
        launch(kernel, grid, *arguments, **meta)

    monkeypatch.setattr(dispatch, "launch", record)
    return names


@pytest.fixture(autouse=True)
def _poison() -> Iterator[None]:
    """What `torch.empty` returns is full of NaN (or the largest integer), outputs and scratch memory alike."""
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)

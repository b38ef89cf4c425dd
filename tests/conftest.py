"""GPU tests: skipped without a GPU, failed without one where REQUIRE_GPU=1."""

import os

import pytest


@pytest.fixture
def cuda():
    """The GPU as a torch device."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        if os.environ.get("REQUIRE_GPU") == "1":
            pytest.fail("REQUIRE_GPU=1, and torch sees no GPU")
        pytest.skip("no GPU")
    return torch.device("cuda")

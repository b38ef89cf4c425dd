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


@pytest.fixture(autouse=True, scope="session")
def no_models_of_this_machine(tmp_path_factory):
    """Whoever runs the tests may have models, and a default among them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDRAFT_MODELS", str(tmp_path_factory.mktemp("models")))
        yield

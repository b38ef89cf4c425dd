"""On a machine without a GPU, the kernels' tests once more, in a process where Triton interprets its kernels.

One process for all of them: each would spend more time on importing PyTorch than most have tests for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kernels import dispatch

HERE = Path(__file__).parent


@pytest.mark.timeout(900)
@pytest.mark.skipif(not dispatch.HAS_TRITON, reason="Triton is not installed (it exists for Linux)")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: the tests run compiled")
@pytest.mark.skipif(dispatch.INTERPRETED, reason="this process interprets already")
def test_the_kernels_are_interpreted() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout.splitlines()[-1], done.stdout

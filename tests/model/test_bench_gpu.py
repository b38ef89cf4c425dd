"""The GPU's benchmark: its arithmetic, that it says when there is no GPU, and a rehearsal on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from model.bench.gpu.shapes import SHAPES, cache_bytes, operations, weight_bytes


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lsp_server", "bench", "gpu", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    done = bench()
    assert done.returncode == 2
    assert "there is no GPU here; --rehearse" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_rehearsal_measures_everything_once() -> None:
    done = bench("--rehearse", "--json", "--weights", "plain", "int4")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found[0]["kind"] == "machine"
    forwards = [each for each in found if each["kind"] == "forward"]
    assert [(f["weights"], f["batch"]) for f in forwards] == [
        ("plain", 1),
        ("plain", 2),
        ("int4", 1),
        ("int4", 2),
    ]
    assert all(f["ratio"] == f["step_ms"] / f["floor_ms"] for f in forwards)
    traces = {each["name"]: each for each in found if each["kind"] == "trace" and each["weights"] == "plain"}
    # Two blocks of 32, 8 tokens a forward: the commit of the first is part of the second's first forward, and the last
    # block is not committed; the plain loop commits both in passes of their own.
    assert traces["ours"]["forwards"] == 8
    assert traces["plain loop, block cache (SDAR)"]["forwards"] == 10
    assert traces["plain loop, no cache (LLaDA)"]["forwards"] == 8
    assert "transformers, autoregressive" in traces
    assert all(each["tokens_per_second"] > 0 for each in traces.values())


def test_the_floor_of_qwen3_8b_is_the_published_size() -> None:
    """15.1 GB must be read in bf16: its 8.2 billion weights without the untied input embedding."""
    config = SHAPES["8b"]
    assert weight_bytes(config, "plain", 2) / 1e9 == pytest.approx(15.1, abs=0.1)
    assert weight_bytes(config, "fp8", 2) / 1e9 == pytest.approx((15.1 - 1.24) / 2 + 1.24, abs=0.1)
    assert cache_bytes(config, 2048, 2) == 2048 * 36 * 2 * 8 * 128 * 2
    # Two operations for each weight and row, and the attention's.
    assert operations(config, 1, 0) == pytest.approx(2 * 7.57e9, rel=0.01)
    assert operations(config, 32, 2048) > 32 * operations(config, 1, 2048)


def test_a_mixture_counts_the_experts_that_a_row_goes_to() -> None:
    config = SHAPES["llada2-mini"]
    assert config.parameters / 1e9 == pytest.approx(16.3, abs=0.5)
    assert operations(config, 1, 0) / 2e9 == pytest.approx(1.4, abs=0.3)
    # One row reads the experts that it goes to; a few rows not nearly all, many rows nearly all of them.
    experts = 3 * 512 * 2048 * 19 * 2
    whole = weight_bytes(config, "plain", 2)
    assert weight_bytes(config, "plain", 2, 1) == whole - (256 - 8) * experts
    assert weight_bytes(config, "plain", 2, 32) - (whole - 256 * experts) == pytest.approx(
        163 * experts, rel=0.01
    )
    assert weight_bytes(config, "plain", 2, 512) == pytest.approx(whole, rel=1e-4)

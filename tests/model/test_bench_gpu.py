"""The GPU's benchmark: its arithmetic, that it says when there is no GPU, and a rehearsal on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.backends.interface import Candidates, Pass
from model.backends.products import Kind
from model.backends.torch import TorchBackend
from model.bench.gpu.commits import Replay, constant, forwards, read_commits
from model.bench.gpu.forward import Machine, measure_forwards
from model.bench.gpu.shapes import (
    SHAPES,
    cache_bytes,
    operations,
    random_backend,
    random_text,
    weight_bytes,
)
from model.config import Experts
from model.experts import Mixture, route
from model.policies import View
from model.tokenizer import FIRST_TEXT_ID, MASK
from tests.model.test_gpu_backend import PLAIN, both, network_of

CPU = torch.device("cpu")


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
    assert {(f["of"], f["experts"]) for f in forwards} == {("step", None)}
    traces = {each["name"]: each for each in found if each["kind"] == "trace" and each["weights"] == "plain"}
    # Two blocks of 32, 8 tokens a forward: the commit of the first is part of the second's first forward, and the last
    # block is not committed; the plain loop commits both in passes of their own.
    assert traces["ours"]["forwards"] == 8
    assert traces["plain loop, block cache (SDAR)"]["forwards"] == 10
    assert traces["plain loop, no cache (LLaDA)"]["forwards"] == 8
    assert traces["ours"]["batch"] == 2
    assert "transformers, autoregressive" in traces
    assert traces["transformers, DiffusionGemma, 2 steps"]["tokens"] == 64
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
    experts = 3 * 512 * 2048 * 19 * 2
    whole = weight_bytes(config, "plain", 2)
    assert weight_bytes(config, "plain", 2, 8) == whole - (256 - 8) * experts
    assert weight_bytes(config, "plain", 2, 100.5) == whole - 155.5 * experts
    assert weight_bytes(config, "plain", 2, 256) == whole


MIXED = replace(PLAIN, layers=3, context=256, experts=Experts(32, 2, 16, shared_ff=16, dense_layers=1))


def test_the_experts_that_a_forward_meets_are_counted() -> None:
    """As the plain network routes the same rows."""
    network = network_of(MIXED, CPU)
    plain, (_, fused) = TorchBackend(network), both(MIXED, CPU)
    text = random_text(MIXED, 24, 0)
    assert text != random_text(MIXED, 24, 1)
    assert text == random_text(MIXED, 24, 0)
    assert min(text) >= FIRST_TEXT_ID
    heard: list[int] = []

    def note(mixture: Mixture, given: tuple[torch.Tensor, ...]) -> None:
        chosen, _ = route(mixture.experts, given[0].flatten(0, 1), mixture.router.weight, mixture.bias)
        heard.append(len(set(chosen.flatten().tolist())))

    for module in network.modules():
        if isinstance(module, Mixture):
            module.register_forward_pre_hook(note)
    met = {}
    for name, canvas in (("text", text), ("masks", [MASK] * 24)):
        heard.clear()
        cache = plain.new_cache(40)
        plain.forward([Pass(cache, (), canvas, range(24), plain.allow([]))])
        held = fused.new_cache(40)
        met[name] = fused.experts_met([Pass(held, (), canvas, range(24), fused.allow([]))])
        assert held.length == 0
        assert met[name] == sum(heard) / 2
        assert len(heard) == 2
    assert met["masks"] is not None
    assert met["masks"] < met["text"] < 32  # rows that are nearly alike go the same way
    assert all(layer.mlp.hear is None for layer in fused._network._layers[1:])  # type: ignore[attr-defined]


def test_the_floor_is_of_the_experts_that_were_met() -> None:
    backend = random_backend(MIXED, CPU, "plain")
    machine = Machine("a processor", "2", 1e9, 1e15)
    found = list(measure_forwards(backend, "plain", machine, [1, 2], [4, 16], [32], 1))
    assert [(f.batch, f.block) for f in found] == [(1, 4), (1, 16), (2, 4), (2, 16)]
    for each in found:
        assert each.experts is not None
        assert 2 < each.experts <= min(32, 2 * each.batch * each.block)
        read = weight_bytes(MIXED, "plain", 4, each.experts) + each.batch * cache_bytes(MIXED, 32, 4)
        assert each.floor_ms == pytest.approx(read / 1e6)
        assert (each.of, each.ratio) == ("step", each.step_ms / each.floor_ms)
    assert found[0].experts < found[3].experts  # type: ignore[operator]
    timed = replace(found[0], kernels_ms=2 * found[0].floor_ms)
    assert (timed.of, timed.ratio) == ("kernels", 2)
    dense = random_backend(PLAIN, CPU, "plain")
    assert [f.experts for f in measure_forwards(dense, "plain", machine, [1], [4], [8], 1)] == [None]


@pytest.mark.parametrize(("kind", "row"), [("int8", 1 + 4 / 2048), ("fp8", 1 + 4 / 2048), ("int4", 67 / 128)])
def test_quantised_experts_are_read_as_they_are_kept(kind: Kind, row: float) -> None:
    """`row` bytes for a weight of the gate and up matrices, and of the down matrix, whose rows have 512."""
    config = SHAPES["llada2-mini"]
    down = row if kind == "int4" else 1 + 4 / 512
    expert = 19 * 512 * 2048 * (2 * row + down)
    whole = weight_bytes(config, kind, 2)
    assert whole - weight_bytes(config, kind, 2, 8) == pytest.approx((256 - 8) * expert)
    kept = whole - 256 * expert  # one table of 16 bits, and 0.3 billion dense weights
    assert 0.7e9 < kept < 1.2e9


def test_a_constant_trace_ends_with_the_rest_of_a_block() -> None:
    assert constant(8, 32).blocks == ((8, 8, 8, 8),)
    assert constant(5, 12).blocks == ((5, 5, 2),)
    assert constant(5, 12).per_forward == 4


def test_a_recorded_trace_is_begun_anew_at_its_end(tmp_path: Path) -> None:
    (path := tmp_path / "trace.json").write_text("[[8, 8, 16], [4, 28]]")
    commits = read_commits(path)
    assert (commits.size, commits.per_forward) == (32, 64 / 5)
    assert forwards(commits, 90) == [(8, 8, 16), (4, 28), (8, 8, 16)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "cannot be read as JSON"),
        ("[]", "a list of blocks"),
        ("[[8, 0]]", "numbers above 0"),
        ("[[8, true]]", "numbers above 0"),
        ("[[8], [4]]", "different lengths: 4, 8"),
    ],
)
def test_a_trace_that_is_none_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (path := tmp_path / "trace.json").write_text(text)
    with pytest.raises(ValueError, match=why):
        read_commits(path)
    done = bench("--rehearse", "--trace", str(path))
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_replay_commits_what_the_trace_says_block_by_block(tmp_path: Path) -> None:
    (path := tmp_path / "trace.json").write_text("[[1, 3], [4]]")
    policy = Replay(read_commits(path))
    logp = np.log(np.array([[0.1], [0.9], [0.5], [0.7]]))
    found = Candidates(np.array([[30], [31], [32], [33]]), logp, np.zeros(4))

    def step(current: list[int], number: int) -> list[int]:
        return policy(View(np.arange(4), np.array(current), found, 4, number)).positions.tolist()

    assert step([MASK] * 4, 0) == [1]
    assert step([MASK, 31, MASK, MASK], 1) == [3, 2, 0]
    assert step([MASK] * 4, 0) == [1, 3, 2, 0]

"""The kernels' benchmark: its arithmetic, a rehearsal on the processor, and what it says without a GPU."""

from __future__ import annotations

import json

import pytest
import torch

from kernels import bench
from kernels.bench import Clock, Row
from kernels.cases import SMALL, Network, cases

CPU = torch.device("cpu")


def test_the_floor_is_the_bytes_over_the_bandwidth() -> None:
    row = Row("head", 1, 4_000_000_000, 9.0, None, 3.0, bandwidth=2e12, difference=0.0)
    assert row.floor_ms == pytest.approx(2.0)
    assert row.ratio == pytest.approx(1.5)


def test_the_bytes_of_a_case_are_those_of_its_formats() -> None:
    found = {case.name: case for case in cases(SMALL, 2, CPU)}
    rows, i, o = 2 * SMALL.block, SMALL.width, 2 * SMALL.hidden
    around = 2 * rows * (i + o)  # the rows and their results, in bfloat16
    assert found["gate and up, bfloat16 (library)"].moved == around + 2 * i * o
    assert found["gate and up, int8"].moved == around + i * o + 4 * o
    assert found["gate and up, FP8"].moved == around + i * o + 4 * o
    assert found["gate and up, int4"].moved == around + i * o // 2 + 3 * o * (i // 128)
    keys = 2 * 2 * SMALL.groups * (SMALL.cache + SMALL.block) * SMALL.head
    assert found["attention"].moved == 2 * keys + 2 * 2 * rows * SMALL.heads * SMALL.head
    assert found["norm"].moved == 2 * (4 * rows * i + i)


def test_the_network_is_one_of_eight_billion() -> None:
    n = Network()
    layer = n.width * n.head * 2 * (n.heads + n.groups) + 3 * n.width * n.hidden
    assert 36 * layer + 2 * n.vocabulary * n.width == pytest.approx(8.2e9, rel=0.01)


def test_a_median_is_of_many_runs() -> None:
    runs: list[int] = []
    assert Clock(CPU, 7).median(lambda: runs.append(1)) >= 0
    assert len(runs) == 7


def test_a_rehearsal_measures_every_operation(capsys) -> None:
    assert bench.main(["--device", "cpu", "--rehearse", "--json", "--batch", "1", "--count", "1"]) == 0
    machine, *rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "rehearsal" in machine["device"]
    assert [row["name"] for row in rows] == [case.name for case in cases(SMALL, 1, CPU)]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["ours_ms"] / row["floor_ms"])
        assert row["difference"] < 0.02, row
        assert row["compiled_ms"] is None


def test_a_table_has_a_line_for_each(capsys) -> None:
    assert (
        bench.main(["--device", "cpu", "--rehearse", "--batch", "1", "2", "--count", "1", "--only", "norm"])
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:]] == ["norm", "norm to FP8"] * 2
    assert all(len(line) == len(lines[1]) for line in lines[2:])


def test_without_a_gpu_it_says_so_in_a_line(monkeypatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.main([]) == 1
    said = capsys.readouterr().err
    assert said.startswith("kernels.bench: there is no GPU to measure on (device cuda)")
    assert said.count("\n") == 1


@pytest.mark.gpu
def test_every_kernel_is_launched_and_agrees(device, launches, capsys) -> None:
    """On a GPU from a graph; interpreted it is a rehearsal, and slow."""
    given = ["--device", device.type, "--rehearse", "--json", "--batch", "1", "--count", "1"]
    assert bench.main(given) == 0
    _, *rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 15
    for row in rows:
        assert row["difference"] < 0.02, row
    assert {"_attend_kernel", "_tile_kernel", "_add_rms_norm_kernel", "_rotate_kernel"} < set(launches)
    assert {"_silu_gate_kernel", "_commit_kernel"} < set(launches)
    assert {"_scaled_linear_kernel", "_int4_linear_kernel"} < set(launches)

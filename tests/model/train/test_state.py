"""A run's state on disk: whole or not at all, and only for the run it belongs to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.train.state import ResumeError, RunState, load_state, save_state

RECIPE: dict[str, object] = {"steps": 3, "model": {"width": 8}}


def state(step: int) -> RunState:
    return RunState(
        dict(RECIPE),
        step,
        1.5,
        99,
        60,
        False,
        {"w": torch.full((64,), float(step))},
        [{"lr": 0.1}],
        [{"step": step}],
    )


def test_a_state_survives(tmp_path: Path) -> None:
    save_state(tmp_path / "state.pt", state(4))
    again = load_state(tmp_path / "state.pt", RECIPE)
    assert torch.equal(again.network["w"], state(4).network["w"])
    assert (again.step, again.seconds, again.tokens, again.history) == (4, 1.5, 99, [{"step": 4}])
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("when", ["half written", "before the rename"])
def test_a_kill_in_the_middle_of_a_save_leaves_the_last_state(tmp_path: Path, when: str) -> None:
    """kill -9 while the file is half on disk, or whole but not yet in its place."""
    program = f"""
import io, os, sys, time, torch
from pathlib import Path
import model.train.state as s

def state(step):
    return s.RunState({RECIPE!r}, step, 0.0, 0, 0, False, {{"w": torch.zeros(5000)}}, [], [])

path = Path(sys.argv[1])
s.save_state(path, state(1))

def hang(*_):
    print("now", flush=True)
    time.sleep(120)

whole = torch.save
def half(value, handle):
    buffer = io.BytesIO()
    whole(value, buffer)
    handle.write(buffer.getvalue()[: buffer.tell() // 2])
    handle.flush()
    hang()

if {when!r} == "half written":
    torch.save = half
else:
    os.fsync = hang
s.save_state(path, state(2))
"""
    path = tmp_path / "state.pt"
    child = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "now\n"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert (tmp_path / "state.tmp").stat().st_size > 0
    assert load_state(path, RECIPE).step == 1
    save_state(path, state(3))  # the leftover is no obstacle
    assert load_state(path, RECIPE).step == 3
    assert not (tmp_path / "state.tmp").exists()


def test_a_full_disk_leaves_the_last_state(tmp_path: Path) -> None:
    """A file that may not grow beyond 20 kB stands for the disk; the message says what to do."""
    program = f"""
import resource, sys, torch
from pathlib import Path
import model.train.state as s

def state(step, size):
    return s.RunState({RECIPE!r}, step, 0.0, 0, 0, False, {{"w": torch.zeros(size)}}, [], [])

path = Path(sys.argv[1])
s.save_state(path, state(1, 100))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    s.save_state(path, state(2, 50_000))
except OSError as error:
    print(error)
"""
    path = tmp_path / "state.pt"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=120
    )
    assert "could not be saved" in done.stdout, done.stderr
    assert "free some disk" in done.stdout
    assert load_state(path, RECIPE).step == 1
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "other content"])
def test_a_damaged_state_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.pt"
    save_state(path, state(1))
    whole = path.read_bytes()
    if damage == "other content":
        torch.save({"something": 1}, path)
    else:
        path.write_bytes(
            {"empty": b"", "truncated": whole[: len(whole) // 2], "garbage": os.urandom(500)}[damage]
        )
    before = path.read_bytes()
    with pytest.raises(ResumeError, match=r"state\.pt is damaged.*move it away to start anew"):
        load_state(path, RECIPE)
    assert path.read_bytes() == before


def test_a_state_with_code_in_it_is_refused(tmp_path: Path) -> None:
    """Pickles can run anything; only plain tensors and values are read."""

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save(Evil(), tmp_path / "state.pt")
    with pytest.raises(ResumeError):
        load_state(tmp_path / "state.pt", RECIPE)
    assert not (tmp_path / "ran").exists()


def test_a_state_of_another_recipe_is_refused(tmp_path: Path) -> None:
    save_state(tmp_path / "state.pt", state(1))
    with pytest.raises(
        ResumeError, match=r"another recipe or corpus \(different: extra, steps\); choose another --out"
    ):
        load_state(tmp_path / "state.pt", {**RECIPE, "steps": 4, "extra": 1})

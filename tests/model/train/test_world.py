"""Several processes train as one: real `torchrun`, FSDP2 and gloo on CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.tokenizer import Tokenizer
from model.train.world import ALONE, load_weights_into, local_state
from model.transformer import Transformer

ROOT = Path(__file__).parents[3]
STEPS = 50
PROGRAM = """
import json, sys, torch
from pathlib import Path
from model.config import ModelConfig
from model.tokenizer import Tokenizer
from model.train import loop, report
from model.train.corpus import SourceFile
from model.train.data import PackedRows
from model.train.loop import Schedule, Trainer
from model.train.recipes import Phase, Pretraining, Recipe
from model.train.stages import Source, stream
from model.train.tasks import Limits
from model.train.world import join, leave

root, out, until, optimizer, steps = *map(Path, sys.argv[1:3]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
loop._has_bf16 = lambda device: False  # sums in another order are compared
report.peak_flops = lambda device: 1e12
torch.set_num_threads(1)
tokenizer = Tokenizer.load(out.parent / "tokenizer.json")
files = [SourceFile("model", p.name, p.read_text("utf-8")) for p in sorted((root / "model").glob("[a-e]*.py"))]
stage = Pretraining(1.0, (Phase("mask", 0.0, 1, (("fill", 1.0),)),))
recipe = Recipe("pair", ModelConfig("pair", tokenizer.size, 32, 2, 2, 1, 16, 64, 512, 160, 16),
                Limits(48, 16, 72, 24), steps, 2, 128, optimizer, stages=(stage,))
world = join(torch.device("cpu"))
trainer = Trainer(recipe, stage, out, Schedule(steps), torch.device("cpu"), world=world)
trainer.resume()
curve = []
def note(step, losses):
    curve.append([losses.causal.item(), losses.diffusion.item()])
    if step == until:
        trainer.save()
        raise KeyboardInterrupt
try:
    trainer.fit(stream(trainer, Source(PackedRows(files, tokenizer, recipe, stage))), note)
except KeyboardInterrupt:
    pass
if world.is_first:
    (out / f"curve-{until}.json").write_text(json.dumps(
        {"curve": curve, "tokens": trainer.tokens, "step": trainer.step}))
leave()
"""


def train(folder: Path, processes: int, optimizer: str, steps: int, until: int = 0) -> dict:
    program = folder.parent / "train.py"
    program.write_text(PROGRAM)
    together = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
    launcher = together if processes > 1 else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    arguments = [str(program), str(ROOT), str(folder), str(until), optimizer, str(steps)]
    done = subprocess.run(
        [sys.executable, *launcher, *arguments], env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / f"curve-{until}.json").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("world")
    tokenizer.save(folder / "tokenizer.json")
    return folder


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_two_processes_train_as_one(place: Path, optimizer: str) -> None:
    """Fifty steps: the losses of two processes that share each batch, and of one with all of it."""
    one, two = (
        train(place / f"{name}-{optimizer}", n, optimizer, STEPS) for name, n in (("one", 1), ("two", 2))
    )
    assert len(one["curve"]) == len(two["curve"]) == STEPS
    assert one["tokens"] == two["tokens"]
    for a, b in zip(one["curve"], two["curve"], strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    assert one["curve"][-1][0] < 0.9 * one["curve"][0][0], "something was learned"


def test_two_processes_resume_where_they_were(place: Path) -> None:
    """Sharded optimiser states, Muon's too, are saved part by part and loaded again; one process may not take
    them over."""
    straight = train(place / "straight", 2, "muon", 8)
    first = train(place / "resumed", 2, "muon", 8, until=4)
    assert (place / "resumed" / "state-1-4.pt").exists()
    rest = train(place / "resumed", 2, "muon", 8)
    whole = first["curve"] + rest["curve"]
    assert len(whole) == 8
    for a, b in zip(whole, straight["curve"], strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    with pytest.raises(AssertionError, match="written by 2 processes, these are 1"):
        train(place / "resumed", 1, "muon", 8)


def test_a_process_alone_shares_with_nobody() -> None:
    assert ALONE.share([1, 2, 3]) == [1, 2, 3]
    assert ALONE.agree(0.3) == 0.3
    assert ALONE.is_first


def test_weights_that_do_not_fit_are_refused(text_config, make_network) -> None:
    network: Transformer = make_network(text_config, 0)
    weights = dict(network.state_dict())
    weights.pop("canvas")
    with pytest.raises(KeyError, match="canvas"):
        load_weights_into(network, weights)


def test_a_plain_optimizer_state_stays_as_it_is() -> None:
    state = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    assert local_state(state) == state

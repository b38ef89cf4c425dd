"""Training runs of a few steps: they repeat, they resume, and they learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.losses import Losses
from model.tokenizer import Tokenizer
from model.train import report
from model.train.corpus import SourceFile
from model.train.data import PackedRows
from model.train.loop import Schedule, Trainer
from model.train.optimizer import learning_rate_scale
from model.train.recipes import Pretraining, Recipe
from model.train.stages import Source, stream
from model.train.state import ResumeError

Curve = list[tuple[float, float]]
OnStep = Callable[[int, Losses], None]


@pytest.fixture(autouse=True)
def _no_rate_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "peak_flops", lambda device: 1e12)


class DiedError(Exception):
    pass


class Lab:
    """Makes trainers of the same recipe and corpus in any folder."""

    def __init__(self, recipe: Recipe, files: list[SourceFile], tokenizer: Tokenizer) -> None:
        self.recipe, self.files, self.tokenizer = recipe, files, tokenizer

    def trainer(
        self, folder: Path, recipe: Recipe | None = None, schedule: Schedule | None = None
    ) -> Trainer:
        recipe = recipe or self.recipe
        schedule = schedule or Schedule(recipe.steps)
        return Trainer(recipe, recipe.stages[0], folder, schedule, torch.device("cpu"))

    def fit(self, trainer: Trainer, on_step: OnStep = lambda step, losses: None) -> None:
        (stage,) = trainer.recipe.stages
        assert isinstance(stage, Pretraining)
        rows = PackedRows(self.files, self.tokenizer, trainer.recipe, stage)
        trainer.fit(stream(trainer, Source(rows)), on_step)


@pytest.fixture(scope="module")
def lab(recipe: Recipe, files: list[SourceFile], tokenizer: Tokenizer) -> Lab:
    return Lab(recipe, files, tokenizer)


def record(curve: Curve):
    return lambda step, losses: curve.append((losses.causal.item(), losses.diffusion.item()))


@pytest.fixture(scope="module")
def whole(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Curve]:
    """One run without interruption."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "peak_flops", lambda device: 1e12)
        curve: Curve = []
        trainer = lab.trainer(tmp_path_factory.mktemp("whole"))
        lab.fit(trainer, record(curve))
    return trainer, curve


def same_weights(a: Trainer, b: Trainer) -> bool:
    one, two = a.network.state_dict(), b.network.state_dict()
    return all(torch.equal(one[k], two[k]) for k in one)


def test_a_run_repeats_bit_for_bit(lab: Lab, whole: tuple[Trainer, Curve], tmp_path: Path) -> None:
    curve: Curve = []
    again = lab.trainer(tmp_path)
    lab.fit(again, record(curve))
    assert curve == whole[1]
    assert same_weights(again, whole[0])
    assert again.tokens == whole[0].tokens


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_an_interrupted_run_continues_bit_for_bit(lab: Lab, tmp_path: Path, optimizer: str) -> None:
    """The process dies two steps after its last save; the lost steps are repeated, not skipped."""
    recipe = replace(lab.recipe, optimizer=optimizer, steps=6, row_length=256)
    curve: Curve = []
    straight = lab.trainer(tmp_path / "straight", recipe)
    lab.fit(straight, record(curve))

    def die(step: int, losses: Losses) -> None:
        if step == 2:
            victim.save()
        if step == 4:
            raise DiedError

    victim = lab.trainer(tmp_path / "victim", recipe)
    with pytest.raises(DiedError):
        lab.fit(victim, die)
    torch.manual_seed(12345)  # whatever else the new process did
    heir = lab.trainer(tmp_path / "victim", recipe)
    assert heir.resume()
    assert heir.step == 2
    rest: Curve = []
    lab.fit(heir, record(rest))
    assert rest == curve[2:]
    assert same_weights(heir, straight)
    assert heir.tokens == straight.tokens


def test_the_loss_falls(lab: Lab, tmp_path: Path) -> None:
    """Both losses, over batches that are never the same."""
    curve: Curve = []
    lab.fit(lab.trainer(tmp_path, replace(lab.recipe, steps=40)), record(curve))
    assert len(curve) == 40
    for part in (0, 1):
        losses = [each[part] for each in curve]
        assert all(0 < value < 20 for value in losses)
        assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_the_log_says_what_was_learned(whole: tuple[Trainer, Curve]) -> None:
    trainer, _ = whole
    assert trainer.history
    last = trainer.history[-1]
    assert last["step"] == 8
    assert {"tokens_per_second", "mfu", "loss_causal", "loss_diffusion", "groups"} <= last.keys()
    assert "clean" in last["groups"]
    assert len((trainer.folder / "log.jsonl").read_text().splitlines()) == len(trainer.history)


def test_a_finished_run_has_nothing_to_resume(lab: Lab, whole: tuple[Trainer, Curve]) -> None:
    again = lab.trainer(whole[0].folder)
    assert again.resume()
    curve: Curve = []
    lab.fit(again, record(curve))
    assert (again.step, curve) == (8, [])


def test_a_new_folder_starts_anew(lab: Lab, tmp_path: Path) -> None:
    assert not lab.trainer(tmp_path).resume()


def test_another_recipe_does_not_continue_and_overwrites_nothing(
    lab: Lab, whole: tuple[Trainer, Curve]
) -> None:
    path = whole[0].state_path
    before = path.read_bytes()
    other = lab.trainer(whole[0].folder, replace(lab.recipe, learning_rate=1e-3, clip=0.5))
    with pytest.raises(ResumeError, match="different: clip, learning_rate"):
        other.resume()
    assert path.read_bytes() == before
    assert other.step == 0


def test_a_damaged_state_stops_the_run_and_is_kept(lab: Lab, tmp_path: Path) -> None:
    trainer = lab.trainer(tmp_path)
    trainer.save()
    damaged = trainer.state_path.read_bytes()[:1000]
    trainer.state_path.write_bytes(damaged)
    with pytest.raises(ResumeError, match="damaged"):
        lab.trainer(tmp_path).resume()
    assert trainer.state_path.read_bytes() == damaged


def test_a_loss_that_is_not_finite_stops_the_run(lab: Lab, tmp_path: Path) -> None:
    trainer = lab.trainer(tmp_path)
    with torch.no_grad():
        trainer.network.table.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="not finite at step 0"):
        lab.fit(trainer)
    assert not trainer.state_path.exists()


def test_a_budget_in_seconds_ends_the_run(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress follows the clock, not the step count."""
    from model.train import loop

    now = iter(range(0, 10_000))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(now)))
    trainer = lab.trainer(tmp_path, schedule=Schedule(10_000, seconds=25.0))
    lab.fit(trainer)
    assert 1 <= trainer.step < 25
    assert trainer.state_path.exists()


def test_a_schedule_counts_steps_or_seconds() -> None:
    assert Schedule(10).progress(5, 1e9) == 0.5
    assert Schedule(10, seconds=8.0).progress(999, 2.0) == 0.25
    assert Schedule(10).progress(11, 0) == 1.0


def test_the_learning_rate_rises_stays_and_falls() -> None:
    scales = [learning_rate_scale(p / 100, warmup=0.1, decay=0.4) for p in range(101)]
    assert scales[0] < 0.01
    assert scales[10:60] == [1.0] * 50
    assert scales[100] == 0
    assert all(0 <= s <= 1 for s in scales)
    assert scales[:11] == sorted(scales[:11])
    assert scales[60:] == sorted(scales[60:], reverse=True)

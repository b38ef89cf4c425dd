"""All stages in their order: what is finished is skipped, what is cut short goes on, weights are handed on."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from model.tokenizer import Tokenizer
from model.train import ablations, report
from model.train.corpus import SourceFile
from model.train.curriculum import Budget, Curriculum, spent
from model.train.data import PackedRows
from model.train.gather import build_corpus
from model.train.loop import Trainer
from model.train.policy_gradient import Answered, Probe, refine
from model.train.recipes import RECIPES, Phase, Pretraining, Recipe, Shares, StepMinimisation, Trajectories
from model.train.stages import Source
from model.train.state import ResumeError, identity, load_state, load_weights
from model.train.validate import heldout_losses

ROOT = Path(__file__).parents[3]
SHARES: Shares = (("fill", 0.5), ("fix", 0.5))
STAGES = (
    Pretraining(0.5, (Phase("autoregressive", 0.0, 0, (("fill", 1.0),)), Phase("mask", 0.4, 2, SHARES))),
    Trajectories(0.25, SHARES, walks=2, gathered=6),
    StepMinimisation(0.25, SHARES, samples=2, prompts=8, updates=1, group=4),
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "peak_flops", lambda device: 1e12)


@pytest.fixture(scope="module")
def staged(recipe: Recipe) -> Recipe:
    return replace(recipe, steps=8, stages=STAGES, rows_per_step=1, row_length=256, questions=4)


def curriculum(
    recipe: Recipe, files: list[SourceFile], tokenizer: Tokenizer, folder: Path, weights=None
) -> Curriculum:
    stage = recipe.stages[0]
    assert isinstance(stage, Pretraining)
    source = Source(PackedRows(files, tokenizer, recipe, stage))
    return Curriculum(recipe, source, source, folder, torch.device("cpu"), "", weights)


@pytest.fixture(scope="module")
def trained(staged: Recipe, files, tokenizer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "peak_flops", lambda device: 1e12)
        curriculum(staged, files, tokenizer, folder).run(Budget(staged.steps))
    return folder


def test_every_stage_is_trained_and_says_what_it_did(staged: Recipe, trained: Path) -> None:
    costs = spent(staged, trained)
    assert [*costs] == ["pretraining", "trajectories", "step-minimisation"]
    assert costs["pretraining"]["steps"] == 4
    for cost in costs.values():  # an update is left out where all samples of a question are equally good
        assert bool(cost["steps"]) == bool(cost["clean"])
        assert cost["clean"] <= cost["positions"]
    assert costs["trajectories"]["steps"] == 2
    orders = [
        json.loads(line) for line in (trained / "trajectories" / "rounds.jsonl").read_text().splitlines()
    ]
    assert orders[0]["kept"] <= orders[0]["examples"] == 6
    assert {"before", "after", "kept"} <= orders[-1].keys()
    rounds = [
        json.loads(line) for line in (trained / "step-minimisation" / "rounds.jsonl").read_text().splitlines()
    ]
    assert rounds[0]["questions"] == 8
    assert {"updates", "kept", "before", "after"} <= rounds[-1].keys()


def test_a_stage_without_a_share_is_left_out(staged: Recipe, files, tokenizer, tmp_path: Path) -> None:
    stages = tuple(replace(s, share=float(isinstance(s, Pretraining))) for s in staged.stages)
    recipe = replace(staged, steps=2, stages=stages)
    state = curriculum(recipe, files, tokenizer, tmp_path).run(Budget(recipe.steps, seconds=3.0))
    assert state.is_finished
    assert [*spent(recipe, tmp_path)] == ["pretraining"]


def test_weights_are_handed_from_stage_to_stage(trained: Path) -> None:
    """Each stage moved the weights, by less than another start would be away."""
    weights = [
        load_weights(trained / s / "state.pt") for s in ("pretraining", "trajectories", "step-minimisation")
    ]
    for before, after in pairwise(weights):
        moved = max(float((before[k] - after[k]).abs().max()) for k in before)
        assert moved < 0.3
    assert any(not torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


@pytest.mark.parametrize(("answers", "is_kept"), [((1, 1, 0), True), ((1, 1, 1), True), ((1, 0, 0), False)])
def test_a_late_stage_that_lost_answers_is_taken_back(
    staged: Recipe, files, tokenizer, trained: Path, tmp_path: Path, answers: tuple[int, ...], is_kept: bool
) -> None:
    """Its state then holds the weights that it started from, so packaging and the next stage do too."""
    old = load_weights(trained / "pretraining" / "state.pt")
    of = curriculum(staged, files, tokenizer, tmp_path)
    trainer = of._trainer(staged.stages[1])
    trainer.start_from({name: weight + 1 for name, weight in old.items()})
    before, after = (Probe(tuple(Answered(bool(a), 2) for a in given)) for given in ((1, 1, 0), answers))
    of._keep_if_no_worse(trainer, old, before, after)
    trainer.save()
    kept = load_weights(tmp_path / "trajectories" / "state.pt")
    assert all(torch.equal(kept[k], old[k] + 1 if is_kept else old[k]) for k in old)
    (line,) = (tmp_path / "trajectories" / "rounds.jsonl").read_text().splitlines()
    assert json.loads(line)["kept"] is is_kept


def digests(folder: Path) -> dict[str, str]:
    return {p.parent.name: sha256(p.read_bytes()).hexdigest() for p in folder.glob("*/state.pt")}


def test_a_finished_run_trains_nothing_more(staged: Recipe, files, tokenizer, trained: Path) -> None:
    before = digests(trained)
    curriculum(staged, files, tokenizer, trained).run(Budget(staged.steps))
    assert before == digests(trained)


def test_a_run_that_was_cut_short_goes_on_in_its_stage(
    staged: Recipe, files, tokenizer, trained: Path, tmp_path: Path, capsys
) -> None:
    """Killed in the second stage: the first is not repeated."""
    for name in ("pretraining", "trajectories"):
        (tmp_path / name).mkdir()
        data = torch.load(trained / name / "state.pt", weights_only=True)
        torch.save({**data, "is_finished": name == "pretraining"}, tmp_path / name / "state.pt")
    # Seconds are no matter here: the second stage has steps left, the first says that it is finished.
    first = curriculum(staged, files, tokenizer, tmp_path)
    assert first._is_finished(staged.stages[0], Budget(staged.steps))
    state = first.run(Budget(staged.steps))
    assert "trajectories: continuing from step 2" in capsys.readouterr().err
    assert state.is_finished
    assert load_state(
        tmp_path / "trajectories" / "state.pt", identity(staged, "trajectories", "")
    ).is_finished


def test_another_recipe_is_refused(staged: Recipe, files, tokenizer, trained: Path) -> None:
    with pytest.raises(ResumeError, match="another recipe"):
        curriculum(replace(staged, alpha=0.7), files, tokenizer, trained).run(Budget(9))


def test_a_run_may_start_from_weights(
    staged: Recipe, files, tokenizer, trained: Path, tmp_path: Path
) -> None:
    """After one warm-up step the weights are still next to those it started from."""
    start = load_weights(trained / "trajectories" / "state.pt")
    state = curriculum(staged.twin(), files, tokenizer, tmp_path, start).run(Budget(1, clean=1))
    assert state.step == 1
    assert max(float((state.network[k] - start[k]).abs().max()) for k in start) < 0.02


def test_a_twin_is_the_same_but_causal() -> None:
    for recipe in (RECIPES["nano"], RECIPES["tiny"], RECIPES["base"]):
        twin = RECIPES[f"{recipe.name}-twin"]
        (stage,) = twin.stages
        assert isinstance(stage, Pretraining)
        assert {phase.copies for phase in stage.phases} == {0}
        assert replace(twin, name=recipe.name, stages=recipe.stages) == recipe


def test_tri_mode_weights_are_not_trained_autoregressively_alone() -> None:
    for name in ("nano", "tiny", "base"):
        first = RECIPES[f"{name}-continued"].stages[0]
        assert isinstance(first, Pretraining)
        assert first.phases[0].since == 0
        assert all(phase.copies for phase in first.phases)
        assert [p.since for p in first.phases] == sorted({p.since for p in first.phases})


def test_updates_that_do_not_help_are_taken_back(
    staged: Recipe, files, tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = staged.stages[2]
    assert isinstance(stage, StepMinimisation)
    source = curriculum(staged, files, tokenizer, tmp_path).source
    trainer = Trainer(staged, stage, tmp_path, Budget(4).of(1), torch.device("cpu"))
    old = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    monkeypatch.setattr(
        "model.train.policy_gradient._update",
        lambda trainer, *_: trainer.network.canvas.data.add_(1.0) is None,
    )
    questions = source.examples(SHARES, 4, np.random.default_rng(0))
    facts = refine(trainer, stage, source, questions, None)
    assert facts["kept"] is False
    assert all(torch.equal(v, old[k]) for k, v in trainer.network.state_dict().items())


def test_heldout_losses_are_of_the_same_rows(staged: Recipe, files, tokenizer, tmp_path: Path) -> None:
    trainer = Trainer(staged, STAGES[0], tmp_path, Budget(1).of(1), torch.device("cpu"))
    one = heldout_losses(trainer, files, tokenizer, rows=3)
    assert one == heldout_losses(trainer, files, tokenizer, rows=3)
    assert {"clean", "fill"} <= {group.partition("/")[0] for group in one}
    assert 5 < one["clean"] < 8  # nothing learned: about the logarithm of the vocabulary's size


def test_ablations_change_one_thing_each() -> None:
    found = ablations.variants()
    plain = found.pop("as it is")
    for name, recipe in found.items():
        against = found["edit tasks from the warm-up on"] if "not aligned" in name else plain
        fields = ("alpha", "aligned", "block_sizes", "stages")
        assert len([f for f in fields if getattr(recipe, f) != getattr(against, f)]) == 1, name


def test_ablations_train_all_on_equally_many_clean_tokens(
    tokenizer, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_corpus(tmp_path / "corpus", [ROOT / "model"], sites=[], stdlib=False)
    (tmp_path / "corpus" / "heldout.jsonl.gz").write_bytes(
        (tmp_path / "corpus" / "train.jsonl.gz").read_bytes()
    )
    small = {"plain": recipe, "twin": recipe.twin()}
    monkeypatch.setattr(ablations, "variants", lambda: small)
    found = ablations.run(tmp_path / "corpus", tmp_path / "out", tokenizer, torch.device("cpu"), 900, "")
    assert set(found) == {"plain", "twin"}
    for each in found.values():
        assert 900 <= each["clean"] < 900 + 2 * 384
        assert each["flops"] > 0
        assert 0 <= each["edits right"] <= 1
    assert found["twin"]["positions"] == found["twin"]["clean"]
    assert found["plain"]["positions"] > found["plain"]["clean"]
    again = ablations.run(tmp_path / "corpus", tmp_path / "out", tokenizer, torch.device("cpu"), 900, "")
    assert {k: v["positions"] for k, v in again.items()} == {k: v["positions"] for k, v in found.items()}

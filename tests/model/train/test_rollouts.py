"""Samples of stage 4: the engine's own decoding, its states, its verdict, and the policy gradient's pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.config import ModelConfig
from model.labels import round_labels
from model.losses import Objective
from model.policies import Threshold
from model.tokenizer import EOR, EOS, FIRST_TEXT_ID, MASK, MID, NEW
from model.train.data import stack_rows
from model.train.loop import Schedule, Trainer
from model.train.policy_gradient import Answered, Probe, without_clean
from model.train.recipes import Recipe
from model.train.rollouts import Rollout, Sampled, advantages, coupled, sample, shortest_right
from model.train.rows import pack
from model.train.tasks import Example

A = FIRST_TEXT_ID
FILL = Example("fill", "line", [A, MID], [A + 1, A + 2, A + 3, A + 4, A + 5], None)
FIX = Example("fix", "slip", [A, NEW], [A + 1, A + 2, A + 3, A + 4], [A + 1, A + 9, A + 3])
RNG = np.random.default_rng(0)


def answers(prompt: list[int]) -> list[int]:
    return FILL.target if prompt[-1] == MID else FIX.target


@pytest.mark.parametrize("example", [FILL, FIX], ids=["fill", "fix"])
def test_a_right_answer_is_found_with_its_states(oracle, small: ModelConfig, example: Example) -> None:
    sureness = (lambda i: 0.4 + 0.55 * ((i * 7) % 5) / 4) if example is FILL else (lambda i: 0.95)
    for each in sample(oracle(small, answers, sureness), [example], 2, 0.0, RNG)[0]:
        assert each.is_right
        assert len(each.states) - 1 <= each.forwards <= len(each.states)
        blocks = each.blocks()
        if example is FILL:
            assert all(b.labels[:6] == [*FILL.target, EOS] for b in blocks)
            assert blocks[0].ids == [MASK] * small.block
        else:
            assert blocks[0].ids == [*(FIX.source or []), EOR]
            assert all(b.labels == round_labels(b.ids, FIX.target) for b in blocks)


def test_a_wrong_answer_is_not_kept(oracle, small: ModelConfig) -> None:
    backend = oracle(small, lambda prompt: [A + 7])
    found = sample(backend, [FILL], 3, 0.0, RNG)
    assert not any(each.is_right for each in found[0])
    assert shortest_right(found) == []


def test_the_shortest_right_answer_is_kept() -> None:
    def rollout(answer: list[int], forwards: int) -> Rollout:
        return Rollout(FILL, [(0, [MASK])], answer, forwards)

    group = [rollout(FILL.target, 5), rollout([A], 1), rollout(FILL.target, 3)]
    assert shortest_right([group, [rollout([A], 1)]]) == [group[2]]


def test_noise_changes_what_is_chosen(oracle, small: ModelConfig) -> None:
    backend = oracle(small, answers, lambda i: 0.3)
    drawn = {tuple(g[1].answer) for g in sample(backend, [FILL] * 20, 2, 3.0, np.random.default_rng(1))}
    assert len(drawn) > 3
    policy = Sampled(Threshold(0.5), 1.0, RNG)
    assert policy.edits_visible is False


def test_advantages_prefer_right_answers_in_few_steps() -> None:
    few = Rollout(FILL, [(0, [MASK] * 4), (0, [A] * 4)], FILL.target, 2)
    many = Rollout(FILL, [(0, [A] * i + [MASK] * (4 - i)) for i in range(5)], FILL.target, 5)
    wrong = Rollout(FILL, [(0, [MASK] * 4)], [A], 1)
    assert few.progress_per_step() > many.progress_per_step()
    a, b, c = advantages([few, many, wrong])
    assert a > b > 0 > c
    assert a + b + c == pytest.approx(0)
    assert advantages([wrong, wrong]) == [0, 0]


@pytest.mark.parametrize("example", [FILL, FIX], ids=["fill", "fix"])
def test_coupled_masks_count_every_token_once(example: Example) -> None:
    rollout = Rollout(example, [], example.target, 3)
    for seed in range(10):
        blocks = coupled(rollout, 0.5, 4, np.random.default_rng(seed))
        counts: dict[int, int] = {}
        for block in blocks:
            for i, (token, weight) in enumerate(zip(block.ids, block.weights, strict=True)):
                assert (weight == 0.5) == (token == MASK)
                counts[block.offset + i] = counts.get(block.offset + i, 0) + (token == MASK)
        wanted = len(example.target) + (example is FILL)  # a fill decides its end too
        assert [counts[i] for i in range(wanted)] == [1] * wanted
        assert sum(counts.values()) == wanted


def test_updates_make_a_rewarded_answer_likelier_and_another_less(recipe: Recipe, tmp_path: Path) -> None:
    """The policy gradient's direction, on a real network."""
    trainer = Trainer(recipe, recipe.stages[0], tmp_path, Schedule(10), torch.device("cpu"))
    trainer.objective = Objective(1.0)
    good, bad = Rollout(FILL, [], FILL.target, 3), Rollout(FILL, [], [A + 9, A + 8], 3)

    def probability(rollout: Rollout) -> float:
        rows, _ = pack([(FILL, coupled(rollout, 1.0, 16, np.random.default_rng(3)))], recipe.row_length)
        batch = stack_rows(rows)
        with torch.no_grad():
            hidden = trainer.hidden(batch)
            logp = (hidden @ trainer.network.table.weight.T).log_softmax(-1)
        asked = (batch.block >= 0) & (batch.weight != 0)
        return float(logp[asked].gather(1, batch.label[asked][:, None]).sum())

    before = probability(good), probability(bad)
    for seed in range(12):
        documents = [
            (FILL, coupled(r, advantage, 16, np.random.default_rng(seed)))
            for r, advantage in ((good, 0.5), (bad, -0.5))
        ]
        rows, _ = pack(documents, recipe.row_length)
        trainer.train_step(without_clean(stack_rows(rows)), 0.3)
    assert probability(good) > before[0]
    assert probability(bad) < before[1] + 1e-3 or probability(good) - before[0] > probability(bad) - before[1]


def test_a_probe_is_better_only_without_loss() -> None:
    def answers(*forwards: int) -> Probe:
        """Zero forwards: wrong."""
        return Probe(tuple(Answered(n > 0, max(1, n)) for n in forwards))

    old = answers(4, 4, 0)
    assert answers(3, 4, 0).is_better_than(old)
    assert answers(4, 4, 9).is_better_than(old), "a new answer may take long"
    assert answers(9, 0, 4).right == old.right
    assert not answers(9, 0, 4).is_better_than(old), "the one that both answer became slower"
    assert answers(3, 0, 9).is_better_than(old)
    assert not answers(1, 0, 0).is_better_than(old)
    assert not answers(4, 4, 0).is_better_than(old)
    assert old.summary() == {"right": 0.6667, "forwards": 4.0}

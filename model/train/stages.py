"""Where each stage's batches come from: corpus rows, walked orders, verified samples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from model.backends.torch import TorchBackend
from model.losses import RowBatch
from model.train.data import PackedRows, batches, stack_rows
from model.train.loop import Trainer, hidden_rows
from model.train.recipes import Pretraining, Shares, StepMinimisation, Trajectories
from model.train.rollouts import mean_forwards, sample, shortest_right
from model.train.rows import NoisyBlock, Row, pack
from model.train.tasks import Example
from model.train.walks import best_orders, walk
from model.train.world import whole_weights
from model.transformer import Transformer

_MOST_STATES = 6
_FRUITLESS = 5


@dataclass(frozen=True)
class Source:
    """What stages draw from: the corpus, and how many processes prepare its rows."""

    rows: PackedRows
    workers: int = 0

    def examples(self, shares: Shares, count: int, rng: np.random.Generator) -> list[Example]:
        """`count` examples of the tasks in `shares`."""
        stream = self.rows.examples(shares, rng)
        return [next(stream) for _ in range(count)]


def stream(trainer: Trainer, source: Source) -> Iterator[RowBatch]:
    """The batches of the trainer's stage, from its current step on."""
    stage = trainer.stage
    if isinstance(stage, Pretraining):
        return batches(
            source.rows,
            trainer.step,
            trainer.recipe.rows_per_step,
            trainer.progress,
            source.workers,
            trainer.world,
        )
    gather = _orders if isinstance(stage, Trajectories) else _rounds
    return gather(trainer, stage, source)  # type: ignore[arg-type]  # each takes its own stage


def _orders(trainer: Trainer, stage: Trajectories, source: Source) -> Iterator[RowBatch]:
    """Walk the orders of some examples with the network as it is, train on the best, and again."""
    block, fruitless = trainer.recipe.model.block, 0
    while fruitless < _FRUITLESS:
        rng = _generator(trainer, fruitless)
        examples = source.examples(stage.shares, stage.gathered, rng)
        network = frozen(trainer.network).network
        found = walk(partial(_scores, trainer, network), examples, stage.walks, block, rng)
        kept = best_orders(found, stage.kept)
        every = [w for group in found if best_orders([group], 1) for w in group]
        note(
            trainer,
            step=trainer.step,
            examples=len(examples),
            orders=len(every),
            kept=len(kept),
            bound=_mean([w.mean_bound for w in every]),
            bound_kept=_mean([w.mean_bound for w in kept]),
            steps=_mean([len(w.states) for w in every]),
            steps_kept=_mean([len(w.states) for w in kept]),
        )
        documents = trainer.world.tell([(w.example, w.states) for w in kept])
        fruitless = 0 if documents else fruitless + 1
        yield from _batches(trainer, documents, rng)


def _rounds(trainer: Trainer, stage: StepMinimisation, source: Source) -> Iterator[RowBatch]:
    """Sample answers with the network as it is, train on the shortest right ones, and again; ends after some
    rounds without a right answer, since a network that solves nothing has nothing to shorten."""
    fruitless = 0
    while fruitless < _FRUITLESS:
        rng = _generator(trainer, fruitless)
        examples = source.examples(stage.shares, stage.prompts, rng)
        found = sample(frozen(trainer.network), examples, stage.samples, 0.3, rng)
        kept = shortest_right(found)
        note(
            trainer,
            step=trainer.step,
            questions=len(examples),
            right_greedy=_mean([g[0].is_right for g in found]),
            right_any=len(kept) / len(examples),
            forwards_greedy_right=mean_forwards([g[0] for g in found if g[0].is_right]),
            forwards_kept=mean_forwards(kept),
        )
        documents = trainer.world.tell([(r.example, r.blocks()) for r in kept])
        fruitless = 0 if documents else fruitless + 1
        yield from _batches(trainer, documents, rng)


def frozen(network: Transformer) -> TorchBackend:
    """A back end over a copy of the weights, so that sampling leaves the trained network as it is."""
    copy = Transformer(network.config)
    copy.load_state_dict(whole_weights(network))
    copy = copy.to(network.table.weight.device)
    return TorchBackend(copy)


def _generator(trainer: Trainer, fruitless: int) -> np.random.Generator:
    """Of a round: a round that taught nothing is followed by one with other examples."""
    return np.random.default_rng((trainer.recipe.seed, len(trainer.stage.name), trainer.step, fruitless))


def _batches(
    trainer: Trainer, documents: Sequence[tuple[Example, list[NoisyBlock]]], rng: np.random.Generator
) -> Iterator[RowBatch]:
    """Documents in random order as batches of the recipe's size; of many states a random few."""
    chosen = [(example, _some(states, rng)) for example, states in documents if states]
    order = [chosen[i] for i in rng.permutation(len(chosen))]
    rows = pack(order, trainer.recipe.row_length)[0] if order else []
    size = trainer.recipe.rows_per_step
    for at in range(0, len(rows), size):
        # Every process trains on its share of the same rows; an empty row has no weight.
        chunk = rows[at : at + size]
        chunk += [Row(trainer.recipe.row_length) for _ in range(-len(chunk) % trainer.world.size)]
        yield stack_rows(trainer.world.share(chunk))


def _some(states: Sequence[NoisyBlock], rng: np.random.Generator) -> list[NoisyBlock]:
    if len(states) <= _MOST_STATES:
        return list(states)
    return [states[i] for i in sorted(rng.choice(len(states), _MOST_STATES, replace=False))]


@torch.no_grad()
def _scores(
    trainer: Trainer, network: Transformer, asked: Sequence[tuple[Example, list[NoisyBlock]]]
) -> list[list[np.ndarray]]:
    """Log-probabilities at every noisy position, computed as training does: rows of clean and noisy tokens."""
    length, size = trainer.recipe.row_length, trainer.recipe.rows_per_step
    rows, places = pack(asked, length)
    found: list[dict[int, np.ndarray]] = []
    for at in range(0, len(rows), size):
        batch = stack_rows(rows[at : at + size]).to(trainer.device)
        noisy = batch.block >= 0
        hidden = hidden_rows(network, batch)[noisy]
        logits = network.logits(hidden)
        logp = logits.float().log_softmax(-1).cpu().numpy()
        row_of = noisy.nonzero()[:, 0].cpu().numpy()
        block_of = batch.block[noisy].cpu().numpy()
        for row in range(len(batch.ids)):
            mine = row_of == row
            found.append({b: logp[mine & (block_of == b)] for b in np.unique(block_of[mine])})
    return [
        [found[row][first + i] for i in range(len(blocks))]
        if row >= 0
        else [_unknown(b, trainer) for b in blocks]
        for (_, blocks), (row, first) in zip(asked, places, strict=True)
    ]


def _unknown(block: NoisyBlock, trainer: Trainer) -> np.ndarray:
    """A document too long for a row is never scored; its walk runs to the end of its steps and is dropped."""
    return np.full((len(block.ids), trainer.recipe.model.vocab), -30.0, np.float32)


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4) if len(values) else 0.0


def note(trainer: Trainer, **facts: Any) -> None:
    """One line about a round in the stage's `rounds.jsonl`."""
    if not trainer.world.is_first:
        return
    with (trainer.folder / "rounds.jsonl").open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(facts) + "\n")

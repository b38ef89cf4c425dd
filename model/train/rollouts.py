"""Stage 4's samples: answers that the network gives itself, with every state on the way, and their verdict.

On-policy step minimisation after Seed Diffusion (arXiv 2508.02193, section 2.3) wants short trajectories whose
end the verifier accepts. The verifier is equality with the reference: a reward for code that merely parses is
earned by an empty answer. Uses the engine's own sampler and decoders, so what is trained is what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from rapidfuzz.distance import Levenshtein

from model.backends.interface import Backend, Candidates
from model.decoders import Job, edit, fill
from model.labels import round_labels
from model.policies import Choice, InsertDelete, Policy, Threshold, View
from model.sampler import Lane, Run
from model.tokenizer import EOR, EOS, MASK
from model.train.rows import NoisyBlock, balanced, state_of
from model.train.tasks import Example
from model.train.walks import fill_state

_WIDTH = 32
_BOLDNESS = (0.9, 0.7, 0.5, 0.35)
"""Thresholds of the samples of one question, in turn: bolder ones take fewer steps."""


@dataclass(frozen=True)
class Sampled:
    """A policy whose candidates are drawn instead of ranked: Gumbel noise of a temperature on their scores."""

    policy: Policy
    temperature: float
    rng: np.random.Generator

    @property
    def edits_visible(self) -> bool:
        return self.policy.edits_visible

    def __call__(self, view: View) -> Choice:
        found = view.candidates
        noisy = found.logp_RK + self.temperature * self.rng.gumbel(size=found.logp_RK.shape)
        order = np.argsort(-noisy, axis=1, kind="stable")
        ids = np.take_along_axis(found.ids_RK, order, 1)
        logp = np.take_along_axis(found.logp_RK, order, 1)
        return self.policy(replace(view, candidates=Candidates(ids, logp, found.entropy_R)))


@dataclass
class Rollout:
    """One answer: `states` are `(offset, canvas)`, the first before any commit; `forwards` its own passes."""

    example: Example
    states: list[tuple[int, list[int]]] = field(default_factory=list)
    answer: list[int] = field(default_factory=list)
    forwards: int = 0

    @property
    def is_right(self) -> bool:
        return self.answer == self.example.target

    @property
    def is_edit(self) -> bool:
        return self.example.source is not None

    def blocks(self) -> list[NoisyBlock]:
        """The states as training states with the reference's labels; those of an edit's end, where all is kept,
        teach when to stop."""
        target = self.example.target
        result: list[NoisyBlock] = []
        for offset, canvas in self.states:
            if self.is_edit:
                labels = round_labels(canvas, target)
                changed = np.array([c != w for c, w in zip(canvas, labels, strict=True)])
                result.append(NoisyBlock(0, canvas, labels, balanced(changed).tolist(), state_of(canvas)))
            else:
                wanted = target[offset : offset + len(canvas)]
                result.append(fill_state(canvas, [*wanted, *[EOS] * (len(canvas) - len(wanted))], offset))
        return [b for b in result if any(b.weights)]

    def progress_per_step(self) -> float:
        """The surrogate of the number of steps: the mean Levenshtein distance between states, as a share of the
        answer's length. Fewer steps change more each; the count itself makes an unstable reward."""
        canvases = [[0] * offset + canvas for offset, canvas in self.states]
        pairs = [(a, b) for i, a in enumerate(canvases) for b in canvases[i + 1 :]]
        if not pairs:
            return 1.0
        size = max(1, *(len(c) for c in canvases))
        return float(np.mean([Levenshtein.distance(a, b) for a, b in pairs])) / size


def sample(
    backend: Backend, examples: Sequence[Example], samples: int, temperature: float, rng: np.random.Generator
) -> list[list[Rollout]]:
    """`samples` answers to each example, the first of them greedy; in batches of 32 sequences."""
    found = [[Rollout(e) for _ in range(samples)] for e in examples]
    for number in range(samples):
        policy = _Boldness(_BOLDNESS[number % len(_BOLDNESS)], temperature if number else 0.0, rng)
        for is_edit in (False, True):
            chosen = [group[number] for group in found if group[number].is_edit == is_edit]
            if chosen:
                _decode(backend, chosen, policy)
    return found


@dataclass(frozen=True)
class _Boldness:
    tau: float
    temperature: float
    rng: np.random.Generator

    def policy(self, is_edit: bool) -> Policy:
        plain: Policy = (
            InsertDelete(tau_mask=0.5 * self.tau, tau_edit=self.tau) if is_edit else Threshold(self.tau)
        )
        return Sampled(plain, self.temperature, self.rng) if self.temperature else plain


def _decode(backend: Backend, rollouts: Sequence[Rollout], boldness: _Boldness) -> None:
    """Run the sampler over one kind of task, noting each lane's states."""
    is_edit = rollouts[0].is_edit
    policy = boldness.policy(is_edit)
    start = partial(edit if is_edit else fill, policy=policy)  # type: ignore[arg-type]  # either's own kind
    jobs = [_job(r.example, backend) for r in rollouts]
    for rollout, job in zip(rollouts, jobs, strict=True):  # the sampler's first step already commits
        rollout.states.append((0, [*job.source, EOR] if job.source is not None else [MASK] * job.block))
    run = Run(backend, jobs, start, width=_WIDTH)
    while run.step():
        _note(run.lanes, rollouts)
    _note(run.lanes, rollouts)
    for lane, rollout in zip(run.lanes, rollouts, strict=True):
        rollout.answer, rollout.forwards = lane.canvas.tokens, lane.forwards


def _job(example: Example, backend: Backend) -> Job:
    # As the engine's: an edit may grow by its own length and a block.
    limit = len(example.source if example.source is not None else example.target) + backend.config.block
    return Job(
        example.prompt, example.source, limit, backend.config.block, end=EOR if example.source else EOS
    )


def _note(lanes: Sequence[Lane], rollouts: Sequence[Rollout]) -> None:
    for lane, rollout in zip(lanes, rollouts, strict=False):
        state = (len(lane.canvas.settled), list(lane.canvas.ids))
        if state[1] and (not rollout.states or rollout.states[-1] != state):
            rollout.states.append(state)


def shortest_right(found: Sequence[Sequence[Rollout]]) -> list[Rollout]:
    """Of each question the accepted answer with the fewest forwards."""
    right = ([r for r in group if r.is_right] for group in found)
    return [min(group, key=lambda r: r.forwards) for group in right if group]


def advantages(group: Sequence[Rollout], steps_weight: float = 0.3) -> list[float]:
    """Rewards of the answers to one question less their mean: 1 for an accepted answer, and for that one a
    bonus for few steps. All 0 where the rewards are equal."""
    rewards = [1.0 + steps_weight * r.progress_per_step() if r.is_right else 0.0 for r in group]
    mean = sum(rewards) / len(rewards)
    return [r - mean for r in rewards]


def coupled(rollout: Rollout, advantage: float, block: int, rng: np.random.Generator) -> list[NoisyBlock]:
    """A random mask over the answer and its complement: each token's probability is estimated once, with about
    half of the others in sight (coupled sampling of DiffuCoder, arXiv 2506.20639)."""
    size = len(rollout.answer)
    if rollout.is_edit:
        pieces = [(0, [*rollout.answer, EOR], size)]
    else:
        padded = [*rollout.answer, *[EOS] * (block - size % block)]
        pieces = [(at, padded[at : at + block], size + 1 - at) for at in range(0, len(padded), block)]
    blocks: list[NoisyBlock] = []
    for offset, tokens, open_ in pieces:
        hidden = rng.random(len(tokens)) < rng.uniform(0.2, 0.8)
        for masked in (hidden, ~hidden):
            masked = masked & (np.arange(len(tokens)) < open_)
            ids = np.where(masked, MASK, tokens)
            weights = np.where(masked, advantage, 0.0)
            if masked.any():
                blocks.append(NoisyBlock(offset, ids.tolist(), list(tokens), weights.tolist(), 2))
    return blocks


def mean_forwards(rollouts: Sequence[Rollout]) -> float:
    return float(np.mean([r.forwards for r in rollouts])) if rollouts else 0.0

"""Small networks and scripted ones. `Oracle` answers what a test wants, so that decoding itself is on trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from model.backends.interface import TOP_K, Backend, Candidates, Pass
from model.backends.torch import TorchBackend
from model.cache import KVCache
from model.config import ModelConfig
from model.labels import round_labels
from model.tokenizer import EOR, EOS, FIRST_TEXT_ID, MID, NEW, Tokenizer
from model.train.vocabulary import train_tokenizer
from model.transformer import Transformer
from tests.library import library_files
from tests.model.engines import Built

hypothesis.settings.register_profile("model", deadline=None)
hypothesis.settings.load_profile("model")

ROOT = Path(__file__).parents[2]
Answer = Callable[[Sequence[int]], Sequence[int]]
"""The prompt's tokens -> the whole answer's, without its end."""


class Oracle(Backend):
    """Knows every answer: `answer(prompt)`. `confidence(i)` is how sure it is of the i-th row asked in all,
    `second(prompt, best)` what it puts in the second place."""

    description = "an oracle"

    def __init__(
        self,
        config: ModelConfig,
        answer: Answer,
        confidence: Callable[[int], float] = lambda i: 0.95,
        second: Callable[[Sequence[int], int], int] = lambda prompt, best: FIRST_TEXT_ID,
    ) -> None:
        self.config, self._answer = config, answer
        self._confidence, self._second = confidence, second
        self.asked = 0
        self.canvases: list[tuple[int, ...]] = []

    def new_cache(self, capacity: int) -> KVCache:
        return KVCache(np.zeros((capacity, 1)))

    def forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        return [self._answered(each) for each in passes]

    def _answered(self, each: Pass) -> Candidates:
        before = each.cache.length
        each.cache.append(each.causal, np.zeros((len(each.causal), 1)))
        known = list(each.cache.tokens)
        if each.canvas:
            self.canvases.append(tuple(each.canvas))
        begins = [i for i, token in enumerate(known) if token in (MID, NEW)]
        if not begins or not len(each.wanted):
            assert not len(each.wanted), "only an answer is ever asked for"
            return _candidates([], [], [], each.allowed_V)
        start = begins[-1] + 1
        prompt = known[:start]
        end = EOS if known[start - 1] == MID else EOR
        target = list(self._answer(prompt))
        wanted: list[int] = []
        for row in each.wanted:
            if row < len(each.causal):
                at = before + row + 1 - start
                wanted.append(target[at] if at < len(target) else end)
            elif each.canvas[-1] == EOR:
                wanted.append(round_labels(each.canvas, target)[row - len(each.causal)])
            else:
                at = before + row - start
                wanted.append(target[at] if at < len(target) else end)
        sure = [self._confidence(self.asked + i) for i in range(len(wanted))]
        self.asked += len(wanted)
        return _candidates(wanted, [self._second(prompt, w) for w in wanted], sure, each.allowed_V)


def _candidates(
    best: Sequence[int], second: Sequence[int], confidence: Sequence[float], allowed_V: np.ndarray
) -> Candidates:
    """The wanted ids first, then the second ones, then any others that are allowed."""
    legal = np.flatnonzero(allowed_V == 0)
    ids, logp = np.zeros((len(best), TOP_K), np.int64), np.zeros((len(best), TOP_K))
    for row, (first, other, p) in enumerate(zip(best, second, confidence, strict=True)):
        assert allowed_V[first] == 0, f"{first} may not be chosen here"
        order = dict.fromkeys([first, other, *legal[:TOP_K].tolist(), *range(TOP_K)])
        ids[row] = sorted(order, key=lambda i: allowed_V[i] != 0)[:TOP_K]  # where few are legal others follow
        logp[row, 0], logp[row, 1:] = np.log(p), np.log((1 - p) / TOP_K + 1e-9)
        logp[row] += allowed_V[ids[row]]
    return Candidates(ids, logp, -logp[:, 0] if len(best) else np.zeros(0))


def random_network(config: ModelConfig, seed: int, sharpness: float = 60.0) -> Transformer:
    """A network whose every weight matters (a fresh one has silent branches) and that is often sure."""
    torch.manual_seed(seed)
    network = Transformer(config)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                weight.normal_(std=weight.shape[1] ** -0.5)
            elif weight.ndim == 1:
                weight.copy_(1 + 0.3 * torch.randn_like(weight))
        network.table.weight.mul_(sharpness)
        network.canvas.normal_(std=1.0)
    return network


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def oracle() -> type[Oracle]:
    return Oracle


@pytest.fixture(scope="session")
def make_network() -> Callable[..., Transformer]:
    return random_network


@pytest.fixture(scope="session")
def small() -> ModelConfig:
    """A network without text: 24 control tokens and 40 others."""
    return ModelConfig("small", 64, 32, 2, 4, 2, 8, 32, context=256, region_limit=64, block=8)


@pytest.fixture(scope="session")
def exact(small: ModelConfig) -> TorchBackend:
    """The reference in float64, where equalities can be proven."""
    return TorchBackend(random_network(small, seed=5).double())


@pytest.fixture(scope="session")
def python_texts() -> list[str]:
    return [p.read_text("utf-8") for p in library_files()]


@pytest.fixture(scope="session")
def tokenizer(python_texts: list[str]) -> Tokenizer:
    return train_tokenizer(python_texts, 700)


@pytest.fixture(scope="session")
def text_config(tokenizer: Tokenizer) -> ModelConfig:
    """The smallest network for real text."""
    return ModelConfig("text", tokenizer.size, 32, 2, 4, 2, 8, 32, context=512, region_limit=160, block=16)


@pytest.fixture
def built(oracle, tokenizer: Tokenizer, text_config: ModelConfig) -> Built:
    return Built(oracle, tokenizer, text_config)

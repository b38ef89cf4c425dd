"""The network and its back end: the same numbers however the work is cut into passes (float64)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.backends.interface import Candidates, Pass, lay_out
from model.backends.torch import TorchBackend
from model.cache import KVCache
from model.config import PRESETS, ModelConfig
from model.tokenizer import EOS, FIRST_TEXT_ID, MASK
from model.transformer import Transformer, masked, state_names

IDS = st.integers(0, 63)


def close(a: Candidates, b: Candidates, bound: float = 1e-9) -> bool:
    return (
        np.array_equal(a.ids_RK, b.ids_RK)
        and float(np.abs(a.logp_RK - b.logp_RK).max(initial=0)) < bound
        and float(np.abs(a.entropy_R - b.entropy_R).max(initial=0)) < bound
    )


def ask(backend: TorchBackend, cache: KVCache, causal: list[int], canvas: list[int]) -> Candidates:
    """Candidates of all rows."""
    n = len(causal) + len(canvas)
    return backend.forward([Pass(cache, causal, canvas, range(n), backend.allow([EOS]))])[0]


@settings(max_examples=40)
@given(st.lists(IDS, min_size=1, max_size=24), st.lists(st.integers(1, 23), max_size=3), st.integers(0, 6))
def test_prefill_in_chunks_equals_prefill_at_once(
    exact: TorchBackend, prompt: list[int], cuts: list[int], canvas: int
) -> None:
    """And so does what a canvas behind it sees, whether it comes with the last chunk or alone."""
    noisy = [MASK, *[FIRST_TEXT_ID] * canvas]
    whole = exact.new_cache(30)
    together = ask(exact, whole, prompt, noisy)
    edges = sorted({0, len(prompt), *(c for c in cuts if c < len(prompt))})
    cache = exact.new_cache(30)
    parts = [ask(exact, cache, prompt[a:b], []) for a, b in pairwise(edges)]
    rows = Candidates(
        *(np.concatenate([getattr(p, f) for p in parts]) for f in ("ids_RK", "logp_RK", "entropy_R"))
    )
    alone = ask(exact, cache, [], noisy)
    n = len(prompt)
    assert close(rows, together.rows(slice(0, n)))
    assert close(alone, together.rows(slice(n, None)))
    assert cache.tokens == whole.tokens == prompt
    assert torch.allclose(cache.filled, whole.filled, atol=1e-9, rtol=0)


def test_a_truncated_cache_equals_one_that_never_was_longer(exact: TorchBackend) -> None:
    cache, fresh = exact.new_cache(20), exact.new_cache(20)
    ask(exact, cache, [30, 31, 32, 33, 34], [])
    cache.truncate(2)
    ask(exact, fresh, [30, 31], [])
    assert close(ask(exact, cache, [40, 41], [MASK, 42]), ask(exact, fresh, [40, 41], [MASK, 42]))


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.lists(IDS, max_size=12), st.lists(IDS, max_size=6), st.lists(IDS, max_size=6)).filter(
            lambda p: p[1] or p[2]
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_batch_with_padding_equals_its_sequences_alone(
    exact: TorchBackend, parts: list[tuple[list[int], list[int], list[int]]]
) -> None:
    """Sequences of different past, causal and canvas lengths never see each other or the padding."""
    allowed = exact.allow([EOS])

    def passes() -> list[Pass]:
        made = []
        for past, causal, canvas in parts:
            cache = exact.new_cache(24)
            if past:
                ask(exact, cache, past, [])
            made.append(Pass(cache, causal, canvas, range(len(causal) + len(canvas)), allowed))
        return made

    batch = passes()
    together = exact.forward(batch)
    for each, mate, found in zip(passes(), batch, together, strict=True):
        (alone,) = exact.forward([each])
        assert close(alone, found)
        assert each.cache.tokens == mate.cache.tokens
        assert torch.allclose(each.cache.filled, mate.cache.filled, atol=1e-9, rtol=0)


def test_a_causal_row_sees_nothing_after_it_and_a_canvas_row_all_of_its_canvas(exact: TorchBackend) -> None:
    def hidden(ids: list[int], causal: int) -> torch.Tensor:
        layout = lay_out([Pass(exact.new_cache(20), ids[:causal], ids[causal:], (), np.zeros(0))])
        arrays = (torch.from_numpy(a) for a in (layout.ids_BT, layout.positions_BT, layout.is_canvas_BT))
        return exact.network(*arrays, masked(torch.from_numpy(layout.sees_BTS)))[0][0]

    base, ids = hidden([30, 31, 32, 33, 34, 35], 4), [30, 31, 32, 33, 34, 35]
    for changed in range(6):
        other = hidden([*ids[:changed], 50, *ids[changed + 1 :]], 4)
        moved = (base - other).abs().amax(dim=1) > 1e-12
        expected = [row >= changed if row < 4 else True for row in range(6)]
        if changed >= 4:
            expected = [False] * 4 + [True] * 2
        assert moved.tolist() == expected


def test_a_canvas_token_is_not_a_clean_one(exact: TorchBackend) -> None:
    """The canvas embedding tells them apart: same input otherwise, at the last position."""
    clean = ask(exact, exact.new_cache(4), [30, 31], []).rows(slice(1, None))
    noisy = ask(exact, exact.new_cache(4), [30], [31]).rows(slice(1, None))
    assert not close(clean, noisy, 1e-3)


def test_forbidden_ids_are_never_candidates_while_allowed_ones_remain(exact: TorchBackend) -> None:
    found = ask(exact, exact.new_cache(20), [30, 31, 32], [MASK] * 8)
    assert set(found.ids_RK.ravel().tolist()) <= {EOS, *range(FIRST_TEXT_ID, 64)}
    assert MASK not in found.ids_RK


def test_candidates_are_the_softmax_over_allowed_ids(exact: TorchBackend) -> None:
    cache = exact.new_cache(4)
    found = ask(exact, cache, [30, 31], [])
    ids = torch.tensor([[30, 31]])
    causal = torch.ones(2, 2, dtype=torch.bool).tril()[None]
    hidden, _ = exact.network(ids, torch.arange(2)[None], ids < 0, masked(causal))
    logits = exact.network.logits(hidden[0])
    legal = [EOS, *range(FIRST_TEXT_ID, 64)]
    p = torch.softmax(logits[:, legal], dim=-1)
    order = p.argsort(dim=-1, descending=True)[:, :8]
    assert found.ids_RK.tolist() == torch.tensor(legal)[order].tolist()
    assert np.allclose(np.exp(found.logp_RK), p.gather(1, order).numpy(), atol=1e-12)
    assert np.allclose(found.entropy_R, -(p * p.log()).sum(-1).numpy(), atol=1e-9)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_parameters_are_counted_right(name: str) -> None:
    config = PRESETS[name]
    shapes = state_names(config).values()
    assert config.parameters == sum(int(np.prod(s)) for s in shapes)


def test_the_presets_keep_their_promised_sizes() -> None:
    assert PRESETS["nano"].parameters < 500_000
    assert PRESETS["tiny"].parameters < 2_500_000
    assert PRESETS["base"].parameters < 37_000_000


def test_a_config_survives_json_and_refuses_what_it_does_not_know(small: ModelConfig) -> None:
    assert ModelConfig.from_json(small.as_json()) == small
    with pytest.raises(ValueError, match=r"unknown fields.*colour"):
        ModelConfig.from_json({**small.as_json(), "colour": 1})
    with pytest.raises(ValueError, match=r"incomplete.*width"):
        ModelConfig.from_json({k: v for k, v in small.as_json().items() if k != "width"})
    with pytest.raises(ValueError, match="3 heads cannot share 2"):
        ModelConfig.from_json({**small.as_json(), "heads": 3})
    with pytest.raises(ValueError, match="even head size"):
        ModelConfig.from_json({**small.as_json(), "head_size": 7})


def test_a_fresh_network_starts_as_its_embedding(
    small: ModelConfig, make_network: Callable[..., Transformer]
) -> None:
    """Residual branches start at zero; the network that the other tests use has none that are silent."""
    ids = torch.tensor([[30, 31, 32]])
    for network, silent in ((Transformer(small), True), (make_network(small, 3), False)):
        rows, _ = network(ids, torch.arange(3)[None], ids < 0, masked(torch.ones(1, 3, 3, dtype=torch.bool)))
        embedded = network.norm(torch.nn.functional.rms_norm(network.table(ids), (32,), None, 1e-6))
        assert torch.allclose(rows, embedded, atol=1e-5) is silent

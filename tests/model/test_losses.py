"""The two-stream mask: what it says, that nothing leaks, and that training sees what decoding sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import losses
from model.backends.interface import Pass
from model.backends.torch import TorchBackend
from model.losses import Objective, RowBatch, dense_mask, tri_mode_loss
from model.tokenizer import EOR, EOS, MASK, MID, NEW, OLD
from model.train.attention import two_stream_attention
from model.train.data import stack
from model.train.rows import GROUPS, NoisyBlock, Row, noisy_blocks
from model.train.tasks import Example
from model.transformer import masked

FIELDS = ("ids", "document", "position", "block", "start", "label", "weight", "group")
TEXT = st.lists(st.integers(24, 63), min_size=1, max_size=10)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    prompt, target = draw(TEXT), draw(TEXT)
    if draw(st.booleans()):
        return Example("fill", "line", [*prompt, MID], target, None)
    source = draw(TEXT)
    return Example("fix", "slip", [*prompt, OLD, *source, NEW], target, source)


@st.composite
def packed(draw: st.DrawFn, length: int = 150) -> tuple[Row, list[tuple[Example, list[NoisyBlock]]]]:
    row, rng, parts = Row(length), np.random.default_rng(draw(st.integers(0, 2**32))), []
    for example in draw(st.lists(examples(), min_size=1, max_size=3)):
        blocks = noisy_blocks(example, 1 + int(rng.integers(2)), rng)
        if row.add(example, blocks):
            parts.append((example, blocks))
    return row, parts


def batch_of(*rows: Row) -> RowBatch:
    return stack([{name: getattr(row, name) for name in FIELDS} for row in rows])


def hidden_rows(backend: TorchBackend, batch: RowBatch) -> torch.Tensor:
    return backend.network(batch.ids, batch.position, batch.block >= 0, masked(dense_mask(batch)))[0]


def sees(row: Row, q: int, k: int) -> bool:
    """The rule in words: nobody sees another document; clean rows see clean ones up to themselves; noisy rows
    their own block, and clean tokens of positions before the block."""
    if q == k:
        return True
    if row.document[q] < 0 or row.document[q] != row.document[k]:
        return False
    if row.block[q] < 0:
        return bool(row.block[k] < 0 and row.position[k] <= row.position[q])
    if row.block[k] >= 0:
        return bool(row.block[q] == row.block[k])
    first = min(row.position[i] for i in range(row.length) if row.block[i] == row.block[q])
    return bool(row.position[k] < first)


@settings(max_examples=20)
@given(packed(), packed())
def test_attention_document_by_document_is_the_masks(a, b) -> None:
    """What training uses on a CPU, with its gradients, wherever a row belongs to a document."""
    batch, generator = batch_of(a[0], b[0]), torch.Generator().manual_seed(0)
    shapes = ((2, 4, 150, 8), (2, 2, 150, 8), (2, 2, 150, 8))
    heads = [torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes]
    inside = (batch.document >= 0)[:, None, :, None]
    results = []
    for attend in (two_stream_attention(batch), masked(dense_mask(batch))):
        out = attend(*heads) * inside
        results.append((out, *torch.autograd.grad(out.square().sum(), heads)))
    for found, wanted in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-10, rtol=1e-10)


@settings(max_examples=30)
@given(packed(length=90), packed(length=90))
def test_the_mask_is_the_rule(a, b) -> None:
    mask = dense_mask(batch_of(a[0], b[0]))
    for found, (row, _) in zip(mask, (a, b), strict=True):
        expected = [[sees(row, q, k) for k in range(row.length)] for q in range(row.length)]
        assert found.tolist() == expected


@settings(max_examples=20)
@given(packed(), st.data())
def test_no_token_leaks_into_a_row_that_must_not_know_it(
    exact: TorchBackend, case, data: st.DataObject
) -> None:
    """Change one token: only rows that may depend on it move. In particular a clean token at or after a block's
    start never reaches the block, nor does another document or another block."""
    row, parts = case
    if not parts:
        return
    at = data.draw(st.integers(0, row.used - 1))
    batch = batch_of(row)
    before = hidden_rows(exact, batch)[0]
    batch.ids[0, at] = data.draw(st.integers(24, 63).filter(lambda i: i != batch.ids[0, at]))
    moved = (hidden_rows(exact, batch)[0] - before).abs().amax(dim=1) > 1e-12
    for q in range(row.used):
        same_document = row.document[q] == row.document[at]
        if row.block[at] >= 0:  # a noisy token: its own block only
            may = row.block[q] == row.block[at]
        elif row.block[q] < 0:
            may = same_document and row.position[at] <= row.position[q]
        else:
            may = same_document and row.position[at] < row.start[q]
        assert bool(moved[q]) <= bool(may), (q, at)
    assert moved[at]


@settings(max_examples=30)
@given(packed())
def test_training_and_decoding_see_the_same(exact: TorchBackend, case) -> None:
    """A noisy block's rows in the packed batch equal a canvas behind a cache of the clean tokens before it; clean
    rows equal the causal pass that writes the cache."""
    row, parts = case
    hidden = hidden_rows(exact, batch_of(row))[0]
    allowed = exact.allow([EOS, EOR, *range(4, 10)])

    def expect(rows: slice, cache_tokens: list[int], causal: list[int], canvas: list[int]) -> None:
        cache = exact.new_cache(200)
        if cache_tokens:
            exact.forward([Pass(cache, cache_tokens, (), (), allowed)])
        n = len(causal) + len(canvas)
        (found,) = exact.forward([Pass(cache, causal, canvas, range(n), allowed)])
        here = exact._candidates(hidden[rows], Pass(cache, (), (), range(n), allowed))
        assert np.array_equal(found.ids_RK, here.ids_RK)
        assert np.abs(found.logp_RK - here.logp_RK).max() < 1e-9
        assert np.abs(found.entropy_R - here.entropy_R).max() < 1e-9

    at = 0
    for example, blocks in parts:
        clean = [*example.prompt, *example.target, EOS if example.source is None else EOR]
        expect(slice(at, at + len(clean)), [], clean, [])
        at += len(clean)
        for block in blocks:
            known = [*example.prompt, *example.target[: block.offset]]
            expect(slice(at, at + len(block.ids)), known, [], block.ids)
            at += len(block.ids)
    assert at == row.used


@settings(max_examples=30)
@given(packed())
def test_the_loss_is_the_weighted_means(case) -> None:
    """L = L_AR + α L_diff, each a weighted mean of cross-entropies; report groups get plain sums."""
    row, parts = case
    if not parts:
        return
    torch.manual_seed(0)
    hidden, table = torch.randn(1, row.length, 16), torch.randn(64, 16)
    found = tri_mode_loss(hidden, table, batch_of(row), Objective(alpha=0.3), groups=len(GROUPS))
    logp = torch.log_softmax((hidden[0] @ table.T).double(), dim=-1)
    sums = {True: [0.0, 0.0], False: [0.0, 0.0]}
    counts = [0] * len(GROUPS)
    for i in range(row.length):
        if row.weight[i] > 0:
            part = sums[bool(row.block[i] >= 0)]
            part[0] -= float(row.weight[i]) * float(logp[i, row.label[i]])
            part[1] += float(row.weight[i])
            counts[row.group[i]] += 1
    causal, diffusion = (sums[noisy][0] / max(1e-6, sums[noisy][1]) for noisy in (False, True))
    assert found.causal.item() == pytest.approx(causal, rel=1e-4)
    assert found.diffusion.item() == pytest.approx(diffusion, rel=1e-4)
    assert found.total.item() == pytest.approx(causal + 0.3 * diffusion, rel=1e-4)
    assert found.group_count.tolist() == counts


def test_a_mask_is_never_a_label_of_a_clean_token_stream() -> None:
    """A fill's clean stream holds the target and one end; its noisy rows sit where decoding will put them."""
    example = Example("fill", "line", [30, MID], [31, 32, 33], None)
    row = Row(40)
    block = NoisyBlock(0, [MASK, 32, MASK, MASK], [31, 32, 33, EOS], [1.0, 0.0, 1.0, 1.0], 0)
    assert row.add(example, [block])
    assert row.ids[:10].tolist() == [30, MID, 31, 32, 33, EOS, MASK, 32, MASK, MASK]
    assert row.position[:10].tolist() == [0, 1, 2, 3, 4, 5, 2, 3, 4, 5]
    assert row.label[1:5].tolist() == [31, 32, 33, EOS]
    assert row.weight[:10].tolist() == [0, 1, 1, 1, 1, 0, 1, 0, 1, 1]
    assert (row.document[10:] == -1).all()
    assert not row.weight[10:].any()


def one_row() -> tuple[RowBatch, torch.Tensor, torch.Tensor]:
    example = Example("fill", "line", [30, MID], [31, 32, 33], None)
    row = Row(12)
    assert row.add(
        example, [NoisyBlock(0, [MASK, 32, MASK, MASK], [31, 32, 33, EOS], [1.0, 0.0, 1.0, 1.0], 0)]
    )
    torch.manual_seed(0)
    return batch_of(row), torch.randn(1, 12, 16), torch.randn(64, 16)


def test_chunks_of_the_vocabulary_change_neither_loss_nor_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, hidden, table = one_row()
    found = []
    for chunk in (2, 8192):
        monkeypatch.setattr(losses, "_CHUNK", chunk)
        leaf = hidden.clone().requires_grad_(True)
        total = tri_mode_loss(leaf, table, batch, Objective(0.5, 0.2), len(GROUPS)).total
        total.backward()
        found.append((total.item(), leaf.grad))
    assert found[0][0] == pytest.approx(found[1][0])
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)


def test_a_negative_weight_pushes_its_label_down() -> None:
    batch, hidden, table = one_row()
    noisy = batch.block >= 0
    batch = replace(batch, weight=torch.where(noisy & (batch.weight != 0), -1.0, 0.0))
    leaf = hidden.clone().requires_grad_(True)

    def probability(rows: torch.Tensor) -> torch.Tensor:
        logp = (rows @ table.T).log_softmax(-1)[0]
        return logp[torch.arange(12), batch.label[0].clamp(min=0)][noisy[0] & (batch.weight[0] != 0)]

    tri_mode_loss(leaf, table, batch, Objective(), len(GROUPS)).total.backward()
    assert leaf.grad is not None
    after = probability((leaf - 0.5 * leaf.grad).detach())
    assert (after < probability(hidden)).all()


def test_certainty_sharpens_what_is_right_and_leaves_the_rest() -> None:
    """Only noisy positions whose best id is the label count."""
    batch, hidden, table = one_row()
    rows = (batch.block[0] >= 0) & (batch.weight[0] > 0)
    right = int(rows.nonzero()[0, 0])
    hidden[0, right] = 2 * table[batch.label[0, right]] / table[batch.label[0, right]].norm()
    wrong = int(rows.nonzero()[1, 0])
    hidden[0, wrong] = -hidden[0, right]

    def gradient(certainty: float) -> torch.Tensor:
        leaf = hidden.clone().requires_grad_(True)
        tri_mode_loss(leaf, table, batch, Objective(0.0, certainty), len(GROUPS)).total.backward()
        assert leaf.grad is not None
        return leaf.grad[0]

    difference = (gradient(1.0) - gradient(0.0)).abs().sum(-1)
    assert difference[right] > 1e-4
    assert difference[wrong] == 0


def test_denominators_are_of_all_processes() -> None:
    """Two shards with the sums of both as denominators add up to the loss of the whole."""
    batch, hidden, table = one_row()
    sums: list[torch.Tensor] = []

    def noted(counts: torch.Tensor) -> torch.Tensor:
        sums.append(counts)
        return counts

    whole = tri_mode_loss(hidden, table, batch, Objective(0.7), len(GROUPS), noted).total
    parts = [
        tri_mode_loss(
            hidden,
            table,
            replace(batch, weight=batch.weight * keep),
            Objective(0.7),
            len(GROUPS),
            lambda _: sums[0],
        ).total
        for keep in (batch.position < 3, batch.position >= 3)
    ]
    assert sum(p.item() for p in parts) == pytest.approx(whole.item(), rel=1e-5)

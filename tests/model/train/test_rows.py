"""From files to packed rows: what is drawn is legal, fits, and depends on its number alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.labels import apply_labels, decode, labels, round_labels
from model.tokenizer import (
    DEL,
    DIAG,
    DOC,
    EOR,
    EOS,
    FIRST_TEXT_ID,
    INSERTIONS,
    INSTR,
    MASK,
    MID,
    NEW,
    OLD,
    PAD,
    PRE,
    REST,
    SUF,
    Tokenizer,
)
from model.train.corpus import SourceFile
from model.train.data import PackedRows, batches, top_level_piece
from model.train.recipes import RECIPES, Pretraining, Recipe
from model.train.rows import GROUPS, LEVELS, TASK_GROUP, Row, noisy_blocks
from model.train.scenery import Scenery
from model.train.tasks import Drawer, Example, TaskName

SEEDS = st.integers(0, 2**32)
TEXT = st.lists(st.integers(FIRST_TEXT_ID, FIRST_TEXT_ID + 12), min_size=1, max_size=50)


def first_stage(recipe: Recipe) -> Pretraining:
    first = recipe.stages[0]
    assert isinstance(first, Pretraining)
    return first


def drawn(
    tokenizer: Tokenizer, recipe: Recipe, files: list[SourceFile], task: TaskName, seed: int
) -> Example | None:
    rng = np.random.default_rng(seed)
    return Drawer(tokenizer, recipe.limits).draw(
        task, Scenery(files[seed % len(files)].text, files[0].text), rng
    )


@settings(max_examples=25)
@given(SEEDS)
@pytest.mark.parametrize("task", TASK_GROUP)
def test_examples_are_written_as_the_engine_writes_them(
    tokenizer: Tokenizer, recipe: Recipe, files: list[SourceFile], task: TaskName, seed: int
) -> None:
    """The prompt's controls come in their order, the region stands in it, and budgets hold."""
    example = drawn(tokenizer, recipe, files, task, seed)
    if example is None:
        return
    limits, prompt = recipe.limits, example.prompt
    assert example.task == task
    controls = [t for t in prompt if t < FIRST_TEXT_ID]
    assert controls[0] == DOC == prompt[0]
    asked = {"fill": [REST, MID], "fix": [DIAG, OLD, NEW], "refactor": [INSTR, OLD, NEW]}[task]
    assert controls[-len(asked) - 2 :] == [SUF, PRE, *asked]
    assert prompt[-1] == asked[-1]
    assert all(t >= FIRST_TEXT_ID for t in example.target)
    if example.source is None:
        assert 0 < len(example.target) <= limits.middle
    else:
        assert prompt[prompt.index(OLD) + 1 : -1] == example.source
        assert max(len(example.source), len(example.target)) <= limits.region
        if example.kind == "intact":
            assert example.source == example.target
        assert decode(labels(example.source, example.target), example.source) == example.target
    assert prompt.index(PRE) - prompt.index(SUF) - 1 <= limits.suffix


@settings(max_examples=20)
@given(SEEDS)
def test_a_fill_is_a_piece_of_its_file(
    tokenizer: Tokenizer, recipe: Recipe, files: list[SourceFile], seed: int
) -> None:
    """Prefix, middle and rest of the line follow each other in the file, and the suffix comes after them."""
    example = drawn(tokenizer, recipe, files, "fill", seed)
    if example is None:
        return
    text, prompt = files[seed % len(files)].text, example.prompt
    suffix = tokenizer.decode(prompt[prompt.index(SUF) + 1 : prompt.index(PRE)])
    prefix = tokenizer.decode(prompt[prompt.index(PRE) + 1 : prompt.index(REST)])
    rest = tokenizer.decode(prompt[prompt.index(REST) + 1 : -1])
    line = prefix + tokenizer.decode(example.target) + rest
    assert "\ufffd" in line or line in text
    assert "\ufffd" in suffix or suffix in text[text.index(line) + len(line) :] or "\ufffd" in line


@given(SEEDS, TEXT, st.booleans(), st.floats(1e-3, 1))
def test_fill_blocks_tile_the_answer_and_its_end(
    seed: int, target: list[int], many: bool, u_max: float
) -> None:
    """Blocks follow each other from the answer's start; each begins before the end, labels are the clean tokens,
    only masks weigh, and surplus ends a tenth of the first."""
    example = Example("fill", "line", [DOC, MID], target, None)
    blocks = noisy_blocks(example, 1 + many, np.random.default_rng(seed), u_max)
    rounds = sum(b.offset == 0 for b in blocks)
    assert rounds == 1 + many
    at = 0
    for block in blocks:
        at = 0 if block.offset == 0 else at
        assert block.offset == at <= len(target)
        at += len(block.ids)
        clean = [*target, *[EOS] * 200][block.offset : at]
        assert block.labels == clean
        for i, (noisy, label, weight) in enumerate(zip(block.ids, clean, block.weights, strict=True)):
            assert noisy in (MASK, label)
            assert (weight > 0) == (noisy == MASK)
            if weight and u_max < 1:
                assert weight == pytest.approx(0.1 if block.offset + i > len(target) else 1.0)
        assert MASK in block.ids
        assert len(block.ids) <= 32
        assert 0 <= block.level < LEVELS
    assert at > len(target)


@given(SEEDS, TEXT, TEXT, st.integers(1, 4))
def test_edit_blocks_are_states_on_the_way(
    seed: int, source: list[int], target: list[int], copies: int
) -> None:
    """The first is the region as it stands; each has the labels of one round, all legal, that still lead to the
    target; changed and kept positions weigh the same in sum."""
    blocks = noisy_blocks(
        Example("fix", "slip", [DOC, NEW], target, source), copies, np.random.default_rng(seed)
    )
    assert len(blocks) == copies
    assert blocks[0].ids == [*source, EOR]
    for block in blocks:
        assert block.offset == 0
        assert block.ids[-1] == EOR
        assert block.labels == round_labels(block.ids, target)
        after = apply_labels(block.labels, block.ids)
        assert decode(labels(after[:-1], target), after[:-1]) == target
        for token, label in zip(block.ids, block.labels, strict=True):
            assert label in {DEL, EOR, *INSERTIONS} or label >= FIRST_TEXT_ID
            assert (label == EOR) <= (token == EOR)
            assert not (token == MASK and label in INSERTIONS)
        changed = np.array(block.ids) != np.array(block.labels)
        weights = np.array(block.weights)
        assert (weights > 0).all()
        if changed.any() and not changed.all():
            assert weights[changed].sum() == pytest.approx(weights[~changed].sum(), rel=1e-5)


@settings(max_examples=50)
@given(SEEDS, st.lists(st.tuples(TEXT, TEXT, TEXT, st.booleans()), max_size=8), st.integers(20, 500))
def test_packing_never_exceeds_and_stays_consistent(seed: int, parts, length: int) -> None:
    """Documents are consecutive, blocks lie in one document behind its clean tokens, and only answers' blocks
    and the text of clean tokens weigh."""
    row, rng = Row(length), np.random.default_rng(seed)
    added: list[tuple[Example, int]] = []
    for prompt, target, source, is_fill in parts:
        tail = [MID] if is_fill else [OLD, *source, NEW]
        example = Example(
            "fill" if is_fill else "fix", "x", [DOC, *prompt, *tail], target, None if is_fill else source
        )
        blocks = noisy_blocks(example, 2, rng)
        size = len(example.prompt) + len(target) + 1 + sum(len(b.ids) for b in blocks)
        before = row.used
        fits = row.add(example, blocks)
        assert fits == (before + size <= length)
        assert row.used == before + size * fits
        added += [(example, before)] * fits
    assert row.documents == len(added)
    rest = slice(row.used, None)
    assert (row.document[rest] == -1).all()
    assert not row.weight[rest].any()
    assert (row.ids[rest] == PAD).all()
    for number, (example, begin) in enumerate(added):
        mine = np.flatnonzero(row.document == number)
        assert mine[0] == begin
        assert (np.diff(mine) == 1).all()
        n = len(example.prompt) + len(example.target) + 1
        clean, noisy = mine[:n], mine[n:]
        assert (row.block[clean] == -1).all()
        assert (row.group[clean] == 0).all()
        assert row.position[clean].tolist() == list(range(n))
        assert (row.block[noisy] >= 0).all()
        assert (row.group[noisy] >= TASK_GROUP[example.task]).all()
        assert (row.group[noisy] < TASK_GROUP[example.task] + LEVELS).all()
        for block in np.unique(row.block[noisy]):
            places = np.flatnonzero(row.block == block)
            assert (row.document[places] == number).all()
            assert (np.diff(places) == 1).all()
            start = row.start[places[0]]
            assert (row.start[places] == start).all()
            assert row.position[places].tolist() == list(range(start, start + len(places)))
            assert len(example.prompt) <= start < n
        scored = clean[row.weight[clean] > 0]
        assert (row.label[scored] == row.ids[scored + 1]).all()
        assert all(row.label[i] >= FIRST_TEXT_ID or i >= begin + len(example.prompt) - 1 for i in scored)
        assert row.weight[clean[-1]] == 0
    assert (row.label[row.weight > 0] >= 0).all()
    assert MASK not in row.label[row.weight > 0]
    assert PAD not in row.label[row.weight > 0]


def test_a_row_depends_on_seed_number_and_progress_alone(
    tokenizer: Tokenizer, recipe: Recipe, files: list[SourceFile]
) -> None:
    one, two = (PackedRows(files, tokenizer, recipe, first_stage(recipe)) for _ in range(2))
    two[(99, 0.5)]  # whatever was drawn before
    for key in ((0, 0.0), (7, 0.4), (7, 0.6)):
        a, b = one[key], two[key]
        assert all(np.array_equal(a[k], b[k]) for k in a)
    assert not np.array_equal(one[(0, 0.0)]["ids"], one[(1, 0.0)]["ids"])
    other = PackedRows(files, tokenizer, replace(recipe, seed=recipe.seed + 1), first_stage(recipe))
    assert not np.array_equal(one[(0, 0.0)]["ids"], other[(0, 0.0)]["ids"])


def test_a_resumed_stream_continues_with_the_rows_it_would_have_seen(
    tokenizer: Tokenizer, recipe: Recipe, files: list[SourceFile]
) -> None:
    data = PackedRows(files, tokenizer, recipe, first_stage(recipe))

    def stream(first: int):
        return batches(data, first, 2, lambda step: step / 8, workers=0)

    whole, late = stream(0), stream(2)
    next(whole), next(whole)
    for _ in range(2):
        a, b = next(whole), next(late)
        assert all(getattr(a, k).equal(getattr(b, k)) for k in a.__dict__)


def test_all_tasks_and_levels_are_seen(tokenizer: Tokenizer, recipe: Recipe, files: list[SourceFile]) -> None:
    """And rows are well filled: a piece of a file without a place for a task is left for another."""
    data = PackedRows(files, tokenizer, replace(recipe, row_length=1024), first_stage(recipe))
    groups, filled = set(), []
    for number in range(12):
        row = data[(number, 0.9)]
        groups |= {GROUPS[g] for g in row["group"][row["weight"] > 0]}
        filled.append((row["document"] >= 0).mean())
    assert np.mean(filled) > 0.6
    assert min(filled) > 0  # none is empty
    assert groups >= {"clean", "fill/0", "fill/3", "fix/0", "fix/1", "refactor/0"}


@given(st.integers(0, 400), st.integers(20, 300))
def test_a_piece_of_a_file_is_whole_lines_around_the_place(offset: int, size: int) -> None:
    text = "import a\n\n\n" + "".join(f"def f{i}(x):\n    y = {i}\n    return y\n\n\n" for i in range(10))
    piece = top_level_piece(text, min(offset, len(text) - 1), size)
    assert piece
    assert piece in text
    assert piece.endswith("\n")
    start = text.index(piece)
    assert start <= offset
    assert text[start] in "id"
    assert len(piece) <= size


def test_every_recipe_fits_its_network() -> None:
    """Prompt, region and canvas stay within the context, a document within a row."""
    for recipe in RECIPES.values():
        c, limits = recipe.model, recipe.limits
        assert limits.region <= c.region_limit
        assert limits.prefix + limits.suffix + limits.middle + 64 + c.block <= c.context
        first = first_stage(recipe)
        assert first.phases[0].since == 0
        assert sum(stage.share for stage in recipe.stages) == pytest.approx(1)
        for shares in [p.shares for p in first.phases] + [s.shares for s in recipe.stages[1:]]:
            assert sum(share for _, share in shares) == pytest.approx(1)

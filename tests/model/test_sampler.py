"""The loop with a real network in float64: company, caches and drafts never change an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.backends.interface import BackendError, Candidates, Pass
from model.backends.torch import TorchBackend
from model.cache import PrefixStore
from model.canvas import Canvas, before_end, count_text
from model.causal import autoregress, look_up, speculate
from model.decoders import Job, edit, fill
from model.policies import EntropyBound, Factor, FixedSteps, InsertDelete, Threshold, TokenEditing
from model.sampler import Run, capacity
from model.tokenizer import EOR, EOS, FIRST_TEXT_ID, MASK, MID, NEW, OLD

FILLS = {
    type(p).__name__: partial(fill, policy=p)
    for p in (FixedSteps(3), Threshold(0.6), Factor(), EntropyBound(0.5), TokenEditing(0.5, 0.6))
} | {
    "autoregress": autoregress,
    "speculate": speculate,
    "look_up": look_up,
    "two_step_speculate": partial(speculate, draft_steps=2),
}
EDIT = partial(edit, policy=InsertDelete(0.5, 0.6))
TEXT = st.lists(st.integers(24, 63), min_size=1, max_size=20)


@st.composite
def fill_jobs(draw: st.DrawFn) -> Job:
    return Job(
        [*draw(TEXT), MID],
        limit=draw(st.integers(1, 20)),
        block=draw(st.integers(1, 9)),
        chunk=draw(st.integers(3, 30)),
    )


@st.composite
def edit_jobs(draw: st.DrawFn) -> Job:
    source = draw(TEXT)
    prompt = [*draw(TEXT), OLD, *source, NEW]
    return Job(prompt, source, limit=draw(st.integers(1, 20)), chunk=draw(st.integers(3, 60)), end=EOR)


def answers(run: Run) -> list[tuple[Sequence[int], int]]:
    return [(lane.canvas.tokens, lane.forwards) for lane in run.finish()]


@settings(max_examples=12)
@given(st.lists(fill_jobs(), min_size=2, max_size=5), st.integers(2, 5))
@pytest.mark.parametrize("way", FILLS)
def test_batched_decoding_equals_single_decoding(
    exact: TorchBackend, way: str, jobs: list[Job], width: int
) -> None:
    """Any jobs, any width: the same tokens after the same number of forwards."""
    single = [answers(Run(exact, [job], FILLS[way]))[0] for job in jobs]
    assert answers(Run(exact, jobs, FILLS[way], width=width)) == single
    assert answers(Run(exact, jobs, FILLS[way], width=1)) == single


@settings(max_examples=12)
@given(st.lists(edit_jobs(), min_size=2, max_size=4), st.integers(2, 4))
def test_batched_edits_equal_single_ones(exact: TorchBackend, jobs: list[Job], width: int) -> None:
    single = [answers(Run(exact, [job], EDIT))[0] for job in jobs]
    assert answers(Run(exact, jobs, EDIT, width=width)) == single


@settings(max_examples=40)
@given(st.one_of(fill_jobs(), edit_jobs()))
def test_prompt_lookup_equals_greedy_decoding(exact: TorchBackend, job: Job) -> None:
    (greedy,) = Run(exact, [job], autoregress).finish()
    (drafted,) = Run(exact, [job], look_up).finish()
    assert drafted.canvas.tokens == greedy.canvas.tokens
    assert drafted.canvas.is_cut == greedy.canvas.is_cut
    assert drafted.canvas.logp == pytest.approx(greedy.canvas.logp)
    assert drafted.forwards <= greedy.forwards


@settings(max_examples=40)
@given(fill_jobs() | edit_jobs(), st.integers(1, 3))
def test_self_speculation_equals_greedy_decoding(exact: TorchBackend, job: Job, draft_steps: int) -> None:
    (greedy,) = Run(exact, [job], autoregress).finish()
    (drafted,) = Run(exact, [job], partial(speculate, draft_steps=draft_steps)).finish()
    assert drafted.canvas.tokens == greedy.canvas.tokens
    assert len(greedy.canvas.tokens) <= job.limit


class Parrot(TorchBackend):
    """A network whose causal rows end answers at a chosen length: `<eos>` or `<eor>` in the middle of drafts."""

    length: int
    prompt: int

    def forward(self, passes: Sequence[Pass]):
        before = [p.cache.length for p in passes]
        found = super().forward(passes)
        for each, start, one in zip(passes, before, found, strict=True):
            end = EOS if each.allowed_V[EOS] == 0 else EOR
            for row, at in enumerate(each.wanted):
                ends = start + at + (at < len(each.causal)) >= self.prompt + self.length
                others = [i for i in one.ids_RK[row].tolist() if i != end]
                one.ids_RK[row] = [end, *others][:8] if ends else [*others, 24][:8]
        return found


@settings(max_examples=40)
@given(
    TEXT,
    st.integers(0, 14),
    st.integers(1, 14),
    st.integers(1, 9),
    st.integers(1, 2),
    st.sampled_from([EOS, EOR]),
)
def test_speculation_ends_where_greedy_decoding_does(
    exact: TorchBackend, text: list[int], length: int, limit: int, block: int, steps: int, end: int
) -> None:
    """The end falls anywhere: first, at a block's edge, inside a draft, or behind the limit."""
    parrot = Parrot(exact.network)
    parrot.length, parrot.prompt = length, len(text) + 1
    job = Job([*text, MID], limit=limit, block=block, end=end)
    (greedy,) = Run(parrot, [job], autoregress).finish()
    (drafted,) = Run(parrot, [job], partial(speculate, draft_steps=steps)).finish()
    assert len(greedy.canvas.tokens) == min(length, limit)
    assert drafted.canvas.tokens == greedy.canvas.tokens


def test_a_perfect_draft_is_accepted_whole(oracle, small) -> None:
    """Where drafts and causal rows agree, a block costs two forwards."""
    target = list(range(24, 54))
    (lane,) = Run(oracle(small, lambda prompt: target), [Job([MID], limit=40, block=10)], speculate).finish()
    assert lane.canvas.tokens == target
    assert lane.forwards <= 2 * 3


@settings(max_examples=15)
@given(st.lists(TEXT, min_size=2, max_size=5), fill_jobs() | edit_jobs())
def test_a_store_of_prefixes_changes_nothing(exact: TorchBackend, pasts: list[list[int]], job: Job) -> None:
    """Prompts that share beginnings of every length, one after the other, as typing makes them."""
    store = PrefixStore(exact.new_cache)
    start = FILLS["Threshold"] if job.source is None else EDIT
    tail = [MID] if job.source is None else [OLD, *job.source, NEW]
    for past in [*pasts, *(job.prompt[:n] for n in range(1, len(job.prompt), 4)), job.prompt]:
        prompt = [*past, *tail] if past is not job.prompt else job.prompt
        each = Job(prompt, job.source, job.limit, job.block, job.chunk, job.end)
        (fresh,) = Run(exact, [each], start).finish()
        (reused,) = Run(exact, [each], start, store).finish()
        assert reused.canvas.tokens == fresh.canvas.tokens
        assert reused.forwards == fresh.forwards
        assert reused.prefills <= fresh.prefills


def test_a_prompt_that_grew_runs_only_its_tail(exact: TorchBackend) -> None:
    store = PrefixStore(exact.new_cache)
    prompt = list(range(24, 60))
    for end in (20, 24, 30):
        Run(exact, [Job([*prompt[:end], MID], limit=4)], FILLS["Threshold"], store).finish()
    assert store.asked_tokens == 21 + 25 + 31
    assert store.reused_tokens == 20 + 24


@settings(max_examples=15)
@given(fill_jobs())
def test_every_state_extends_to_the_answer(exact: TorchBackend, job: Job) -> None:
    """Watched between steps, what is settled is never taken back, and no answer holds a mask or an end."""
    run = Run(exact, [job], FILLS["Threshold"])
    seen: list[list[int]] = []
    while run.step():
        seen.append(run.lanes[0].canvas.tokens)
    final = run.lanes[0].canvas.tokens
    assert all(tokens == final[: len(tokens)] for tokens in seen)
    assert not {MASK, EOS, EOR} & set(final)
    assert run.tokens == count_text(final)
    assert run.is_finished
    assert not run.step()


def test_prefills_are_counted_apart(exact: TorchBackend) -> None:
    run = Run(exact, [Job([*[30] * 24, MID], limit=4, chunk=10)], autoregress)
    run.finish()
    assert run.prefills == run.lanes[0].prefills == 2
    assert run.forwards == run.lanes[0].forwards == min(4, len(run.lanes[0].canvas.tokens) + 1)


@settings(max_examples=15)
@given(fill_jobs() | edit_jobs(), st.sampled_from(sorted(FILLS)))
def test_no_decoder_needs_more_cache_than_it_was_given(exact: TorchBackend, job: Job, way: str) -> None:
    (lane,) = Run(exact, [job], FILLS[way] if job.source is None else EDIT).finish()
    assert lane.cache.capacity == capacity(job)


def test_a_run_without_jobs_is_finished(exact: TorchBackend) -> None:
    run = Run(exact, [], autoregress)
    assert not run.step()
    assert run.is_finished


def test_a_closed_run_keeps_what_it_computed(exact: TorchBackend) -> None:
    """A stop in the middle leaves the prompt's rows for the next request, and takes no further job."""
    store = PrefixStore(exact.new_cache)
    jobs = [Job(list(range(FIRST_TEXT_ID, FIRST_TEXT_ID + 30)), limit=20, block=8)] * 3
    run = Run(exact, jobs, partial(fill, policy=Threshold()), store, width=1)
    assert run.step()
    run.close()
    run.close()
    assert run.is_finished
    assert not run.step()
    assert len(run.lanes) == 1
    assert store.borrow(jobs[0].prompt, 60).length == 29


def test_canvas_tokens_end_at_the_first_mask_or_end() -> None:
    assert Canvas((30,), (31, MASK, 32)).tokens == [30, 31]
    assert Canvas((30,), (31, EOS, 32)).tokens == [30, 31]
    assert Canvas((), (31, EOS, MASK)).is_finished
    assert not Canvas((), (MASK, EOS)).is_finished
    assert Canvas((), (MASK, 30, MASK)).masks == [0, 2]
    assert before_end([30, EOR, 31]) == [30]
    assert count_text([MASK, EOS, 24, 63]) == 2


def test_jobs_are_decoded_one_after_the_other_where_there_is_no_cache_to_spare(
    exact: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job([30 + n, MID], limit=4, block=4) for n in range(3)]
    start = partial(fill, policy=Threshold())
    expected = [lane.canvas for lane in Run(exact, jobs, start).finish()]
    monkeypatch.setattr(TorchBackend, "spare", 1)
    run = Run(exact, jobs, start)
    assert len(run.begin()) == 1
    assert [lane.canvas for lane in run.finish()] == expected


def test_a_run_begins_no_more_jobs_than_it_may(exact: TorchBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    start = partial(fill, policy=Threshold())
    run = Run(exact, [Job([30 + n, MID], limit=4, block=4) for n in range(5)], start)
    assert [len(run.begin(more)) for more in (1, 0, 2)] == [1, 1, 3]  # who is being decoded stays
    monkeypatch.setattr(TorchBackend, "spare", 1)
    assert [len(run.begin(more)) for more in (1, None)] == [3, 3]
    other = Run(exact, [Job([40, MID], limit=4, block=4)], start)
    assert other.begin(1) == []
    assert not other.is_finished
    assert len(other.begin()) == 1  # who does not wait for others presses them


def test_scores_that_are_no_numbers_are_said(exact: TorchBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = TorchBackend.forward

    def damaged(self: TorchBackend, passes: list[Pass]) -> list[Candidates]:
        return [replace(each, logp_RK=np.full_like(each.logp_RK, np.nan)) for each in forward(self, passes)]

    monkeypatch.setattr(TorchBackend, "forward", damaged)
    run = Run(exact, [Job([30, MID], limit=4, block=4)], partial(fill, policy=Threshold()))
    with pytest.raises(BackendError, match="scores are not numbers"):
        run.finish()

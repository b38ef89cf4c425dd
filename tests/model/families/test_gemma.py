"""DiffusionGemma as an engine: a small random one, run by `transformers`' own class and its own generation."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import (
    DiffusionGemmaBlockDiffusionOutputWithPast,
)

from model.checkpoint import ModelError
from model.decoders import Job
from model.editing.edit import apply
from model.editing.source import Span
from model.engine import DiffusionEngine
from model.families.prompts import Chat
from model.gemma.engine import GemmaEngine, GemmaRun
from model.gemma.replies import Replies
from model.loading import load_engine, load_stepped
from model.request import Complete, Document, Fill, Fix, Refactor, Request, Task
from model.tokenizer import FIRST_TEXT_ID
from tests.model.families.gemmas import CANVAS, SPECIALS, STEPS

TEXT = "def add(a, b):\n    return a\n\n\ndef twice(x):\n    return add(x, x)\n"
ENDS = (1, SPECIALS.index("<turn|>"))
AT = TEXT.index("return a") + 8


@pytest.fixture(scope="module")
def loaded(gemma_folder: Path) -> GemmaEngine:
    engine = load_engine(str(gemma_folder), device="cpu")
    assert isinstance(engine, GemmaEngine)
    return engine


@pytest.fixture
def engine(loaded: GemmaEngine) -> GemmaEngine:
    """What is random goes on to its limit; here that is near."""
    reader = loaded.reader
    assert isinstance(reader.asking, Chat)
    reader = replace(
        reader,
        decoding=replace(reader.decoding, fill_limit=2 * CANVAS - 4),
        asking=replace(reader.asking, overhead=4),
    )
    return GemmaEngine(loaded.network, reader, loaded.title, 1, loaded.ends)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not threads()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "redraft-gemma"]


def asked(task: Task, text: str = TEXT) -> Request:
    return Request(Document(text, "python"), task)


def model_of(engine: GemmaEngine) -> Any:
    return engine.network._model  # type: ignore[attr-defined]


def says(monkeypatch: pytest.MonkeyPatch, engine: GemmaEngine, *replies: str) -> list[list[int]]:
    """Make the network sure of each reply in turn, whatever the canvas holds; what it is asked is collected."""
    model, prompts = model_of(engine), list[list[int]]()
    scripts = [[i - FIRST_TEXT_ID for i in engine.reader.tokenizer.encode(reply)] for reply in replies]
    generate = model.generate

    def begun(ids: torch.Tensor, **settings: Any) -> Any:
        prompts.append(ids[0].tolist())
        return generate(ids, **settings)

    def forward(decoder_position_ids: torch.Tensor, past_key_values: Any, **more: Any) -> Any:
        script = [*scripts[len(prompts) - 1], ENDS[1]]
        places = (decoder_position_ids[0] - len(prompts[-1])).tolist()
        wanted = [script[p] if p < len(script) else 0 for p in places]
        logits = torch.zeros(1, len(places), model.config.text_config.vocab_size)
        logits[0, range(len(places)), wanted] = 50.0
        return DiffusionGemmaBlockDiffusionOutputWithPast(logits=logits, past_key_values=past_key_values)

    monkeypatch.setattr(model, "generate", begun)
    monkeypatch.setattr(model, "forward", forward)
    return prompts


def written(engine: GemmaEngine, prompt: Sequence[int], limit: int) -> list[list[int]]:
    """The drafts of every step, stepped one by one."""
    job = Job([i + FIRST_TEXT_ID for i in prompt], limit=limit)
    replies = Replies(engine.network, iter([job]), ())
    drafts: list[list[int]] = []
    while replies.step():
        drafts.append([i - FIRST_TEXT_ID for i in replies.lanes[0].draft])
    [reply] = replies.lanes
    assert reply.is_finished
    assert replies.is_finished
    assert (reply.forwards, reply.prefills) == (len(drafts), len(drafts) // STEPS)
    drafts.append([i - FIRST_TEXT_ID for i in reply.canvas.tokens])
    return drafts


def test_step_by_step_is_one_plain_generation(loaded: GemmaEngine) -> None:
    """Its own `generate`, uninterrupted, with the same seed: the same drafts, the same text."""
    prompt = list(range(20, 60))
    drafts: list[list[int]] = []

    class Streamer:
        def put(self, value: torch.Tensor) -> None: ...
        def end(self) -> None: ...
        def put_draft(self, value: torch.Tensor) -> None:
            drafts.append(value[0].tolist())

    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        plain = model_of(loaded).generate(
            torch.tensor([prompt]), streamer=Streamer(), max_new_tokens=2 * CANVAS, eos_token_id=[10**6]
        )
    stepped = written(loaded, prompt, 2 * CANVAS)
    assert stepped == [*drafts, plain.sequences[0, len(prompt) :].tolist()]
    assert len(drafts) == 2 * STEPS
    assert stepped == written(loaded, prompt, 2 * CANVAS)


def test_replies_in_turn_do_not_disturb_each_other(loaded: GemmaEngine) -> None:
    prompts = [list(range(20, 60)), list(range(30, 95))]
    alone = [written(loaded, prompt, CANVAS)[-1] for prompt in prompts]
    before = torch.get_rng_state()
    jobs = [Job([i + FIRST_TEXT_ID for i in prompt], limit=CANVAS) for prompt in prompts]
    both = [Replies(loaded.network, iter([job]), ()) for job in jobs]
    for _ in range(STEPS):
        assert [each.step() for each in both] == [True, True]
        assert len(threads()) == 2
    assert torch.equal(torch.get_rng_state(), before)  # half-way, too, others draw what they would have
    assert [each.step() for each in both] == [False, False]
    found = [[i - FIRST_TEXT_ID for i in each.lanes[0].canvas.tokens] for each in both]
    assert found == alone


@pytest.mark.parametrize(
    "task",
    [
        Complete(AT, asked=True),
        Fill((Span(15, 27), Span(45, 50))),
        Fix(Span(20, 20), "unused b"),
        Refactor("rename a to b", Span(0, 28)),
    ],
    ids=lambda task: type(task).__name__,
)
def test_all_tasks_keep_what_stands_outside(engine: GemmaEngine, task: Task) -> None:
    proposal = engine.propose(asked(task))
    assert proposal.status in ("rejected", "unchanged"), (
        proposal
    )  # what is random is no reply with a code block
    assert not proposal.edits
    assert proposal.cost.forwards >= STEPS
    assert proposal.cost.prefills == proposal.cost.forwards // STEPS
    assert replace(engine.propose(asked(task)), cost=proposal.cost) == proposal


def test_a_reply_becomes_the_smallest_edit(engine: GemmaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "class C:\n    def add(a, b):\n        return a\n"
    reply = "Here it is:\n```python\ndef add(a, b):\n    return a + b\n```\nDone."
    prompts = says(monkeypatch, engine, reply)
    proposal = engine.propose(asked(Fix(Span(30, 30), "unused b"), text))
    assert apply(proposal.edits, text) == "class C:\n    def add(a, b):\n        return a + b\n"
    assert [edit.new for edit in proposal.edits] == [" + b"]
    assert proposal.confidence == pytest.approx(1, abs=1e-6)
    [prompt] = prompts
    question = engine.reader.tokenizer.decode(i + FIRST_TEXT_ID for i in prompt)
    assert "<CODE>\n    def add(a, b):" in question
    assert "unused b" in question
    # Two steps for each canvas: sure at the first, seen to be stable at the second.
    assert proposal.cost.forwards == 2 * proposal.cost.prefills


def test_fills_and_completions_take_the_code_block(
    engine: GemmaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, engine, "```\n + b\n```", "```\nb, a\n```", "```\n(2, x)\n```")
    done = engine.propose(asked(Complete(AT, asked=True)))
    assert apply(done.edits, TEXT) == TEXT.replace("return a\n", "return a + b\n")
    spans = Span(8, 12), Span(TEXT.index("(x, x)"), TEXT.index("(x, x)") + 6)
    filled = engine.propose(asked(Fill(spans)))
    assert apply(filled.edits, TEXT) == TEXT.replace("a, b", "b, a").replace("(x, x)", "(2, x)")


def test_more_is_not_written_than_the_code_block(
    engine: GemmaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, engine, "```\n + b\n```\n" + 100 * "x")
    proposal = engine.propose(asked(Complete(AT, asked=True)))
    assert [edit.new for edit in proposal.edits] == [" + b"]
    assert proposal.cost.prefills == 1


def test_a_deadline_gives_what_is_finished(engine: GemmaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, engine, "```\nb, a\n```", "```\n(2, x)\n```")
    spans = Span(8, 12), Span(TEXT.index("(x, x)"), TEXT.index("(x, x)") + 6)
    run = engine.start(asked(Fill(spans)))
    assert isinstance(run, GemmaRun)
    while not any(lane.is_finished for lane in run._sampler.lanes):
        assert run.step()
    assert (run.progress.done, run.progress.total) == (1, 2)
    proposal = run.proposal()
    assert apply(proposal.edits, TEXT) == TEXT.replace("a, b", "b, a")
    run.close()
    assert run.proposal().edits == proposal.edits
    assert not run.step()


def test_a_deadline_before_anything(engine: GemmaEngine) -> None:
    proposal = engine.propose(asked(Fix(Span(20, 20))), deadline=time.monotonic())
    assert (proposal.status, proposal.message) == ("stopped", "out of time")
    assert proposal.cost.forwards == 1


def test_a_stop_ends_the_thread_within_a_step(engine: GemmaEngine) -> None:
    told: list[int] = []

    def stop() -> bool:
        told.append(len(threads()))
        return len(told) == 2

    proposal = engine.propose(asked(Fix(Span(20, 20))), should_stop=stop)
    assert proposal.status == "stopped"
    assert proposal.cost.forwards == 2
    assert told == [1, 1]
    run = engine.start(asked(Fix(Span(20, 20))))
    run.close()  # before it began
    run.close()
    assert not run.step()


def test_an_error_inside_is_the_steps(engine: GemmaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    model, forward = model_of(engine), model_of(engine).forward
    calls: list[int] = []

    def fails(*values: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("no memory")
        return forward(*values, **named)

    monkeypatch.setattr(model, "forward", fails)
    state = torch.get_rng_state()
    run = engine.start(asked(Fix(Span(20, 20))))
    assert run.step()
    with pytest.raises(torch.OutOfMemoryError, match="no memory"):
        run.step()
    assert not run.step()
    assert torch.equal(torch.get_rng_state(), state)
    run.close()


def test_what_is_watched(engine: GemmaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    run = engine.start(asked(Fix(Span(20, 20))))
    run.step()
    [first] = run.frames()
    assert {cell.state for cell in first.cells} == {"committed"}
    assert all(cell.confidence is not None and 0 < cell.confidence <= 1 for cell in first.cells)
    assert not run.frames()
    run.step()
    [second] = run.frames()
    assert {cell.state for cell in second.cells} <= {"revised", "kept", "committed"}
    assert second.forwards == 2
    run.close()
    says(monkeypatch, engine, "```\n + b\n```")
    run = engine.start(asked(Complete(AT, asked=True)))
    frames = []
    while run.step():
        frames += run.frames()
    frames += run.frames()
    assert ["".join(cell.text for cell in frame.cells) for frame in frames] == ["```\n + b\n```"] * len(
        frames
    )
    assert [cell.state for cell in frames[-1].cells] == ["kept"] * len(frames[-1].cells)
    assert [frame.is_finished for frame in frames][-2:] == [False, True]


def test_policies_are_refused_as_by_other_families(engine: GemmaEngine) -> None:
    request = asked(Complete(AT, asked=True))
    with pytest.raises(ValueError, match=r"a way of its own to decode and takes no policy 'threshold:0.5'"):
        engine.start(replace(request, policy="threshold:0.5"))
    with pytest.raises(ValueError, match=r"cannot decode by 'speculative'.*no autoregressive mode"):
        engine.start(replace(request, policy="speculative"))
    with pytest.raises(ValueError, match="unknown policy 'best'"):
        engine.start(replace(request, policy="best"))
    assert engine.propose(replace(request, policy="default")).cost.forwards > 0


def test_what_it_is(gemma_folder: Path, loaded: GemmaEngine) -> None:
    assert loaded.description.startswith("DiffusionGemma: model (0.1M weights), transformers on cpu, float32")
    assert loaded.batch == 1
    assert not loaded.refactorings(TEXT)
    assert set(loaded.ends) == set(ENDS)
    with pytest.raises(ModelError, match="decodes by a loop of its own"):
        load_stepped(str(gemma_folder))
    assert isinstance(load_stepped(), DiffusionEngine)

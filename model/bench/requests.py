"""Time of each kind of request on this machine, on our own sources, in the three ways to decode."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles

from model.editing.source import Span
from model.engine import DiffusionEngine
from model.loading import load_stepped
from model.request import Complete, Document, Fix, Refactor, Request, Task


@dataclass(frozen=True)
class RequestFigures:
    """Milliseconds a request, and the means of what it took."""

    name: str
    requests: int
    p50_ms: float
    p95_ms: float
    forwards: float
    tokens_per_forward: float


def measure_requests(model: str | None, backend: str, count: int = 40) -> list[RequestFigures]:
    """Cold completions in each mode, completions while typing (the prompt's cache is warm), fixes, a refactoring."""
    documents = sources()
    result: list[RequestFigures] = []
    engine = load_stepped(model, backend)
    modes = {"diffusion": "default", "speculative": "speculative", "autoregressive": "autoregressive"}
    for mode, policy in modes.items():
        try:
            styled = engine.styled(policy, edits=False)
        except ValueError:
            continue  # its network has no such mode
        cold = [place.request for place in places(count)]
        result.append(_measure(styled, f"completion, cold, {mode}", cold, cold=True))
    result.append(_measure(engine, "completion, typing", _typing(documents[0], count)))
    result.append(_measure(engine, "fix", _fixes(documents, count)))
    smallest = min((d for d in documents if "is None" in d.text), key=lambda d: len(d.text))
    old_style = replace(smallest, text=smallest.text.replace("is None", "== None"))
    whole = [Request(old_style, Refactor("Use `is None` instead of `== None`"))] * 3
    result.append(_measure(engine, f"refactor, {smallest.text.count(chr(10))} lines", whole))
    return result


def measure_tokens_per_forward(model: str | None, backend: str, count: int = 40) -> float:
    """Of cold completions by diffusion, as in `measure_requests`."""
    engine = load_stepped(model, backend)
    requests = [place.request for place in places(count)]
    return _measure(engine, "completion", requests, cold=True).tokens_per_forward


def sources() -> list[Document]:
    """What is measured on: files of our own."""
    folder = Path(__file__).parent.parent
    names = ("sampler.py", "questions.py", "cache.py", "checkpoint.py")
    return [Document((folder / n).read_text("utf-8"), "python", n) for n in names]


@dataclass(frozen=True)
class Place:
    """A cursor in the middle of a line whose rest, the `truth`, is missing."""

    document: Document
    cursor: int
    truth: str

    @property
    def task(self) -> Complete:
        return Complete(self.cursor, multiline=False)

    @property
    def request(self) -> Request:
        return Request(self.document, self.task)


def places(count: int) -> list[Place]:
    """Places spread evenly over the sources that are measured on."""
    documents = sources()
    found: list[Place] = []
    for document in documents:
        lines = list(re.finditer(r"(?m)^ +\S.{20,}$", document.text))
        for m in lines[:: max(1, len(lines) * len(documents) // count)]:
            cursor = (m.start() + m.end()) // 2
            text = document.text[:cursor] + document.text[m.end() :]
            found.append(
                Place(Document(text, "python", document.path), cursor, document.text[cursor : m.end()])
            )
    return found[:count]


def _typing(document: Document, count: int) -> list[Request]:
    """One line typed character by character."""
    start = document.text.index("\n", len(document.text) // 2) + 1
    end = start + count
    tail = document.text[document.text.index("\n", end) :]
    return [
        Request(Document(document.text[:at] + tail, "python"), Complete(at, multiline=False))
        for at in range(start, end)
    ]


def _fixes(documents: Sequence[Document], count: int) -> list[Request]:
    requests: list[Request] = []
    for document in documents:
        for m in re.finditer(r"def \w+\(.*\).*:\n", document.text):
            broken = document.text[: m.end() - 2] + document.text[m.end() - 1 :]
            task: Task = Fix(Span(m.start(), m.start()))
            requests.append(Request(Document(broken, "python", document.path), task))
    return requests[:count]


def _measure(
    engine: DiffusionEngine, name: str, requests: Sequence[Request], cold: bool = False
) -> RequestFigures:
    engine.propose(requests[0])
    times: list[float] = []
    forwards = tokens = 0
    declined = ""
    for request in requests:
        if cold:
            engine.store.clear()
        began = time.perf_counter()
        proposal = engine.propose(request)
        took = (time.perf_counter() - began) * 1000
        if proposal.status == "declined":  # it would pass for a fast answer
            declined = proposal.message
            continue
        times.append(took)
        cost = proposal.cost
        forwards, tokens = forwards + cost.forwards, tokens + cost.tokens
    if 2 * len(times) < len(requests):
        raise ValueError(f"{name}: the model declined most of the requests ({declined})")
    p95 = quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
    return RequestFigures(
        name,
        len(times),
        round(median(times), 1),
        round(p95, 1),
        round(forwards / len(times), 2),
        round(tokens / max(1, forwards), 2),
    )

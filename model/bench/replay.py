"""Typing sessions replayed through the real server at their own speed: what a person at the keyboard would feel.

The client does what VS Code does: after every change it asks for an inline completion, and a key that comes before the
answer cancels the question.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from model.bench.client import Client
from model.bench.typist import Session
from model.editing.source import LineIndex

_PATIENCE = 5.0
"""Seconds to wait for the answer after the last key."""


@dataclass(frozen=True)
class Question:
    """What became of one request: milliseconds until its answer (None: the next key came first), how many of them the
    worker worked, whether the answer held a suggestion, and how many prompt tokens the model was asked about and how
    many it had to compute."""

    waited_ms: float | None
    worked_ms: float
    suggested: bool
    asked: int
    computed: int


@dataclass(frozen=True)
class TypingFigures:
    """Of a session's requests, which are as many as changes: how many a newer key overtook before any work, were
    answered without the model, or reached it (a newer key may have stopped it there). Of those that it answered the
    milliseconds to the answer, the wait for a rest in typing included, and of work alone; of all that reached it the
    prompt tokens that had to be computed."""

    session: str
    requests: int
    overtaken: int
    without_model: int
    asked: int
    suggestions: int
    answer_p50_ms: float
    answer_p95_ms: float
    work_p50_ms: float
    work_p95_ms: float
    computed_median: float
    computed_mean: float
    computed_per_request: float
    prompt_median: float


def replay(session: Session, keys: int | None = None, arguments: Sequence[str] = ()) -> list[Question]:
    """What became of each request of a session's first `keys` keys, of a server with such `arguments`; takes as long as
    typing them took."""
    with Client("--debug", *arguments) as client:
        client.initialize()
        client.load()
        uri = f"file:///project/{session.path}"
        document = {"uri": uri, "languageId": "python", "version": 0, "text": session.text}
        client.notify("textDocument/didOpen", {"textDocument": document})
        return _Player(client, session, uri).play(keys)


class _Player:
    def __init__(self, client: Client, session: Session, uri: str) -> None:
        self._client, self._session, self._uri = client, session, uri
        self._text = session.text
        self._counted = self._counts()
        self._found: list[Question] = []
        self._open: tuple[int, float] | None = None
        """The number of the request that is under way, and when it was sent."""

    def play(self, keys: int | None) -> list[Question]:
        at = time.perf_counter()
        for version, key in enumerate(self._session.keys[:keys], 1):
            at += key.gap / 1000
            time.sleep(max(0.0, at - time.perf_counter()))
            self._settle()
            if not key.new and key.start == key.end:
                continue
            lines = LineIndex(self._text)
            place = {"start": _position(lines, key.start), "end": _position(lines, key.end)}
            self._text = key.applied(self._text)
            self._client.notify(
                "textDocument/didChange",
                {
                    "textDocument": {"uri": self._uri, "version": version},
                    "contentChanges": [{"range": place, "text": key.new}],
                },
            )
            self._ask(_position(LineIndex(self._text), key.cursor))
        time.sleep(min(_PATIENCE, 1.0))
        self._settle()
        return self._found

    def _ask(self, position: dict[str, int]) -> None:
        params = {
            "textDocument": {"uri": self._uri},
            "position": position,
            "context": {"triggerKind": 2},
        }
        sent = time.perf_counter()
        self._open = self._client.request("textDocument/inlineCompletion", params), sent

    def _settle(self) -> None:
        """Note what has become of the request under way, and cancel it where it is not answered."""
        if self._open is None:
            return
        (number, sent), self._open = self._open, None
        answer = self._client.answer(number)
        if answer is None:
            self._client.notify("$/cancelRequest", {"id": number})
        before, self._counted = self._counted, self._counts()
        asked, reused, worked = (b - a for a, b in zip(before, self._counted, strict=True))
        waited = (answer[0] - sent) * 1000 if answer else None
        items = (answer[1].get("result") or {}).get("items", []) if answer else []
        self._found.append(Question(waited, worked, bool(items), int(asked), int(asked - reused)))

    def _counts(self) -> tuple[float, float, float]:
        """Prompt tokens so far, those of them that were known, and milliseconds of work."""
        _, message = self._client.wait_for(self._client.request("redraft/debug/state", {}))
        state = message["result"]
        return state["askedTokens"], state["reusedTokens"], state["workedMs"]


def _position(lines: LineIndex, offset: int) -> dict[str, int]:
    line, character = lines.position(offset, "utf-16")
    return {"line": line, "character": character}


def summary(name: str, questions: Sequence[Question]) -> TypingFigures:
    asked = [q for q in questions if q.asked]
    waited = [q.waited_ms for q in asked if q.waited_ms is not None]
    worked = [q.worked_ms for q in asked if q.waited_ms is not None]
    unasked = [q for q in questions if not q.asked]
    return TypingFigures(
        session=name,
        requests=len(questions),
        overtaken=sum(q.waited_ms is None for q in unasked),
        without_model=sum(q.waited_ms is not None for q in unasked),
        asked=len(asked),
        suggestions=sum(q.suggested for q in questions),
        answer_p50_ms=_p50(waited),
        answer_p95_ms=_p95(waited),
        work_p50_ms=_p50(worked),
        work_p95_ms=_p95(worked),
        computed_median=median(q.computed for q in asked) if asked else 0.0,
        computed_mean=round(sum(q.computed for q in asked) / max(1, len(asked)), 1),
        computed_per_request=round(sum(q.computed for q in questions) / max(1, len(questions)), 1),
        prompt_median=median(q.asked for q in asked) if asked else 0.0,
    )


def _p50(values: Sequence[float]) -> float:
    return round(median(values), 1) if values else 0.0


def _p95(values: Sequence[float]) -> float:
    return round(quantiles(values, n=20)[-1], 1) if len(values) > 1 else 0.0

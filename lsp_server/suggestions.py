"""What has been suggested, so that typing along a suggestion needs no model.

Value stores without LSP: keys are documents, values are texts at an offset.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from lsp_server.job import Job
from model.request import Complete

KEPT = 32


@dataclass(frozen=True)
class Suggestion:
    """`insert` was suggested at `cursor` of `text`."""

    uri: str
    text: str
    cursor: int
    insert: str

    def rest_at(self, text: str, cursor: int) -> str:
        """What is left of it when the user has typed its beginning, and nothing else; empty if that is not
        so."""
        typed = cursor - self.cursor
        if not 0 <= typed < len(self.insert) or len(text) != len(self.text) + typed:
            return ""
        same = text[: self.cursor] == self.text[: self.cursor] and text[cursor:] == self.text[self.cursor :]
        return self.insert[typed:] if same and self.insert.startswith(text[self.cursor : cursor]) else ""

    @property
    def accepted(self) -> str:
        """The text when all of it has been taken."""
        return self.text[: self.cursor] + self.insert + self.text[self.cursor :]


@dataclass
class Ahead:
    """The newest completion of a document that was begun, for who asks the same again. `is_prepared` until somebody has
    asked for it."""

    task: Complete
    version: int
    job: Job
    is_prepared: bool

    def fits(self, task: Complete, version: int) -> bool:
        """Whether its answer is that to `task`, or will be."""
        if self.job.stopped or (self.task, self.version) != (task, version):
            return False
        if not self.job.ended.done():
            return True
        return self.job.ended.exception() is None and self.job.ended.result().status != "stopped"


class Suggestions:
    """The last few suggestions of one client."""

    def __init__(self) -> None:
        self._kept: deque[Suggestion] = deque(maxlen=KEPT)
        self._none: deque[tuple[str, int, int]] = deque(maxlen=KEPT)
        """Documents, hashes of their texts and cursors where there was nothing to suggest."""

    def remember(self, suggestion: Suggestion) -> None:
        """Keep a suggestion as the newest one."""
        if suggestion in self._kept:
            self._kept.remove(suggestion)
        self._kept.append(suggestion)

    def remember_none(self, uri: str, text: str, cursor: int) -> None:
        self._none.append((uri, hash(text), cursor))

    def has_none(self, uri: str, text: str, cursor: int) -> bool:
        """Whether there was nothing to suggest at this very place."""
        places = (kept for kept in self._none if (kept[0], kept[2]) == (uri, cursor))
        return any(hashed == hash(text) for _, hashed, _ in places)  # the hash of a long text takes its time

    def clear(self) -> None:
        """Forget all: another model or other manners would say something else."""
        self._kept.clear()
        self._none.clear()

    def forget(self, uri: str) -> None:
        self._kept = deque((s for s in self._kept if s.uri != uri), maxlen=KEPT)
        self._none = deque((n for n in self._none if n[0] != uri), maxlen=KEPT)

    def rest(self, uri: str, text: str, cursor: int) -> str:
        """What the newest kept suggestion that fits has to add at `cursor`; empty if none fits."""
        found = (kept.rest_at(text, cursor) for kept in reversed(self._kept) if kept.uri == uri)
        return next((rest for rest in found if rest), "")

    def cursor_after(self, uri: str, text: str) -> int | None:
        """Where the cursor is if `text` came from accepting a kept suggestion; None if it did not."""
        for kept in reversed(self._kept):
            if kept.uri == uri and len(text) == len(kept.text) + len(kept.insert) and kept.accepted == text:
                return kept.cursor + len(kept.insert)
        return None

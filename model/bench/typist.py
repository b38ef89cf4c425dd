"""Typing sessions: what an editor sends while somebody writes code, key by key, with the time between keys.

A `Typist` types a script (text, backspaces, jumps, pastes, pauses) as a person in an editor does: with gaps of a
person's length, slips that are taken back, indentation from the editor, and closing brackets that it writes by itself.
`python -m model.bench.typist` writes the sessions that the benchmark replays (`sessions.json`), from sources of this
repository; they are kept, so that figures stay comparable while the sources change.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SESSIONS = Path(__file__).parent / "sessions.json"
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_SLIP = 0.03
"""Share of letters that are mistyped and taken back."""


@dataclass(frozen=True)
class Key:
    """After `gap` milliseconds `start..end` became `new`; the cursor then stood at `cursor`. Offsets are of
    characters. A key that moves the cursor alone changes nothing."""

    gap: int
    start: int
    end: int
    new: str
    cursor: int

    def applied(self, text: str) -> str:
        return text[: self.start] + self.new + text[self.end :]


@dataclass(frozen=True)
class Session:
    """A file as it was, and what was typed in it."""

    name: str
    path: str
    text: str
    keys: tuple[Key, ...]


class Typist:
    """Writes in `text`, and keeps the keys."""

    def __init__(self, text: str, seed: int) -> None:
        self.text = text
        self.cursor = 0
        self.keys: list[Key] = []
        self._random = random.Random(seed)
        self._wait = 0

    def pause(self, milliseconds: int) -> None:
        """Think."""
        self._wait += milliseconds

    def jump(self, to: str, behind: bool = True) -> None:
        """Click at a text."""
        at = self.text.index(to) + (len(to) if behind else 0)
        self._wait += 900
        self._press(at, at, "", at)

    def type(self, code: str) -> None:
        """Write `code` key by key; the editor indents new lines, so their indentation in `code` is not typed."""
        lines = code.split("\n")
        for number, line in enumerate(lines):
            if number:
                self._new_line(line)
            for character in line.lstrip() if number else line:
                self._character(character)

    def backspace(self, count: int) -> None:
        for _ in range(count):
            self._press(self.cursor - 1, self.cursor, "", self.cursor - 1)

    def paste(self, code: str) -> None:
        self._wait += 400
        self._press(self.cursor, self.cursor, code, self.cursor + len(code))

    def _new_line(self, line: str) -> None:
        indentation = line[: len(line) - len(line.lstrip())]
        rest = self.text[self.cursor : self.text.find("\n", self.cursor) % (len(self.text) + 1)]
        if rest and not rest.strip(")]}"):  # behind the closers that the editor wrote
            self.cursor += len(rest)
        self._press(self.cursor, self.cursor, "\n" + indentation, self.cursor + 1 + len(indentation))

    def _character(self, character: str) -> None:
        if character.isalpha() and self._random.random() < _SLIP:
            self._plain(self._random.choice("etaoinsr"))
            self._wait += 150
            self.backspace(1)
        if character in _CLOSERS.values() and self.text[self.cursor : self.cursor + 1] == character:
            self._press(self.cursor, self.cursor, "", self.cursor + 1)  # typed over what the editor wrote
        elif character in _CLOSERS and not self.text[self.cursor : self.cursor + 1].strip(")]}\n"):
            self._press(self.cursor, self.cursor, character + _CLOSERS[character], self.cursor + 1)
        else:
            self._plain(character)

    def _plain(self, character: str) -> None:
        self._press(self.cursor, self.cursor, character, self.cursor + 1)

    def _press(self, start: int, end: int, new: str, cursor: int) -> None:
        slow = self.cursor and not self.text[self.cursor - 1].isalnum()  # words are thought of, then written
        gap = self._random.lognormvariate(5.0, 0.35) * (1.5 if slow else 1.0)
        key = Key(min(900, int(gap)) + self._wait, start, end, new, cursor)
        self.text, self.cursor, self._wait = key.applied(self.text), cursor, 0
        self.keys.append(key)


def read_sessions(path: Path = SESSIONS) -> list[Session]:
    found = json.loads(path.read_text("utf-8"))
    return [Session(s["name"], s["path"], s["text"], tuple(Key(*key) for key in s["keys"])) for s in found]


def write_sessions(sessions: Sequence[Session], path: Path = SESSIONS) -> None:
    lines = [
        json.dumps({"name": s.name, "path": s.path, "text": s.text, "keys": [_fields(k) for k in s.keys]})
        for s in sessions
    ]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


def _fields(key: Key) -> list[int | str]:
    return [key.gap, key.start, key.end, key.new, key.cursor]


def record(root: Path) -> list[Session]:
    """The sessions, from sources below `root`: a method written into a class, a small module from nothing, and changes
    here and there in a file."""
    return [_method(root), _module(root), _changes(root)]


def _method(root: Path) -> Session:
    path = "model/cache.py"
    whole = (root / path).read_text("utf-8")
    start = whole.index("    def keep(")
    start = whole.index("\n", whole.index('"""', start)) + 1
    end = whole.index("    def clear(") - 2
    body = whole[start:end]
    before = whole[:start] + whole[end:]
    typist = Typist(before, seed=1)
    typist.jump(before[start - 60 : start - 1])
    typist.type("\n" + body)
    return Session("a method", path, before, tuple(typist.keys))


def _module(root: Path) -> Session:
    path = "lsp_server/rhythm.py"
    whole = (root / path).read_text("utf-8")
    code = whole[: whole.index("    def key(")].rstrip()
    typist = Typist("", seed=2)
    for paragraph in code.split("\n\n"):
        typist.type(paragraph)
        typist.pause(1200)
        typist.type("\n\n")
    return Session("a module from nothing", path, "", tuple(typist.keys))


def _changes(root: Path) -> Session:
    path = "lsp_server/suggestions.py"
    before = (root / path).read_text("utf-8")
    typist = Typist(before, seed=3)
    typist.jump("KEPT = 32")
    typist.type("\nLONGEST = 4_000")
    typist.jump("self._kept.append(suggestion)", behind=False)
    typist.paste("if len(suggestion.insert) > LONGEST:\n            return\n        ")
    typist.jump("def rest_at(self, text: str, cursor: int")
    typist.type(", least: int = 1")
    typist.jump("typed = cursor - self.cursor")
    typist.type("\n        if typed < least:\n            return None")
    typist.backspace(4)
    typist.type('""')
    typist.jump("for suggestion in reversed(self._kept):")
    typist.pause(2000)
    typist.type("\n            if suggestion.uri != uri:\n                continue")
    typist.jump("class Suggestions:", behind=False)
    typist.type("def longest(suggestions: Sequence[Suggestion]) -> Suggestion | None:\n    ")
    typist.type("return max(suggestions, key=lambda each: len(each.insert), default=None)\n")
    return Session("changes here and there", path, before, tuple(typist.keys))


if __name__ == "__main__":
    write_sessions(record(Path(__file__).parents[2]))

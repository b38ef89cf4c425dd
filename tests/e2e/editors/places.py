"""Places where the embedded model has something to suggest: the server says which, so that another model needs no other
tests."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass

from lsprotocol import types as t

from tests.e2e.conftest import Editor

STARTS = [
    "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = y\n\n"
    "    def __eq__(self, other):\n        return self.x == other.x and ",
    "def read(path):\n    with open(path) as ",
    "def load(path):\n    try:\n        return open(path).read()\n    except ",
    "def f(path):\n    if path",
    "def f(path):\n    if pat",
    "def check(value):\n    if isinstance(value, str):\n        return value\n    ",
    "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = y\n\n"
    "    def area(self):\n        return ",
    "class A:\n    def __init__(self, name, size):\n        self.name = ",
    "def f(a, b=None):\n    if b is None:\n        ",
    "def total(items):\n    result = 0\n    for item in items:\n        ",
    "def largest(items):\n    best = None\n    for item in items:\n        if best is None or item ",
    "def f(a, b=None):\n    if b is ",
    "import os\n\n\ndef size(path):\n    return os.path.",
]


@dataclass(frozen=True)
class Place:
    """A file that ends where its user is about to type `key`, and what the server then suggests."""

    before: str
    key: str
    suggestion: str

    @property
    def file(self) -> str:
        return self.before + "\n"

    @property
    def typed(self) -> str:
        return self.before + self.key

    @property
    def taken(self) -> str:
        return self.typed + self.suggestion + "\n"


@functools.cache
def places(*, inline: bool) -> tuple[Place, ...]:
    """Where it suggests something by itself, or (`inline=False`, for editors without it) as a completion item."""
    return asyncio.run(_ask(inline))


def place(true: Callable[[str], bool] = bool, *, inline: bool = True) -> Place:
    """The first one whose suggestion is as wanted."""
    found = places(inline=inline)
    for one in found:
        if true(one.suggestion):
            return one
    raise AssertionError(f"the model suggests nothing of that kind: {[one.suggestion for one in found]}")


def has_parts(suggestion: str) -> bool:
    """Whether there is more than one word, all in one line."""
    return " " in suggestion and "\n" not in suggestion


def has_lines(suggestion: str) -> bool:
    return "\n" in suggestion


async def _ask(inline: bool) -> tuple[Place, ...]:
    editor = Editor()
    try:
        await editor.start("--stdio", options={"inline": {"deadlineMs": 20_000}}, inline=inline)
        await editor.ready()
        found: list[Place] = []
        for i, text in enumerate(STARTS):
            uri = editor.open(text + "\n", f"file:///project/{i}.py")
            suggestion = await (_inline if inline else _item)(editor, uri, len(text))
            if suggestion:
                found.append(Place(text[:-1], text[-1], suggestion))
        return tuple(found)
    finally:
        await editor.kill()


async def _inline(editor: Editor, uri: str, at: int) -> str:
    items = (await editor.wait(editor.inline(uri, at, invoked=False))).items
    return items[0].insert_text if items else ""


async def _item(editor: Editor, uri: str, at: int) -> str:
    params = t.CompletionParams(t.TextDocumentIdentifier(uri), editor.position(editor.text[uri], at))
    answer = await editor.wait(editor.text_document_completion_async(params))
    if not answer.items:
        return ""
    edit = answer.items[0].text_edit
    return edit.new_text[at - editor.offset(editor.text[uri], edit.range.start) :]

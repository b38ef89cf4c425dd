"""2,000 random edits, requests and cancels between them: the server's text stays the editor's, in every
encoding."""

from __future__ import annotations

import asyncio
import random

import pytest

EDITS = 2_000
PIECES = [
    "a", "xyz", " = ", "\n", "\r\n", "\r", "\f", "\u2028", "\x85", "\v", "é", "e\u0301", "😀", "👩‍👩‍👧",
    "\0", "\t", "def f(x)\n    return x\n", "(", ")]", "日本語", "\ufeff",
]  # fmt: skip


def random_place(text: str, chance: random.Random) -> int:
    """An offset that an editor can name: not between `\\r` and `\\n`."""
    at = chance.randint(0, len(text))
    return at - 1 if text[at - 1 : at + 1] == "\r\n" else at


def edit(editor, uri: str, chance: random.Random) -> None:
    text = editor.text[uri]
    start, end = sorted((random_place(text, chance), random_place(text, chance)))
    if chance.random() < 0.7 or len(text) < 200:
        end = start
    elif end - start > 40:
        end = random_place(text, random.Random(start)) if chance.random() < 0.02 else start
        start, end = min(start, end), max(start, end)
    editor.type(uri, start, end, "".join(chance.choices(PIECES, k=chance.randint(0, 3))))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_texts_stay_equal_under_random_edits_requests_and_cancels(editor, encoding):
    chance = random.Random(encoding)
    script = "fake:completion=hi,steps=3,delay=0.002"
    await editor.start("serve", "--engine", script, encodings=[encoding])
    assert editor.encoding == encoding
    await editor.ready()
    uri = editor.open("def f(x)\n    return 😀\r\n\f\u2028rest\r")
    under_way: list[asyncio.Future] = []
    shown = applied = 0

    async def take(answer, version: int) -> None:
        """What an editor does with a suggestion: show it if nothing was typed since, and accept some."""
        nonlocal shown, applied
        items = (await answer).items
        if not items or editor.version[uri] != version:
            return
        shown += 1
        at = editor.offset(editor.text[uri], items[0].range.start)
        assert items[0].range.start == items[0].range.end
        editor.type(uri, at, at, items[0].insert_text)
        applied += 1

    for number in range(EDITS):
        edit(editor, uri, chance)
        kind = chance.random()
        if kind < 0.10:
            answer = editor.inline(uri, random_place(editor.text[uri], chance), invoked=kind < 0.07)
            if kind < 0.05:
                under_way.append(asyncio.ensure_future(take(answer, editor.version[uri])))
            else:
                answer.cancel()  # the future only: some answers are for nobody
                ids = [i for i, f in editor.protocol._request_futures.items() if f.cancelled()]
                for msg_id in ids:
                    editor.protocol._request_futures.pop(msg_id)
                    editor.protocol.notify("$/cancelRequest", {"id": msg_id})
        elif kind < 0.12:
            instruction = "replace x with y"
            command = editor.command("redraft.server.refactorFile", uri=uri, instruction=instruction)
            under_way.append(asyncio.ensure_future(command))
        if number % 50 == 0:
            await asyncio.sleep(0.01)
    await asyncio.wait_for(asyncio.gather(*under_way, return_exceptions=True), 60)
    state = await editor.debug("text", uri=uri)
    assert state.version == editor.version[uri]
    assert state.text == editor.text[uri]
    # At rest a suggestion comes and fits; with a NUL in it the text would count as binary.
    while (nul := editor.text[uri].find("\0")) >= 0:
        editor.type(uri, nul, nul + 1, "")
    version = editor.version[uri]
    await take(editor.inline(uri, len(editor.text[uri])), version)
    assert (await editor.debug("text", uri=uri)).text == editor.text[uri]
    assert shown
    assert await editor.end() == 0

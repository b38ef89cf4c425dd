"""`redraft/watch` over stdio with the embedded model: every step arrives, in order, before the answer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from lsprotocol import types as t
from pygls.exceptions import JsonRpcException

BROKEN = "def total(items)\n    s = 0\n    for i in items:\n        s += i\n    return s\n"
GOOD = BROKEN.replace("items)\n", "items):\n")


@pytest.fixture
def news(editor) -> list[Any]:
    found: list[Any] = []

    @editor.feature("redraft/denoise")
    def _(params: Any) -> None:
        found.append(params)
        editor.news.set()

    return found


async def watch(editor, uri: str, **params: Any) -> Any:
    return await editor.wait(
        editor.protocol.send_request_async("redraft/watch", {"token": "a", "uri": uri, **params})
    )


def vars_of(position: t.Position) -> dict[str, int]:
    return place(position.line, position.character)


def place(line: int, character: int) -> dict[str, int]:
    return {"line": line, "character": character}


async def test_a_fix_is_shown_step_by_step(editor, news):
    await editor.start()
    await editor.ready()
    uri = editor.open(BROKEN)
    answer = await watch(editor, uri, task="fix", position=place(0, 5))
    assert answer.status == "offered"
    edits = [SimpleNamespace(range=e.range, new_text=e.newText) for e in answer.edits]
    editor.apply(uri, edits)
    assert editor.text[uri] == GOOD
    assert [n.frames[0].forwards for n in news] == list(range(1, len(news) + 1))
    assert {n.token for n in news} == {"a"}
    last = news[-1].frames[0]
    assert last.finished
    assert "".join(cell[0] for cell in last.cells) == GOOD.rstrip()
    assert any(cell[1] == "revised" for n in news for cell in n.frames[0].cells)
    assert not editor.applied, "nothing is applied by the server"


async def test_two_ways_to_decode_side_by_side(editor, news):
    """The same spans by diffusion and autoregressively: two streams, each with its own costs."""
    await editor.start()
    await editor.ready()
    text = GOOD.replace("s = 0", 'x = "😀"; s = 0').replace("\n", "\r\n")
    uri = editor.open(text)
    first, second = text.index("s = 0"), text.index("return s")
    spans = [(first, first + 5), (second, second + 8)]
    ranges = [
        {"start": vars_of(editor.position(text, a)), "end": vars_of(editor.position(text, b))}
        for a, b in spans
    ]
    assert ranges[0]["start"] == place(1, 14), "the emoji counts twice"
    both = await asyncio.gather(
        watch(editor, uri, token="left", task="fill", ranges=ranges),
        watch(editor, uri, token="right", task="fill", ranges=ranges, policy="autoregressive"),
    )
    assert [a.token for a in both] == ["left", "right"]
    for answer in both:
        mine = [n for n in news if n.token == answer.token]
        assert mine[-1].cost.forwards == answer.cost.forwards
        assert {f.region for n in mine for f in n.frames} == {0, 1}
        for edit in answer.edits:
            start, end = (editor.offset(text, getattr(edit.range, side)) for side in ("start", "end"))
            assert any(a <= start <= end <= b for a, b in spans)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"task": "fill"}, "needs `ranges`"),
        ({"task": "fly"}, "one of fill, fix, refactor"),
        ({"task": "fix"}, "needs a `range` or a `position`"),
        ({"task": "refactor"}, "needs an `instruction`"),
        ({"task": "fix", "position": place(0, 0), "policy": "nonsense"}, "nonsense"),
        ({"task": "fix", "position": "here"}, "`position`"),
        ({"task": "fill", "ranges": [None]}, "`ranges`"),
        ({"task": "fix", "position": place(0, 0), "colour": 1}, "does not know colour"),
        ({"task": "fix", "position": place(0, 0), "ranges": []}, "does not know ranges"),
        ({"task": "fix", "position": {"line": 0, "character": True}}, "`character`"),
        ({"task": "fix", "position": place(0, 0), "token": ""}, "needs a `token`"),
        ({"task": "fix", "position": place(0, 0), "version": 7}, "has changed"),
        ({"task": "fix", "position": place(0, 0), "workDoneToken": []}, "`workDoneToken`"),
    ],
)
async def test_what_is_wrong_is_said(editor, params, said):
    await editor.start()
    await editor.ready()
    uri = editor.open(BROKEN)
    with pytest.raises(JsonRpcException, match=said):
        await watch(editor, uri, **params)
    assert (await watch(editor, uri, task="fix", position=place(0, 5))).status == "offered"


async def test_a_stream_can_be_cancelled(editor, news):
    """After `$/cancelRequest` no further step arrives, and the worker is free."""
    await editor.start("serve", "--debug")
    await editor.ready()
    uri = editor.open("\n\n".join(GOOD.replace("total", f"total_{i}") for i in range(120)))
    params = {"token": "a", "uri": uri, "task": "refactor", "instruction": "use is None"}
    answer = editor.request("redraft/watch", params, "the-request")
    await editor.until(lambda: len(news) > 0)
    editor.cancel_request(t.CancelParams("the-request"))
    with pytest.raises(JsonRpcException):
        await editor.wait(answer)
    seen = len(news)
    await editor.until_state(lambda s: s.pending == 0)
    await asyncio.sleep(0.3)
    assert len(news) == seen


async def test_a_progress_bar_is_shown_where_there_is_a_token_for_it(editor, news):
    await editor.start()
    await editor.ready()
    uri = editor.open(BROKEN)

    def begun() -> int:
        return sum(value.get("title") == "Redraft: fix" for value in editor.progress_values)

    assert (await watch(editor, uri, task="fix", position=place(0, 5))).status == "offered"
    assert begun() == 0
    await watch(editor, uri, task="fix", position=place(0, 5), workDoneToken="mine")
    assert begun() == 1
    assert editor.progress_values[-1]["kind"] == "end"


async def test_a_stream_is_cancelled_by_its_progress_bar(editor, news):
    await editor.start("serve", "--debug")
    await editor.ready()
    uri = editor.open("\n\n".join(GOOD.replace("total", f"total_{i}") for i in range(120)))
    params = {"token": "a", "uri": uri, "task": "refactor", "instruction": "use is None"}
    answer = editor.request("redraft/watch", {**params, "workDoneToken": "mine"}, "the-request")
    await editor.until(lambda: len(news) > 0)
    editor.window_work_done_progress_cancel(t.WorkDoneProgressCancelParams("mine"))
    assert (await editor.wait(answer)).status == "stopped"


async def test_a_stream_of_the_same_name_replaces_the_older_one(editor, news):
    """In another document too: what arrives afterwards under that name is the new stream's."""
    await editor.start("serve", "--debug")
    await editor.ready()
    long = editor.open("\n\n".join(GOOD.replace("total", f"total_{i}") for i in range(120)))
    short = editor.open(BROKEN, "file:///project/b.py")
    params = {"token": "a", "uri": long, "task": "refactor", "instruction": "use is None"}
    first = editor.request("redraft/watch", params, "the-request")
    await editor.until(lambda: len(news) > 0)
    second = await watch(editor, short, task="fix", position=place(0, 5))
    assert (await editor.wait(first)).status == "stopped"
    assert second.status == "offered"
    assert len(news[-1].frames) == 1

"""Commands over stdio: fixes and refactorings, from the question to the applied edit."""

from __future__ import annotations

import pytest
from lsprotocol import types as t
from pygls.exceptions import JsonRpcException

FAKE = ("serve", "--engine", "fake:completion=hello()")
GATED = ("serve", "--engine", "fake:completion=hello(),steps=50,gate")
TOP = "# top\n\n\n"
BROKEN = "def f(x)\n    return x\n\n\ndef g(y):\n    return y\n"


@pytest.mark.parametrize("way", ["cancelRequest", "workDoneProgress/cancel", "command"])
async def test_commands_can_be_cancelled_in_every_way(editor, way):
    await editor.start(*GATED)
    await editor.ready()
    uri = editor.open(BROKEN)
    params = t.ExecuteCommandParams(
        "redraft.server.refactorFile",
        [{"uri": uri, "instruction": "replace x with z"}],
        work_done_token="bar",
    )
    answer = editor.command_as(params, "the-command")
    await editor.debug("allow", steps=5)
    await editor.until_state(lambda s: s.stepsBegun == 6)
    await editor.until(lambda: any(v.get("percentage") == 10 for v in editor.progress_values))
    if way == "cancelRequest":
        editor.cancel_request(t.CancelParams("the-command"))
        with pytest.raises(JsonRpcException):
            await editor.wait(answer)
    elif way == "command":
        assert (await editor.wait(editor.command("redraft.server.cancel"))).stopped == 1
        assert (await editor.wait(answer)).status == "stopped"
    else:
        editor.window_work_done_progress_cancel(t.WorkDoneProgressCancelParams("bar"))
        assert (await editor.wait(answer)).status == "stopped"
    await editor.debug("allow", steps=-1)
    state = await editor.until_state(lambda s: s.pending == 0)
    assert state.steps == 6  # the one that was running, and no more
    assert editor.text[uri] == BROKEN
    assert not editor.applied


async def test_fix_is_applied_with_progress_version_and_annotation(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open(BROKEN)
    editor.type(uri, len(BROKEN), len(BROKEN), "\n")
    done = await editor.wait(
        editor.command("redraft.server.fix", uri=uri, position={"line": 1, "character": 4})
    )
    assert done.applied
    assert editor.text[uri] == BROKEN.replace("f(x)", "f(x):") + "\n"
    [change] = editor.applied[0].edit.document_changes
    assert change.text_document.version == 2
    assert list(editor.applied[0].edit.change_annotations) == [change.edits[0].annotation_id]
    kinds = [v["kind"] if isinstance(v, dict) else v.kind for v in editor.progress_values]
    assert kinds.count("begin") == kinds.count("end") >= 1


async def test_without_document_changes_the_edit_is_plain(editor):
    await editor.start(*FAKE, document_changes=False)
    await editor.ready()
    uri = editor.open(BROKEN)
    await editor.wait(editor.command("redraft.server.fix", uri=uri, position={"line": 0, "character": 0}))
    assert editor.applied[0].edit.document_changes is None
    assert editor.text[uri] == BROKEN.replace("f(x)", "f(x):")


async def test_a_result_is_moved_over_changes_made_elsewhere_meanwhile(editor):
    await editor.start(*GATED)
    await editor.ready()
    uri = editor.open(TOP + BROKEN)
    answer = editor.command("redraft.server.fix", uri=uri, position={"line": 4, "character": 4})
    await editor.until_state(lambda s: s.stepsBegun == 1)
    editor.type(uri, 0, 0, "# above\n")
    at = editor.text[uri].index("return y")
    editor.type(uri, at, at, "# below\n    ")
    expected = editor.text[uri].replace("f(x)", "f(x):")
    await editor.debug("allow", steps=-1)
    assert (await editor.wait(answer)).applied
    assert editor.text[uri] == expected


async def test_a_result_whose_region_changed_is_refused_and_said(editor):
    await editor.start(*GATED)
    await editor.ready()
    uri = editor.open(BROKEN)
    answer = editor.command("redraft.server.fix", uri=uri, position={"line": 1, "character": 4})
    await editor.until_state(lambda s: s.stepsBegun == 1)
    at = editor.text[uri].index("return x")
    editor.type(uri, at, at + 8, "return 2")
    mine = editor.text[uri]
    await editor.debug("allow", steps=-1)
    done = await editor.wait(answer)
    assert not done.applied
    assert editor.text[uri] == mine
    assert any("changed meanwhile" in m for m in editor.messages)


async def test_what_the_engine_says_it_used_decides_what_is_stale(editor):
    """The fake engine fixes a block of lines; a change in it below the edited line is a change of its input,
    a change in the next block is not, though both are in one function."""
    await editor.start(*GATED)
    await editor.ready()
    text = "def f(x)\n    y = x\n\n    return y\n"
    for marker, fits in (("return y", True), ("y = x", False)):
        uri = editor.open(text, f"file:///project/{fits}.py")
        answer = editor.command("redraft.server.fix", uri=uri, position={"line": 0, "character": 4})
        await editor.until_state(lambda s: s.pending == 1)
        at = editor.text[uri].index(marker)
        editor.type(uri, at, at, "z")
        await editor.debug("allow", steps=50)
        assert (await editor.wait(answer)).applied is fits


async def test_a_document_that_changes_under_the_edit_gets_it_again(editor):
    """The editor refuses an old version; the edit is moved on and offered once more."""
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open(TOP + BROKEN)
    editor.before_apply = lambda: editor.type(uri, 0, 0, "# late\n")
    done = await editor.wait(
        editor.command("redraft.server.fix", uri=uri, position={"line": 4, "character": 4})
    )
    assert done.applied
    assert len(editor.applied) == 2
    assert editor.text[uri] == "# late\n" + TOP + BROKEN.replace("f(x)", "f(x):")


async def test_an_edit_that_the_editor_refuses_is_said(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open(BROKEN)
    editor.refuse_edits = True
    done = await editor.wait(
        editor.command("redraft.server.fix", uri=uri, position={"line": 1, "character": 0})
    )
    assert not done.applied
    assert any("the user said no" in m for m in editor.messages)


async def test_a_preview_that_the_user_leaves_is_not_said(editor):
    await editor.start(*FAKE, options={"refactor": {"needsConfirmation": True}})
    await editor.ready()
    uri = editor.open("x = 1\n")
    editor.refuse_edits, editor.refusal = True, None
    wanted = editor.command("redraft.server.refactorFile", uri=uri, instruction="replace x with y")
    done = await editor.wait(wanted)
    assert done.status == "offered"
    assert not done.applied
    assert not editor.messages


async def test_the_worker_is_free_while_an_edit_waits_for_the_user(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open(BROKEN)
    states: list[object] = []

    def ask() -> None:
        states.append(editor.inline(uri, 3))

    editor.before_apply = ask
    await editor.wait(editor.command("redraft.server.fix", uri=uri, position={"line": 1, "character": 0}))
    await editor.wait(states[0])
    assert (await editor.debug("state")).pending == 0

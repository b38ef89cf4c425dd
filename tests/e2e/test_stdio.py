"""The real server over stdio: how it starts, what it announces, its states and settings."""

from __future__ import annotations

import pytest
from lsprotocol import types as t
from pygls.exceptions import JsonRpcException

FAKE = ("serve", "--engine", "fake:completion=hello()")
GATED = ("serve", "--engine", "fake:completion=hello(),steps=50,gate")
BROKEN = "def f(x)\n    return x\n\n\ndef g(y):\n    return y\n"


async def test_initialize_is_answered_before_any_model_library_is_imported(editor):
    await editor.start(*GATED)
    state = await editor.debug("state")
    assert state.modules == []


async def test_advertises_inline_completion_and_only_its_own_commands(editor):
    """`InlineCompletionOptions()` must be given; server commands are `redraft.server.*`."""
    result = await editor.start(*FAKE)
    can = result.capabilities
    assert can.inline_completion_provider is not None
    assert can.completion_provider is None
    assert all(c.startswith("redraft.server.") for c in can.execute_command_provider.commands)
    assert set(can.code_action_provider.code_action_kinds) == {"quickfix", "refactor.rewrite"}


async def test_loading_is_shown_with_progress_and_statuses(editor):
    await editor.start(*FAKE)
    await editor.ready()
    assert editor.statuses[0].state == "loading"
    assert editor.statuses[-1].state == "ready"
    uri = editor.open("x = ")
    await editor.wait(editor.inline(uri, 4))
    await editor.until(lambda: [s.state for s in editor.statuses][-2:] == ["busy", "ready"])


async def test_a_model_that_fails_to_load_leaves_a_server_that_says_so(editor):
    await editor.start("serve", "--engine", "fake:fail=truncated file")
    await editor.ready()
    assert editor.statuses[-1].state == "error"
    assert "truncated file" in editor.statuses[-1].message
    assert "redraft doctor" in editor.statuses[-1].message
    uri = editor.open(BROKEN)
    assert (await editor.wait(editor.inline(uri, 3))).items in ((), [])
    with pytest.raises(JsonRpcException, match="truncated file"):
        await editor.wait(editor.command("redraft.server.fix", uri=uri, position={"line": 0, "character": 0}))
    assert await editor.end() == 0


async def test_an_error_in_a_step_is_an_empty_list_for_inline_clients(editor):
    """A fix says it; grey text that does not come needs no notice."""
    await editor.start("serve", "--engine", "fake:crash=out of memory")
    await editor.ready()
    uri = editor.open(BROKEN)
    assert not (await editor.wait(editor.inline(uri, 3))).items
    with pytest.raises(JsonRpcException):
        await editor.wait(editor.command("redraft.server.fix", uri=uri, position={"line": 0, "character": 0}))


async def test_code_actions_carry_commands_and_ask_no_model(editor):
    await editor.start(*GATED)
    await editor.ready()
    uri = editor.open(BROKEN)
    at = t.Range(t.Position(0, 5), t.Position(0, 5))
    params = t.CodeActionParams(t.TextDocumentIdentifier(uri), at, t.CodeActionContext([]))
    answer = editor.request(t.TEXT_DOCUMENT_CODE_ACTION, params, "actions")
    editor.protocol._result_types.pop("actions")  # lsprotocol reads an action with a command as a command
    actions = await editor.wait(answer)
    assert "Fix this function" in [a["title"] for a in actions]
    assert all(a["command"]["command"].startswith("redraft.server.") for a in actions)
    assert not any("edit" in a or "isPreferred" in a for a in actions)
    assert {a["kind"] for a in actions} <= {"quickfix", "refactor.rewrite"}
    assert (await editor.debug("state")).runs == 0


async def test_settings_are_live(editor):
    """Dynamic registration plus `workspace/configuration`."""
    editor.settings = {"inline": {"enable": False}}
    await editor.start(*FAKE, configuration=True)
    await editor.ready()
    await editor.until(lambda: t.WORKSPACE_DID_CHANGE_CONFIGURATION in editor.registered)
    uri = editor.open("x = ")
    assert not (await editor.wait(editor.inline(uri, 4))).items
    editor.settings = {"inline": {"enable": True}, "nonsense": 1, "threads": "many"}
    editor.workspace_did_change_configuration(t.DidChangeConfigurationParams(None))
    await editor.until(lambda: any("redraft.nonsense" in m for m in editor.messages))
    assert any("redraft.threads" in m and "whole number" in m for m in editor.messages)
    assert (await editor.wait(editor.inline(uri, 4))).items


async def test_switched_off_is_shown_as_paused(editor):
    await editor.start(*FAKE)
    await editor.ready()
    settings = {"redraft": {"enable": False}}
    editor.workspace_did_change_configuration(t.DidChangeConfigurationParams(settings))
    await editor.until(lambda: editor.statuses[-1].state == "paused")
    uri = editor.open("x = ")
    assert not (await editor.wait(editor.inline(uri, 4))).items

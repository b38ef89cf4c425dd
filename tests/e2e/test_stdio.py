"""The real server over stdio: DESIGN section 7, point by point, where it takes a process to see it."""

from __future__ import annotations

import pytest
from lsprotocol import types as t
from pygls.exceptions import JsonRpcException

FAKE = ("serve", "--engine", "fake:completion=hello()")
GATED = ("serve", "--engine", "fake:completion=hello(),steps=50,gate")
TOP = "# top\n\n\n"
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


async def test_inline_item_has_an_explicit_empty_range_and_a_command(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open("x = \n")
    [item] = (await editor.wait(editor.inline(uri, 4))).items
    assert item.insert_text == "hello()"
    assert item.range == t.Range(t.Position(0, 4), t.Position(0, 4))
    assert item.command.command == "redraft.server.accepted"
    await editor.wait(editor.command(item.command.command, uri=uri))
    assert (await editor.debug("state")).accepted == 1


async def test_selected_completion_info_is_extended(editor):
    """With the widget open an item that does not extend the selected text stays hidden."""
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open("os.pa\n")
    where = t.Range(t.Position(0, 3), t.Position(0, 5))
    selected = t.SelectedCompletionInfo(where, "path")
    [item] = (await editor.wait(editor.inline(uri, 5, selected=selected))).items
    assert item.insert_text == "pathhello()"
    assert item.range == where


async def test_an_answer_for_an_old_version_is_an_empty_list(editor):
    """Another error would pop up a notice."""
    await editor.start(*GATED)
    await editor.ready()
    uri = editor.open("x = \n")
    answer = editor.inline(uri, 4)
    await editor.until_state(lambda s: s.stepsBegun == 1)
    editor.type(uri, 0, 0, "y")
    await editor.debug("allow", steps=-1)
    assert not (await editor.wait(answer)).items


async def test_a_change_right_behind_a_request_does_not_reach_its_snapshot(listen, make_editor):
    """Over TCP both come in one packet: the handler's first half must have run before the change."""
    where = await listen("--tcp", "0")
    editor = make_editor()
    await editor.start_tcp(where["host"], where["port"])
    await editor.hello({"token": where["token"]})
    await editor.ready()
    uri = editor.open("")
    chunks: list[bytes] = []
    writer = editor.protocol.writer

    class Together:
        def write(self, data: bytes) -> None:
            chunks.append(data)

    editor.protocol.writer = Together()
    answer = editor.inline(uri, 0)
    editor.type(uri, 0, 0, "ab")
    editor.protocol.writer = writer
    writer.write(b"".join(chunks))
    assert not (await editor.wait(answer)).items  # for version 1, and 2 is current
    await editor.kill()


async def test_cancel_stops_the_work_within_one_step(editor):
    """`$/cancelRequest` cancels the coroutine (-32800); the worker has to be told."""
    await editor.start(*GATED)
    await editor.ready()
    uri = editor.open("x = \n")
    params = t.InlineCompletionParams(
        t.InlineCompletionContext(t.InlineCompletionTriggerKind.Invoked),
        t.TextDocumentIdentifier(uri),
        t.Position(0, 4),
    )
    answer = editor.request(t.TEXT_DOCUMENT_INLINE_COMPLETION, params, "the-request")
    await editor.until_state(lambda s: s.stepsBegun == 1)
    await editor.debug("allow", steps=3)
    await editor.until_state(lambda s: s.stepsBegun == 4)
    editor.cancel_request(t.CancelParams("the-request"))
    with pytest.raises(JsonRpcException) as error:
        await editor.wait(answer)
    assert error.value.code == -32800
    await editor.debug("allow", steps=-1)
    state = await editor.until_state(lambda s: s.pending == 0)
    assert state.steps == 4  # the one that was running, and no more


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


async def test_an_error_in_a_step_is_an_empty_list_for_inline_clients(editor):
    """A fix says it; grey text that does not come needs no notice."""
    await editor.start("serve", "--engine", "fake:crash=out of memory")
    await editor.ready()
    uri = editor.open(BROKEN)
    assert not (await editor.wait(editor.inline(uri, 3))).items
    with pytest.raises(JsonRpcException):
        await editor.wait(editor.command("redraft.server.fix", uri=uri, position={"line": 0, "character": 0}))


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


async def test_clients_without_inline_completion_get_a_completion_item(editor):
    result = await editor.start(*FAKE, inline=False)
    assert result.capabilities.completion_provider is not None
    await editor.ready()
    uri = editor.open("x = foo\n")
    found = await editor.wait(
        editor.text_document_completion_async(
            t.CompletionParams(t.TextDocumentIdentifier(uri), t.Position(0, 7))
        )
    )
    [item] = found.items
    assert found.is_incomplete
    assert item.filter_text == "foohello()"
    assert item.text_edit.new_text == "foohello()"
    assert item.text_edit.range == t.Range(t.Position(0, 4), t.Position(0, 7))
    assert item.insert_text_mode == t.InsertTextMode.AsIs


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


async def test_the_delay_ends_with_a_cancel_or_a_newer_request(editor):
    await editor.start(*FAKE, options={"inline": {"delayMs": 3_600_000}})
    await editor.ready()
    uri = editor.open("x = ")
    older = editor.inline(uri, 4, invoked=False)
    newer = editor.inline(uri, 4)
    assert not (await editor.wait(older)).items
    assert (await editor.wait(newer)).items
    context = t.InlineCompletionContext(t.InlineCompletionTriggerKind.Automatic)
    params = t.InlineCompletionParams(context, t.TextDocumentIdentifier(uri), t.Position(0, 3))
    waiting = editor.request(t.TEXT_DOCUMENT_INLINE_COMPLETION, params, "waits")
    editor.cancel_request(t.CancelParams("waits"))
    with pytest.raises(JsonRpcException):
        await editor.wait(waiting)


async def test_nothing_comes_by_itself_in_a_comment(editor):
    await editor.start(*FAKE, options={"inline": {"delayMs": 1}})
    await editor.ready()
    uri = editor.open("# a word\nx = \n")
    assert not (await editor.wait(editor.inline(uri, 8, invoked=False))).items
    assert (await editor.wait(editor.inline(uri, 8))).items
    assert (await editor.wait(editor.inline(uri, 13, invoked=False))).items


async def test_typing_along_a_suggestion_asks_no_model(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open("x = \n")
    await editor.wait(editor.inline(uri, 4))
    editor.type(uri, 4, 4, "hel")
    [item] = (await editor.wait(editor.inline(uri, 7, invoked=False))).items
    assert item.insert_text == "lo()"
    assert (await editor.debug("state")).runs == 1


async def test_after_an_acceptance_the_next_completion_is_ready(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open("x = \n")
    [item] = (await editor.wait(editor.inline(uri, 4))).items
    editor.type(uri, 4, 4, item.insert_text)
    await editor.wait(editor.command(item.command.command, uri=uri))
    await editor.until_state(lambda s: s.runs == 2 and s.pending == 0)
    [item] = (await editor.wait(editor.inline(uri, 4 + len("hello()"), invoked=False))).items
    assert item.insert_text == "hello()"
    assert (await editor.debug("state")).runs == 2


async def test_a_completion_that_is_being_prepared_is_waited_for(editor):
    """Asking the model the same thing a second time would throw the work away."""
    await editor.start(*GATED)
    await editor.ready()
    uri = editor.open("x = \n")
    answer = editor.inline(uri, 4)
    await editor.until_state(lambda s: s.stepsBegun == 1)
    await editor.debug("allow", steps=50)
    [item] = (await editor.wait(answer)).items
    editor.type(uri, 4, 4, item.insert_text)
    await editor.wait(editor.command(item.command.command, uri=uri))
    await editor.until_state(lambda s: s.runs == 2 and s.stepsBegun == 51)
    answer = editor.inline(uri, 4 + len("hello()"), invoked=False)
    await editor.debug("allow", steps=-1)
    assert (await editor.wait(answer)).items
    assert (await editor.debug("state")).runs == 2


async def test_typing_on_stops_what_is_being_prepared(editor):
    await editor.start(*GATED)
    await editor.ready()
    uri = editor.open("x = \n")
    answer = editor.inline(uri, 4)
    await editor.until_state(lambda s: s.stepsBegun == 1)
    await editor.debug("allow", steps=50)
    [item] = (await editor.wait(answer)).items
    editor.type(uri, 4, 4, item.insert_text)
    await editor.wait(editor.command(item.command.command, uri=uri))
    await editor.until_state(lambda s: s.stepsBegun == 51)
    editor.type(uri, 0, 0, "y")
    await editor.debug("allow", steps=-1)
    assert (await editor.until_state(lambda s: s.pending == 0)).steps == 51


async def test_too_little_is_shown_only_when_asked_for(editor):
    script = "fake:completion=)"
    await editor.start("serve", "--engine", script, options={"inline": {"delayMs": 1}})
    await editor.ready()
    uri = editor.open("x = \n")
    assert not (await editor.wait(editor.inline(uri, 4, invoked=False))).items
    assert (await editor.wait(editor.inline(uri, 4))).items

"""Suggestions over stdio: what comes, when, and what is thrown away."""

from __future__ import annotations

import asyncio

import pytest
from lsprotocol import types as t
from pygls.exceptions import JsonRpcException

FAKE = ("serve", "--engine", "fake:completion=hello()")
GATED = ("serve", "--engine", "fake:completion=hello(),steps=50,gate")


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


async def accepted_while_the_next_is_prepared(editor) -> str:
    """The document's URI: `x = hello()`, and the first step of the completion behind it has begun."""
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
    return uri


async def test_a_completion_that_is_being_prepared_is_waited_for(editor):
    """Asking the model the same thing a second time would throw the work away."""
    uri = await accepted_while_the_next_is_prepared(editor)
    answer = editor.inline(uri, 4 + len("hello()"), invoked=False)
    await editor.debug("allow", steps=-1)
    assert (await editor.wait(answer)).items
    assert (await editor.debug("state")).runs == 2


async def test_typing_on_stops_what_is_being_prepared(editor):
    uri = await accepted_while_the_next_is_prepared(editor)
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


async def test_who_asks_gets_several_suggestions_and_typing_along_any_of_them_needs_no_model(editor):
    await editor.start("serve", "--engine", "fake:completion=hello(),others=help()|world()|more()")
    await editor.ready()
    uri = editor.open("x = \n")
    for _ in range(2):
        found = (await editor.wait(editor.inline(uri, 4))).items
        assert [item.insert_text for item in found] == ["hello()", "help()", "world()"]
    runs = (await editor.debug("state")).runs
    [item] = (await editor.wait(editor.inline(uri, 4, invoked=False))).items
    assert item.insert_text == "hello()"
    editor.type(uri, 4, 4, "wor")
    [item] = (await editor.wait(editor.inline(uri, 7, invoked=False))).items
    assert item.insert_text == "ld()"
    assert (await editor.debug("state")).runs == runs


async def test_the_same_place_without_a_suggestion_is_not_asked_about_again(editor):
    await editor.start("serve", "--engine", "fake:completion=")
    await editor.ready()
    uri = editor.open("x = \n")
    assert not (await editor.wait(editor.inline(uri, 4, invoked=False))).items
    runs = (await editor.debug("state")).runs
    editor.type(uri, 4, 4, "y")
    editor.type(uri, 4, 5, "")
    assert not (await editor.wait(editor.inline(uri, 4, invoked=False))).items
    assert (await editor.debug("state")).runs == runs
    await editor.wait(editor.inline(uri, 4))
    assert (await editor.debug("state")).runs == runs + 1


async def test_what_was_deleted_does_not_come_back_by_itself(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open("x = hello()\n")
    editor.type(uri, 4, 11, "")
    assert not (await editor.wait(editor.inline(uri, 4, invoked=False))).items
    assert (await editor.wait(editor.inline(uri, 4))).items
    editor.configure({"inline": {"manners": {"respectDeletions": False}}})
    assert (await editor.wait(editor.inline(uri, 4, invoked=False))).items


async def test_an_answer_behind_its_deadline_is_there_for_the_next_key(editor):
    """The question is answered in time, with nothing; the work goes on, and typing along finds it done."""
    await editor.start(*GATED)
    await editor.ready()
    editor.configure({"inline": {"deadlineMs": 1}})
    uri = editor.open("x = \n")
    answer = editor.inline(uri, 4, invoked=False)
    await editor.until_state(lambda s: s.stepsBegun == 1)
    await editor.debug("allow", steps=1)
    assert not (await editor.wait(answer)).items
    await editor.debug("allow", steps=-1)
    runs = (await editor.until_state(lambda s: s.pending == 0)).runs
    editor.type(uri, 4, 4, "hel")
    [item] = (await editor.wait(editor.inline(uri, 7, invoked=False))).items
    assert item.insert_text == "lo()"
    assert (await editor.debug("state")).runs == runs


async def test_who_asks_again_behind_a_deadline_gets_the_same_work(editor):
    """However slow the model is, the same question is not begun anew."""
    await editor.start(*GATED)
    await editor.ready()
    editor.configure({"inline": {"deadlineMs": 1, "delayMs": 1}})
    uri = editor.open("x = \n")
    for _ in range(3):
        answer = editor.inline(uri, 4, invoked=False)
        for _ in range(12):  # of 50 steps
            await editor.debug("allow", steps=1)
            await asyncio.sleep(0.05)
            if answer.done():
                break
        assert not (await editor.wait(answer)).items
    await editor.debug("allow", steps=-1)
    await editor.until_state(lambda s: s.pending == 0)
    [item] = (await editor.wait(editor.inline(uri, 4, invoked=False))).items
    assert item.insert_text == "hello()"
    assert (await editor.debug("state")).runs == 1


async def test_a_question_that_a_newer_one_ended_may_be_asked_again(editor):
    """Nothing came of it, which is not the same as that there is nothing."""
    await editor.start(*GATED)
    await editor.ready()
    uri = editor.open("x = \ny = \n")
    first = editor.inline(uri, 4, invoked=False)
    await editor.until_state(lambda s: s.stepsBegun == 1)
    second = editor.inline(uri, 9, invoked=False)
    assert not (await editor.wait(first)).items
    await editor.debug("allow", steps=-1)
    assert (await editor.wait(second)).items
    assert (await editor.wait(editor.inline(uri, 4, invoked=False))).items


async def test_work_behind_a_deadline_ends_with_its_document(editor):
    await editor.start(*GATED)
    await editor.ready()
    editor.configure({"inline": {"deadlineMs": 1}})
    uri = editor.open("x = \n")
    answer = editor.inline(uri, 4, invoked=False)
    await editor.until_state(lambda s: s.stepsBegun == 1)
    await editor.debug("allow", steps=1)
    assert not (await editor.wait(answer)).items
    await editor.until_state(lambda s: s.stepsBegun == 2)
    editor.text_document_did_close(t.DidCloseTextDocumentParams(t.TextDocumentIdentifier(uri)))
    await editor.debug("allow", steps=-1)
    state = await editor.until_state(lambda s: s.pending == 0)
    assert state.steps == 2


async def test_an_answer_for_other_settings_is_not_kept(editor):
    await editor.start(*GATED)
    await editor.ready()
    editor.configure({"inline": {"deadlineMs": 1}})
    uri = editor.open("x = \n")
    answer = editor.inline(uri, 4, invoked=False)
    await editor.until_state(lambda s: s.stepsBegun == 1)
    editor.configure({"inline": {"multiline": False}})
    await editor.debug("allow", steps=-1)
    await editor.wait(answer)
    runs = (await editor.until_state(lambda s: s.pending == 0)).runs
    editor.type(uri, 4, 4, "h")
    await editor.wait(editor.inline(uri, 5, invoked=False))
    assert (await editor.debug("state")).runs == runs + 1


async def test_a_deletion_hides_a_suggestion_only_while_it_is_the_last_thing_done(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open("x = hello()\n")
    editor.type(uri, 4, 11, "")
    assert not (await editor.wait(editor.inline(uri, 4, invoked=False))).items
    editor.type(uri, 4, 4, "zz")
    editor.type(uri, 4, 6, "")
    assert (await editor.wait(editor.inline(uri, 4, invoked=False))).items


async def test_asking_for_several_leaves_the_first_suggestion_the_first(editor):
    await editor.start("serve", "--engine", "fake:completion=hello(),others=help()|world()")
    await editor.ready()
    uri = editor.open("x = \n")
    for invoked in (False, True, False, True, False):
        found = (await editor.wait(editor.inline(uri, 4, invoked=invoked))).items
        assert found[0].insert_text == "hello()"


async def test_who_asks_while_the_model_is_loaded_is_let_wait(editor):
    await editor.start(*FAKE)
    uri = editor.open("x = \n")
    assert (await editor.wait(editor.inline(uri, 4))).items


async def test_no_suggestion_by_itself_in_prose_or_behind_the_last_line(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open("Dear Sir,\n", uri="file:///letter.txt", language="plaintext")
    assert not (await editor.wait(editor.inline(uri, 10, invoked=False))).items
    assert (await editor.wait(editor.inline(uri, 10))).items
    assert not (await editor.wait(editor.inline(uri, t.Position(99, 0)))).items


async def test_a_suggestion_that_says_too_little_is_not_shown_the_second_time_either(editor):
    await editor.start("serve", "--engine", "fake:completion=)")
    await editor.ready()
    uri = editor.open("x = \n")
    for _ in range(3):
        assert not (await editor.wait(editor.inline(uri, 4, invoked=False))).items
    assert (await editor.debug("state")).runs == 1
    assert (await editor.wait(editor.inline(uri, 4))).items

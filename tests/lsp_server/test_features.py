"""The pure functions of the features, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types as t

from lsp_server import suggest
from lsp_server.documents import Snapshot
from lsp_server.features import code_action, command, completion, configuration, status
from lsp_server.job import WorkerStatus
from lsp_server.settings import InlineSettings, RefactorSettings, Settings
from lsp_server.suggest import Offer
from lsp_server.suggestions import Suggestion, Suggestions
from model.editing.edit import Edit, apply
from model.editing.source import Span
from model.fake import FakeEngine
from model.request import Complete, Document, Fix, Proposal, Refactor, Request

BROKEN = "def f(x)\n    return x\n\n\ndef g(y):\n    return y\n"


def offered(*edits: Edit) -> Proposal:
    return Proposal("offered", edits)


def one_edit(snapshot: Snapshot, task: Complete, proposal: Proposal) -> Edit | None:
    return next(iter(suggest.to_edits(snapshot, task, proposal)), None)


def test_an_edit_over_several_lines_is_not_shown():
    """Inline items are on one line; the inserted text may have several."""
    snapshot = Snapshot("u", 1, "ab\ncd")
    assert one_edit(snapshot, Complete(1), offered(Edit(1, 4, "x"))) is None
    assert one_edit(snapshot, Complete(1), offered(Edit(1, 1, "x\ny"))) == Edit(1, 1, "x\ny")


def test_an_edit_must_extend_the_widgets_text():
    snapshot = Snapshot("u", 1, "os.pa")
    task = Complete(5, replace=Span(3, 5), start_with="path")
    assert one_edit(snapshot, task, offered(Edit(5, 5, "th.join"))) == Edit(3, 5, "path.join")
    assert one_edit(snapshot, task, offered(Edit(5, 5, "ss"))) is None


def test_several_edits_become_one():
    edit = suggest.cover("f(abc)", [Edit(5, 5, "x"), Edit(2, 3, "")], Span(5, 5))
    assert edit == Edit(2, 5, "bcx")
    assert apply([edit], "f(abc)") == "f(bcx)"


def test_nothing_to_say_is_nothing_shown():
    snapshot = Snapshot("u", 1, "abc")
    for proposal in (Proposal("stopped"), Proposal("offered"), offered(Edit(1, 2, "b"))):
        assert one_edit(snapshot, Complete(1), proposal) is None


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("x = |", True), ("f(|)", True), ("f(|)):   ", True), ("|return something", False), ("a|b", False)],
)
def test_no_suggestion_by_itself_before_code_that_goes_on(line, wanted):
    cursor = line.index("|")
    snapshot = Snapshot("u", 1, line.replace("|", "") + "\nmore")
    settings = InlineSettings()
    assert suggest.is_wanted(snapshot, Complete(cursor), settings) is wanted
    assert suggest.is_wanted(snapshot, Complete(cursor, asked=True), settings)


def test_deciding_whether_to_wait_makes_no_tree():
    """Most requests are overtaken while they wait; a tree of a large file takes a second."""
    snapshot = Snapshot("u", 1, "x = 1\n" * 10, "python")
    assert suggest.is_wanted(snapshot, Complete(5), InlineSettings())
    assert "tree" not in vars(snapshot)


@given(st.text(max_size=8), st.text(max_size=8), st.text(min_size=1, max_size=8), st.integers(0, 8))
def test_typing_along_a_suggestion_shortens_it(before, after, insert, typed):
    kept = Suggestions()
    kept.remember(Suggestion("u", before + after, len(before), insert))
    begun = insert[:typed]
    now = before + begun + after
    assert kept.rest("u", now, len(before) + len(begun)) == insert[len(begun) :]
    assert kept.rest("other", now, len(before)) == ""
    kept.forget("u")
    assert kept.rest("u", now, len(before) + len(begun)) == ""


def test_other_typing_ends_a_suggestion():
    kept = Suggestions()
    kept.remember(Suggestion("u", "x = \n", 4, "hello"))
    assert kept.rest("u", "x = q\n", 5) == ""
    assert kept.rest("u", "y = h\n", 5) == ""
    assert kept.rest("u", "x = h;\n", 5) == ""


def test_a_completion_item_replaces_the_word_before_the_cursor():
    snapshot = Snapshot("u", 1, "x = foo")
    item = completion.item(snapshot, 7, Offer(Edit(7, 7, "bar()\n    more")))
    assert item.label == "foobar()"
    assert item.filter_text == item.text_edit.new_text == "foobar()\n    more"
    assert item.text_edit.range.start.character == 4
    assert completion.item(snapshot, 7, Offer(Edit(7, 7, "y" * 99))).label.endswith("…")
    assert completion.item(Snapshot("u", 1, ""), 0, Offer(Edit(0, 0, "\n"))).label


def listed(text: str, at: t.Range, *, only=None, diagnostics=(), settings=None) -> list[t.CodeAction]:
    context = t.CodeActionContext(diagnostics, only)
    snapshot = Snapshot("u", 1, text, "python")
    return code_action.list_actions(snapshot, at, context, settings or Settings(), FakeEngine())


HERE = t.Range(t.Position(0, 5), t.Position(0, 5))
SOUND = t.Range(t.Position(5, 5), t.Position(5, 5))


def test_actions_by_kind():
    """`context.only` is honoured, hierarchically; never `source.*`."""
    kinds = {a.kind for a in listed(BROKEN, HERE, only=["refactor"])}
    assert kinds == {"refactor.rewrite"}
    assert {a.kind for a in listed(BROKEN, HERE, only=["quickfix"])} == {"quickfix"}
    assert listed(BROKEN, HERE, only=["source.fixAll"]) == []
    assert listed(BROKEN, HERE, only=["refactor.rewrite.deep"]) == []
    assert listed(BROKEN, HERE, only=[""]) == listed(BROKEN, HERE)


def test_fix_this_function_is_a_quick_fix_where_something_is_wrong():
    [broken] = [a for a in listed(BROKEN, HERE) if a.title == "Fix this function"]
    assert broken.kind == "quickfix"
    sound_text = BROKEN.replace("f(x)", "f(x):")
    [sound] = [a for a in listed(sound_text, SOUND) if a.title == "Fix this function"]
    assert sound.kind == "refactor.rewrite"


def test_a_diagnostic_has_its_own_fix():
    diagnostic = t.Diagnostic(HERE, "expected ':'\nmore")
    actions = listed(BROKEN, HERE, diagnostics=[diagnostic])
    assert actions[0].title == "Fix with Redraft: expected ':'"
    assert actions[0].diagnostics == [diagnostic]
    assert actions[0].command.arguments[0]["message"] == "expected ':'\nmore"


def test_presets_for_clients_without_an_instruction_box():
    settings = Settings(refactor=RefactorSettings(presets=("Sort it", "Rename it")))
    titles = [a.title for a in listed(BROKEN, HERE, settings=settings)]
    assert {"Sort it", "Rename it"} < set(titles)
    selection = t.Range(t.Position(0, 0), t.Position(1, 0))
    [first] = [a for a in listed(BROKEN, selection, settings=settings) if a.title == "Sort it"]
    assert first.command.command == command.REFACTOR_SELECTION
    assert first.command.arguments[0]["range"]["end"] == {"line": 1, "character": 0}


def test_without_presets_what_the_model_knows_is_listed_where_it_could_apply():
    known = "replace old with new"
    text = "def f(old):\n    return old\n\n\ndef g(x):\n    return x\n"
    assert known in [a.title for a in listed(text, t.Range(t.Position(1, 4), t.Position(1, 4)))]
    assert known not in [a.title for a in listed(text, t.Range(t.Position(5, 4), t.Position(5, 4)))]
    context, snapshot = t.CodeActionContext([]), Snapshot("u", 1, text, "python")
    loading = code_action.list_actions(snapshot, HERE, context, Settings(), None)
    assert [a.title for a in loading] == ["Fix this function"], "the model is not there yet"


def test_the_character_under_a_cursor_is_no_selection():
    """Modal editors always have a selection; a refactoring is then of the definition, as at a cursor."""

    def range_of(text: str, at: t.Range) -> Any:
        presets = Settings(refactor=RefactorSettings(presets=("Sort it",)))
        [first] = [
            a for a in listed(text, at, settings=presets) if a.command.command == command.REFACTOR_SELECTION
        ]
        return first.command.arguments[0]["range"]

    sound = BROKEN.replace("f(x)", "f(x):")
    at_cursor = range_of(sound, HERE)
    assert at_cursor["end"]["line"] > 0
    assert range_of(sound, t.Range(t.Position(0, 5), t.Position(0, 6))) == at_cursor
    windows = sound.replace("\n", "\r\n")
    line_end = t.Range(t.Position(0, len("def f(x):")), t.Position(1, 0))
    assert range_of(windows, line_end) == range_of(windows, HERE)


def test_settings_under_our_name_or_without_it():
    ours = {"enable": False}
    assert configuration.section({"redraft": ours, "other": {}}) == ours
    assert configuration.section(ours) == ours


def test_the_fake_engine_says_what_its_edits_depend_on():
    """As the real one does: rebasing relies on it."""
    text = "import os\n\n\ndef f(x)\n    return x\n\n\na = x\n"
    inside = text.index("return")

    def regions(task):
        return [span.of(text) for span in FakeEngine().propose(Request(Document(text), task)).regions]

    assert regions(Fix(Span(inside, inside))) == ["def f(x)\n    return x"]
    assert regions(Refactor("replace os with z", Span(0, 9))) == ["import os"]
    assert regions(Refactor("replace x with z")) == ["def f(x)\n    return x", "a = x\n"]
    assert regions(Complete(3)) == [""]


def test_statuses_say_what_to_do():
    assert status.content(WorkerStatus("loading", "x", 0.5), enabled=True)["percentage"] == 50
    assert status.content(WorkerStatus("ready"), enabled=False)["state"] == "paused"
    error = status.content(WorkerStatus("error", "no such file."), enabled=True)
    assert "no such file." in error["message"]
    assert "redraft doctor" in error["message"]

"""Suggestions at a cursor: whether to make one, from what, and when it comes too late.

Knows the documents, what was suggested before and the worker; the LSP methods that answer with suggestions are beside
it (`inline_completion.py`, `completion.py`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from lsp_server.documents import Snapshot
from lsp_server.job import Job, NotReadyError, Priority
from lsp_server.loops import call_in
from lsp_server.settings import InlineSettings, Settings
from lsp_server.suggestions import Ahead, Suggestion
from model.editing.edit import Edit
from model.editing.source import Span
from model.editing.trim import should_complete
from model.request import Complete, Cost, Proposal

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

PATIENCE_MS = 2_000
"""How long who asked for a suggestion is let wait for it at least."""

_PROSE = frozenset(
    [
        "asciidoc",
        "bibtex",
        "git-commit",
        "gitcommit",
        "latex",
        "mail",
        "markdown",
        "org",
        "plaintext",
        "restructuredtext",
        "rst",
        "tex",
        "text",
    ]
)
"""Language identifiers of texts that are not code."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """A suggestion and what it took; nothing where an earlier answer still fits."""

    edit: Edit
    cost: Cost = field(default_factory=Cost)


async def suggest(ls: RedraftServer, snapshot: Snapshot, task: Complete) -> list[Offer]:
    """The suggestions for `task`, the best first. None where there is nothing to say, it is not wanted here, or it is
    overtaken by events."""
    newer = _overtake(ls, snapshot.uri)
    settings = ls.settings.inline
    if not is_wanted(snapshot, task, settings) or ls.refuses(snapshot):
        return []
    if (known := _known(ls, snapshot, task)) is not None:
        return known
    if not task.asked and await _rested(newer, _delay(ls)):
        return []
    can_wait = ("ready", "busy", "loading") if task.asked else ("ready", "busy")
    if not ls.is_current(snapshot) or ls.worker.status.state not in can_wait:
        return []
    if not should_complete(snapshot.text, task.cursor, snapshot.tree, task.asked, task.manners):
        return []  # only now: making the tree takes time, and most requests are overtaken while they wait
    try:
        proposal = await ls.result(_ask(ls, snapshot, task))
    except NotReadyError:
        return []
    except Exception:  # grey text that does not come needs no notice
        logger.exception("An inline completion failed.")
        return []
    if not ls.is_current(snapshot):
        return []
    edits = worth_showing(snapshot, task, proposal, settings)
    _remember(ls, snapshot, task, edits)
    return [Offer(edit, proposal.cost) for edit in edits if respects_deletion(snapshot, task, edit)]


def _known(ls: RedraftServer, snapshot: Snapshot, task: Complete) -> list[Offer] | None:
    """What an earlier answer says, without the model; None where none does."""
    if task.replace is not None or task.asked:  # who asks where a suggestion is shown wants others
        return None
    if rest := ls.suggestions.rest(snapshot.uri, snapshot.text, task.cursor):
        edit = Edit(task.cursor, task.cursor, rest)
        return [Offer(edit)] if respects_deletion(snapshot, task, edit) else []
    return [] if ls.suggestions.has_none(snapshot.uri, snapshot.text, task.cursor) else None


def _remember(ls: RedraftServer, snapshot: Snapshot, task: Complete, edits: Sequence[Edit]) -> None:
    """Keep suggestions for when a text that agrees comes."""
    if task.replace is None:
        for edit in reversed(edits):
            if edit.start == edit.end:
                ls.suggestions.remember(Suggestion(snapshot.uri, snapshot.text, task.cursor, edit.new))


def _ask(ls: RedraftServer, snapshot: Snapshot, task: Complete) -> Job:
    """The job for `task`: the one that is on it already, made urgent, or a new one. It goes on behind its deadline, so
    that the next key finds the prompt encoded, or the answer."""
    deadline_ms = ls.settings.inline.deadline_ms
    if task.asked:
        deadline_ms = max(deadline_ms, PATIENCE_MS)
    last = ls.ahead.get(snapshot.uri)
    if last is not None and last.fits(task, snapshot.version):
        last.is_prepared = False
        ls.worker.renew(last.job, Priority.INLINE, time.monotonic() + deadline_ms / 1000)
        return last.job
    return _begin(ls, snapshot, task, Priority.INLINE, deadline_ms)


def _begin(
    ls: RedraftServer, snapshot: Snapshot, task: Complete, priority: Priority, deadline_ms: int
) -> Job:
    last = ls.ahead.get(snapshot.uri)
    if last is not None:
        ls.worker.stop(last.job)
    job = ls.ask_engine(snapshot, task, priority, deadline_ms, goes_on=True)
    ls.ahead[snapshot.uri] = Ahead(task, snapshot.version, job, is_prepared=priority is Priority.AHEAD)
    loop, keep = asyncio.get_running_loop(), partial(_keep, ls, snapshot, task, ls.settings)
    job.ended.add_done_callback(lambda ended: call_in(loop, keep, ended))
    return job


def _keep(
    ls: RedraftServer, snapshot: Snapshot, task: Complete, settings: Settings, ended: Future[Proposal]
) -> None:
    """Remember what the work came to, in time or not; that there was nothing only where the model has said so."""
    if ended.exception() is not None or ls.settings is not settings or snapshot.uri not in ls.documents:
        return
    proposal = ended.result()
    edits = worth_showing(snapshot, task, proposal, settings.inline)
    _remember(ls, snapshot, task, edits)
    if not task.asked and task.replace is None and not edits and proposal.status != "stopped":
        ls.suggestions.remember_none(snapshot.uri, snapshot.text, task.cursor)


def prepare(ls: RedraftServer, snapshot: Snapshot) -> None:
    """After a suggestion was taken: have the next one ready before the editor asks for it."""
    cursor = ls.suggestions.cursor_after(snapshot.uri, snapshot.text)
    settings = ls.settings.inline
    if cursor is None or ls.worker.status.state not in ("ready", "busy"):
        return
    task = settings.task(cursor)
    if not is_wanted(snapshot, task, settings) or ls.refusal(snapshot.about):
        return
    if not should_complete(snapshot.text, cursor, snapshot.tree, manners=task.manners):
        return
    _begin(ls, snapshot, task, Priority.AHEAD, PATIENCE_MS)


def respects_deletion(snapshot: Snapshot, task: Complete, edit: Edit) -> bool:
    """Whether a suggestion was asked for, or is not what the user has just deleted."""
    if task.asked or not task.manners.respect_deletions or snapshot.deletion is None:
        return True
    return not snapshot.deletion.is_undone_by(edit.new, edit.start)


def worth_showing(
    snapshot: Snapshot, task: Complete, proposal: Proposal, settings: InlineSettings
) -> list[Edit]:
    """The suggestions of an answer, the best first: all that were asked for, else those that say enough."""
    edits = to_edits(snapshot, task, proposal)
    return [edit for edit in edits if task.asked or is_worth_showing(edit, settings)]


def is_worth_showing(edit: Edit, settings: InlineSettings) -> bool:
    """Whether a suggestion that nobody asked for says enough to take the eye off the code."""
    return len("".join(edit.new.split())) >= settings.min_length


def _delay(ls: RedraftServer) -> float:
    """Seconds from now until typing has rested: as set, or by the user's rhythm."""
    fixed = ls.settings.inline.delay_ms / 1000
    return ls.rhythm.left(time.monotonic(), fixed or None)


def _overtake(ls: RedraftServer, uri: str) -> asyncio.Event:
    """End the delay of an older request for the document; the event that a newer one will set."""
    older = ls.waiting.get(uri)
    if older is not None:
        older.set()
    ls.waiting[uri] = asyncio.Event()
    return ls.waiting[uri]


async def _rested(newer: asyncio.Event, seconds: float) -> bool:
    """Wait until typing rests; True if a newer request came meanwhile. A cancel ends it like any wait."""
    try:
        await asyncio.wait_for(newer.wait(), seconds)
    except TimeoutError:
        return False
    return True


def is_wanted(snapshot: Snapshot, task: Complete, settings: InlineSettings) -> bool:
    """Whether to suggest here, as far as the text tells: unasked only after `min_prefix` characters, and
    where `should_complete` says so."""
    if not settings.enable:
        return False
    if task.asked:
        return True
    if task.manners.code_only and snapshot.language_id in _PROSE:
        return False
    cursor = task.cursor
    line = snapshot.lines.line(snapshot.lines.line_at(cursor))
    prefix = snapshot.text[line.start : cursor].strip()
    return len(prefix) >= settings.min_prefix and should_complete(snapshot.text, cursor, manners=task.manners)


def to_edits(snapshot: Snapshot, task: Complete, proposal: Proposal) -> list[Edit]:
    """The proposal and its alternatives, each as one edit on one line that covers the cursor (and the widget's range);
    those that cannot be one are left out.

    Editors show nothing else: VS Code hides an item that does not extend the widget's text, and a range over
    several lines is not allowed.
    """
    if proposal.status != "offered":
        return []
    found = [_one_edit(snapshot, task, edits) for edits in (proposal.edits, *proposal.alternatives)]
    return list(dict.fromkeys(edit for edit in found if edit is not None))


def _one_edit(snapshot: Snapshot, task: Complete, edits: Sequence[Edit]) -> Edit | None:
    if not edits:
        return None
    where = task.replace or Span(task.cursor, task.cursor)
    edit = cover(snapshot.text, edits, where)
    lines = snapshot.lines
    line = lines.line(lines.line_at(task.cursor))
    if not line.covers(edit.span) or not edit.new.startswith(task.start_with):
        return None
    return None if edit.new == edit.span.of(snapshot.text) else edit


def cover(text: str, edits: Sequence[Edit], where: Span) -> Edit:
    """One edit with the effect of `edits` whose span covers `where`."""
    ordered = sorted(edits)
    start = min(where.start, ordered[0].start)
    end = max(where.end, ordered[-1].end)
    parts: list[str] = []
    at = start
    for edit in ordered:
        parts += (text[at : edit.start], edit.new)
        at = edit.end
    return Edit(start, end, "".join((*parts, text[at:end])))

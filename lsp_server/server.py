"""The language server of one connection: its documents, its settings, its share of the worker.

Features are thin functions in `features/`; they find here what they need: snapshots, settings,
`ask_engine`. Touched by the event loop only. Knows no transport; the engine is behind the worker.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from lsprotocol import types
from pygls.exceptions import FeatureRequestError
from pygls.lsp.server import LanguageServer

from lsp_server import features
from lsp_server.documents import About, Documents, Snapshot, UnknownDocumentError, path_of
from lsp_server.features import completion, configuration, status
from lsp_server.features.denoise import OnFrames
from lsp_server.job import Job, Priority, WorkerStatus
from lsp_server.jobs import Worker
from lsp_server.loops import call_in
from lsp_server.progress import ProgressBar
from lsp_server.protocol import RedraftProtocol, RequestFailedError
from lsp_server.rhythm import Rhythm
from lsp_server.settings import Settings
from lsp_server.suggestions import Ahead, Suggestions
from model.editing.ignore import IgnoreRules
from model.editing.source import Encoding
from model.request import Progress, Proposal, Request, Snippet, Task

logger = logging.getLogger(__name__)


def installed_version() -> str:
    try:
        return version("redraft")
    except PackageNotFoundError:
        return "0 (not installed)"


class RedraftServer(LanguageServer):
    """One client. `token` is what it must present; `shared` says that others use the same worker, so that its
    settings cannot replace an engine that is loaded; `on_leave` is told once that the connection is over."""

    protocol: RedraftProtocol  # type: ignore[assignment]  # pygls declares the base class, and never assigns it

    def __init__(
        self,
        worker: Worker,
        on_leave: Callable[[int], None],
        *,
        token: str | None = None,
        shared: bool = False,
        debug: bool = False,
        defaults: Settings | None = None,
    ) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # pygls leaves *args untyped
            "redraft", installed_version(), protocol_cls=RedraftProtocol
        )
        self.worker = worker
        self.documents = Documents()
        self.suggestions = Suggestions()
        self.rhythm = Rhythm()
        self.ahead: dict[str, Ahead] = {}
        self.defaults = defaults or Settings()
        self.settings: Settings = self.defaults
        self.jobs: set[Job] = set()
        self.cancels: dict[types.ProgressToken, Callable[[], None]] = {}
        self.waiting: dict[str, asyncio.Event] = {}
        self.warned: set[str] = set()
        self.shown_status: dict[str, Any] | None = None
        self.loading: ProgressBar | None = None
        self.accepted = 0
        self.admitted = False
        self.gone = False
        self._on_leave = on_leave
        self._token = token
        self._first_settings: object = None
        self._shared = shared
        self._encoding: Encoding = "utf-16"
        self.rules = IgnoreRules()
        self._forget: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[Any]] = set()
        features.register(self, debug=debug)

    # the life of a connection

    def admit(self, params: types.InitializeParams) -> None:
        """Check the token and read the first settings. Raises RequestFailedError, and hangs up, on a wrong
        token."""
        given: object = params.initialization_options
        options = dict(cast("dict[str, object]", given)) if isinstance(given, dict) else {}
        token = options.pop("token", None)
        if self._token is not None and not matches(token, self._token):
            asyncio.get_running_loop().call_soon(self.leave, 1)
            raise RequestFailedError(
                "Wrong or missing token: pass the one that `redraft serve` printed as "
                "initializationOptions.token."
            )
        params.initialization_options = None  # the token must not reach a log
        self.admitted = True
        text = params.capabilities.text_document
        if text is None or text.inline_completion is None:
            completion.register(self)
        if options:
            self._first_settings = configuration.section(options)

    def capabilities_chosen(self, capabilities: types.ServerCapabilities) -> None:
        chosen = capabilities.position_encoding or types.PositionEncodingKind.Utf16
        self._encoding = cast("Encoding", getattr(chosen, "value", chosen))

    async def begin(self) -> None:
        """After `initialized`: read the settings, then have the model loaded and its state shown."""
        loop = asyncio.get_running_loop()
        self._forget = self.worker.listen(partial(call_in, loop, self._show_status))
        configuration.apply(self, self._first_settings)
        await configuration.pull(self)
        self.spawn(configuration.watch(self))
        self.load_engine()

    def leave(self, code: int) -> None:
        """The connection is over: stop its work, tell the transport. Safe to call twice."""
        if self.gone:
            return
        self.stop_jobs()
        self.gone = True
        self._forget()
        self.protocol.abandon()
        for task in list(self._tasks):
            task.cancel()
        self._on_leave(code)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Errors go to the log; those that no response carries are also shown in the client's log."""
        logger.error("%s", error)
        if source is not FeatureRequestError and self.admitted and not self.gone:
            self.window_log_message(types.LogMessageParams(types.MessageType.Error, f"Redraft: {error}"))

    # documents

    def did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self.documents.open(params.text_document, self._encoding)

    def did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        where = params.text_document
        self.rhythm.key(time.monotonic())
        self.drop_ahead(where.uri)
        self.documents.change(where.uri, where.version, params.content_changes)

    def did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        self.documents.close(uri)
        self.suggestions.forget(uri)
        self.stop_jobs(uri)
        self.drop_ahead(uri)

    def is_current(self, snapshot: Snapshot) -> bool:
        try:
            return self.documents.get(snapshot.uri).version == snapshot.version
        except UnknownDocumentError:
            return False

    def refusal(self, document: About) -> str:
        """Why the model may not work on this document or see it, in words for people; empty if it may."""
        limit = self.settings.limits.max_file_bytes
        if not self.settings.enable:
            return "Redraft is switched off (setting redraft.enable)."
        if document.language_id in self.settings.disabled_languages:
            return f"Redraft is off for {document.language_id} (setting redraft.disabledLanguages)."
        if document.size > limit:
            return (
                f"{document.path} has {document.size:,} bytes, more than redraft.limits.maxFileBytes "
                f"({limit:,}): raise that setting to work on it."
            )
        if document.binary:
            return f"{document.path} looks like a binary file."
        if self.ignores(document.path):
            return f"{document.path} matches an ignore rule, so the model is not shown any of it."
        return ""

    def refuses(self, snapshot: Snapshot) -> bool:
        """Whether the model may not work on this document; the user is told once why, unless it was his
        wish."""
        why = self.refusal(snapshot.about)
        if why and self.settings.enable and why not in self.warned:
            self.warned.add(why)
            self.say(f"Redraft: {why}")
        return bool(why)

    def ignores(self, path: str) -> bool:
        """Whether a file's text must not reach the model."""
        folders = [path_of(folder.uri) for folder in self.workspace.folders.values()]
        roots = [f for f in (self.workspace.root_path, *folders) if f]
        inside = [root for root in roots if Path(path).is_relative_to(root)]
        return not self.rules.allows(path, max(inside, key=len, default=""))

    # the engine

    def load_engine(self) -> None:
        """Have the engine of the settings loaded, if it is another one, and show how things stand."""
        self._show_status(self.worker.status)
        wanted = self.settings.engine
        loaded = self.worker.options
        if self._shared and loaded is not None and loaded != wanted and self.worker.status.state != "error":
            logger.warning("The model is shared by several clients; this client's choice is not used.")
            return
        self.worker.load(wanted)

    def ask_engine(
        self,
        snapshot: Snapshot,
        task: Task,
        priority: Priority,
        deadline_ms: int,
        on_progress: Callable[[Progress], None] | None = None,
        on_frames: OnFrames | None = None,
        goes_on: bool = False,
    ) -> Job:
        """Queue a request; it replaces an unfinished one of the same kind on the same document."""
        loop = asyncio.get_running_loop()
        job = Job(
            Request(snapshot.document, task, self.snippets(snapshot.uri)),
            priority,
            key=(id(self), priority, snapshot.uri),
            deadline=time.monotonic() + deadline_ms / 1000,
            on_progress=partial(call_in, loop, on_progress) if on_progress else None,
            on_frames=on_frames,
            goes_on=goes_on,
        )
        return self.submit(job)

    def submit(self, job: Job) -> Job:
        """Hand a job to the worker; it is stopped with the connection."""
        loop = asyncio.get_running_loop()
        self.jobs.add(job)
        job.ended.add_done_callback(lambda _: call_in(loop, self.jobs.discard, job))
        return self.worker.submit(job)

    def snippets(self, uri: str) -> tuple[Snippet, ...]:
        """What the model may see of other documents; those that it may no longer see are forgotten."""
        for recent in self.documents.recent():
            if self.refusal(recent.about):
                self.documents.forget(recent.uri)
        return self.documents.snippets(uri)

    def drop_ahead(self, uri: str) -> None:
        """Stop preparing what nobody will ask for any more. What somebody has asked for goes on until there is a newer
        question: that will find most of its prompt encoded."""
        ahead = self.ahead.pop(uri, None)
        if ahead is not None and ahead.is_prepared:
            self.worker.stop(ahead.job)

    async def result(self, job: Job) -> Proposal:
        """The job's answer. A cancel of the waiting coroutine stops the job."""
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            self.worker.stop(job)
            raise

    def stop_jobs(self, uri: str | None = None) -> int:
        """Stop this client's jobs, or those of one document; how many there were."""
        mine = [job for job in self.jobs if not job.ended.done()]
        jobs = [job for job in mine if uri is None or cast("tuple[Any, ...]", job.key)[2] == uri]
        for job in jobs:
            self.worker.stop(job)
        return len(jobs)

    def cancel_progress(self, token: types.ProgressToken) -> None:
        cancel = self.cancels.get(token)
        if cancel is not None:
            cancel()

    # to the client

    def ask(self, method: str, params: Any) -> Awaitable[Any]:
        """A request to the client; raises what the client answers as an error."""
        return cast("Awaitable[Any]", self.protocol.send_request_async(method, params))

    def say(self, message: str, kind: types.MessageType = types.MessageType.Info) -> None:
        self.window_show_message(types.ShowMessageParams(kind, message))

    def _show_status(self, now: WorkerStatus) -> None:
        if not self.gone:
            status.show(self, now)

    def spawn(self, work: Awaitable[None]) -> None:
        """Run a coroutine beside the handlers, ended with the connection."""
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[assignment]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def matches(given: object, token: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(errors="replace"), token.encode())

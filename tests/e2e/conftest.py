"""A small editor that drives the real server as a process of its own: it keeps its own copy of every
document, counts columns by itself, and applies edits as strictly as real editors do."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lsprotocol import types as t
from pygls.lsp.client import LanguageClient

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
LINE_END = re.compile(r"\r\n|\r|\n")


def server_command(*arguments: str) -> list[str]:
    """The server, isolated as clients start it, from this checkout."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from lsp_server.cli import main; sys.exit(main())"
    return [sys.executable, "-I", "-c", code, *arguments]


def column_units(text: str, encoding: str) -> int:
    codec, size = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}[encoding]
    return len(text.encode(codec, "surrogatepass")) // size


class Editor(LanguageClient):
    """A client with documents. `text[uri]` and `version[uri]` are what the user sees."""

    def __init__(self) -> None:
        super().__init__("test editor", "1")
        self.encoding = "utf-16"
        self.text: dict[str, str] = {}
        self.version: dict[str, int] = {}
        self.statuses: list[Any] = []
        self.messages: list[str] = []
        self.progress_values: list[Any] = []
        self.progress_tokens: list[Any] = []
        self.registered: list[str] = []
        self.applied: list[t.ApplyWorkspaceEditParams] = []
        self.settings: Any = None
        self.before_apply: Callable[[], None] = lambda: None
        self.refuse_edits = False
        self.refusal: str | None = "the user said no"
        self.news = asyncio.Event()
        self._listen()

    def _listen(self) -> None:
        handlers: dict[str, Callable[[Any], Any]] = {
            "redraft/status": self.statuses.append,
            t.WINDOW_SHOW_MESSAGE: lambda p: self.messages.append(p.message),
            t.WINDOW_LOG_MESSAGE: lambda p: self.messages.append(p.message),
            t.WINDOW_WORK_DONE_PROGRESS_CREATE: lambda p: self.progress_tokens.append(p.token),
            t.PROGRESS: lambda p: self.progress_values.append(p.value),
            t.CLIENT_REGISTER_CAPABILITY: lambda p: self.registered.extend(r.method for r in p.registrations),
            t.WORKSPACE_CONFIGURATION: lambda p: [self.settings],
            t.WORKSPACE_APPLY_EDIT: self._on_apply,
        }
        for method, handler in handlers.items():
            self.feature(method)(self._telling(handler))

    def _telling(self, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def handle(params: Any) -> Any:
            result = handler(params)
            self.news.set()
            return result

        return handle

    # starting and ending

    async def start(
        self, *arguments: str, options: Any = None, encodings: list[str] | None = None, **without: bool
    ) -> t.InitializeResult:
        """Start a server on stdio and initialize; `inline=False` and the like take a capability away."""
        await self.start_io(*server_command(*arguments), cwd="/")
        return await self.hello(options, encodings, **without)

    async def hello(
        self, options: Any = None, encodings: list[str] | None = None, **without: bool
    ) -> t.InitializeResult:
        result = await self.wait(
            self.initialize_async(
                t.InitializeParams(
                    capabilities=capabilities(encodings, **without),
                    initialization_options=options,
                    process_id=1,
                )
            )
        )
        self.encoding = str(getattr(result.capabilities.position_encoding, "value", None) or "utf-16")
        if isinstance(result.capabilities.position_encoding, str):
            self.encoding = result.capabilities.position_encoding
        self.initialized(t.InitializedParams())
        return result

    async def ready(self) -> None:
        await self.until(lambda: any(s.state in ("ready", "error") for s in self.statuses))

    async def end(self) -> int:
        """Shut the server down as editors do; its exit code."""
        await self.wait(self.shutdown_async(None))
        self.exit(None)
        return await self.wait(self._server.wait())

    async def kill(self) -> None:
        self._stop_event.set()
        if self._server is not None and self._server.returncode is None:
            self._server.kill()
            await self._server.wait()
        for task in self._async_tasks:
            task.cancel()
        await asyncio.gather(*self._async_tasks, return_exceptions=True)

    async def wait(self, what: Any) -> Any:
        return await asyncio.wait_for(what, PATIENCE)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something that the server says makes `true` so."""

        async def watch() -> None:
            while not true():
                self.news.clear()
                await self.news.wait()

        await self.wait(watch())

    # debugging requests

    async def debug(self, what: str, **params: Any) -> Any:
        return await self.wait(self.protocol.send_request_async(f"redraft/debug/{what}", params))

    async def until_state(self, true: Callable[[Any], bool]) -> Any:
        async def watch() -> Any:
            while not true(state := await self.debug("state")):
                await asyncio.sleep(0.01)
            return state

        return await self.wait(watch())

    # documents

    def open(self, text: str, uri: str = "file:///project/a.py", language: str = "python") -> str:
        self.text[uri], self.version[uri] = text, 1
        self.text_document_did_open(t.DidOpenTextDocumentParams(t.TextDocumentItem(uri, language, 1, text)))
        return uri

    def close(self, uri: str) -> None:
        self.text_document_did_close(t.DidCloseTextDocumentParams(t.TextDocumentIdentifier(uri)))

    def type(self, uri: str, start: int, end: int, new: str) -> None:
        """Replace `start..end` and tell the server."""
        text = self.text[uri]
        where = t.Range(self.position(text, start), self.position(text, end))
        self.text[uri] = text[:start] + new + text[end:]
        self.version[uri] += 1
        self.text_document_did_change(
            t.DidChangeTextDocumentParams(
                t.VersionedTextDocumentIdentifier(self.version[uri], uri),
                [t.TextDocumentContentChangePartial(where, new)],
            )
        )

    def position(self, text: str, offset: int) -> t.Position:
        start = line = 0
        for match in LINE_END.finditer(text, 0):
            if match.end() > offset:
                break
            start, line = match.end(), line + 1
        return t.Position(line, column_units(text[start:offset], self.encoding))

    def offset(self, text: str, at: t.Position) -> int:
        """The offset of a position that the server sent; it must be exact."""
        ends = [m.end() for m in LINE_END.finditer(text)]
        start = ([0, *ends])[at.line]
        for offset in range(start, len(text) + 1):
            if column_units(text[start:offset], self.encoding) == at.character:
                return offset
        raise AssertionError(f"{at} is not in the document")

    def apply(self, uri: str, edits: Any) -> None:
        """Apply text edits to the own copy, and tell the server, the last one first."""
        text = self.text[uri]
        spans = [
            (self.offset(text, e.range.start), self.offset(text, e.range.end), e.new_text) for e in edits
        ]
        for start, end, new in sorted(spans, reverse=True):
            self.type(uri, start, end, new)

    def _on_apply(self, params: t.ApplyWorkspaceEditParams) -> t.ApplyWorkspaceEditResult:
        self.applied.append(params)
        before, self.before_apply = self.before_apply, lambda: None
        before()
        if self.refuse_edits:
            return t.ApplyWorkspaceEditResult(False, failure_reason=self.refusal)
        for change in params.edit.document_changes or ():
            where = change.text_document
            if where.version != self.version[where.uri]:
                return t.ApplyWorkspaceEditResult(False, failure_reason="the document has changed")
            self.apply(where.uri, change.edits)
        for uri, edits in (params.edit.changes or {}).items():
            self.apply(uri, edits)
        return t.ApplyWorkspaceEditResult(True)

    # requests

    def configure(self, settings: dict[str, Any]) -> None:
        """Send settings as a client does that is not asked for them."""
        self.workspace_did_change_configuration(t.DidChangeConfigurationParams({"redraft": settings}))

    def inline(self, uri: str, at: int | t.Position, *, invoked: bool = True, selected: Any = None) -> Any:
        position = at if isinstance(at, t.Position) else self.position(self.text[uri], at)
        kinds = t.InlineCompletionTriggerKind
        return self.protocol.send_request_async(  # sent now, not when awaited
            t.TEXT_DOCUMENT_INLINE_COMPLETION,
            t.InlineCompletionParams(
                t.InlineCompletionContext(kinds.Invoked if invoked else kinds.Automatic, selected),
                t.TextDocumentIdentifier(uri),
                position,
            ),
        )

    def request(self, method: str, params: Any, msg_id: str) -> Any:
        """Send with a known id, so that it can be cancelled."""
        return self.protocol.send_request_async(method, params, msg_id=msg_id)

    def command(self, name: str, work_done: Any = None, **argument: Any) -> Any:
        params = t.ExecuteCommandParams(name, [argument] if argument else None, work_done_token=work_done)
        return self.command_as(params)

    def command_as(self, params: t.ExecuteCommandParams, msg_id: str | None = None) -> Any:
        """Send a command now; its outcome with attributes, for ease of reading."""
        answer = self.protocol.send_request_async(t.WORKSPACE_EXECUTE_COMMAND, params, msg_id=msg_id)

        async def outcome() -> Any:
            result = await answer
            return SimpleNamespace(**result) if isinstance(result, dict) else result

        return asyncio.ensure_future(outcome())


def capabilities(
    encodings: list[str] | None = None,
    *,
    inline: bool = True,
    progress: bool = True,
    document_changes: bool = True,
    annotations: bool = True,
    configuration: bool = False,
    literals: bool = True,
) -> t.ClientCapabilities:
    kinds = t.ClientCodeActionKindOptions([])
    return t.ClientCapabilities(
        general=t.GeneralClientCapabilities(position_encodings=encodings) if encodings else None,
        window=t.WindowClientCapabilities(work_done_progress=progress),
        workspace=t.WorkspaceClientCapabilities(
            configuration=configuration,
            did_change_configuration=t.DidChangeConfigurationClientCapabilities(
                dynamic_registration=configuration
            ),
            workspace_edit=t.WorkspaceEditClientCapabilities(
                document_changes=document_changes,
                change_annotation_support=t.ChangeAnnotationsSupportOptions() if annotations else None,
            ),
        ),
        text_document=t.TextDocumentClientCapabilities(
            inline_completion=t.InlineCompletionClientCapabilities() if inline else None,
            code_action=t.CodeActionClientCapabilities(
                code_action_literal_support=t.ClientCodeActionLiteralOptions(kinds) if literals else None
            ),
        ),
    )


@pytest.fixture
async def editor() -> AsyncIterator[Editor]:
    editor = Editor()
    yield editor
    await editor.kill()


@pytest.fixture
def make_editor() -> type[Editor]:
    return Editor


@pytest.fixture
def command_line() -> Callable[..., list[str]]:
    return server_command


@pytest.fixture
async def listen(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Start a listening server; the result is where it listens and its token."""
    processes: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str) -> dict[str, Any]:
        command = server_command("serve", "--engine", "fake", *arguments)
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, cwd=tmp_path, env={**os.environ}
        )
        processes.append(process)
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        return {**json.loads(line), "pid": process.pid}

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()

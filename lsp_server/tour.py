"""`make try`: Redraft's three jobs on real files, through the real server over stdio, with the embedded model.

A client like an editor's: it opens a copy of a source file, asks, applies what comes back, and shows the diff
and what it cost. The answers are the model's; where it has none, that is shown too.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient
from rich.console import Console
from rich.text import Text

from lsp_server.diffs import unified
from model.editing.edit import Edit, apply
from model.editing.source import LineIndex

_SOURCES = Path(__file__).parent.parent / "model"
_INSTRUCTION = "Use `is None` instead of `== None`"
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True)
class Scene:
    """A file as the user has it, and where the cursor is."""

    title: str
    name: str
    text: str
    cursor: int


class Editor:
    """The smallest editor: one client, open documents, and edits applied as the server asks."""

    def __init__(self) -> None:
        self.client = LanguageClient("redraft-tour", "1")
        self.texts: dict[str, str] = {}
        self.status: dict[str, Any] = {}
        self._changed = asyncio.Event()
        self._handle("redraft/status", self._on_status)
        self._handle(types.WORKSPACE_APPLY_EDIT, self._on_apply)
        for ignored in (types.WINDOW_SHOW_MESSAGE, types.WINDOW_LOG_MESSAGE):
            self._handle(ignored, lambda _: None)

    def _handle(self, method: str, handler: Callable[[Any], Any]) -> None:
        def plain(params: Any) -> Any:  # pygls sets attributes on handlers, which bound methods do not allow
            return handler(params)

        self.client.feature(method)(plain)

    async def start(self) -> float:
        """Start the server; returns the milliseconds until it had answered `initialize`."""
        began = time.perf_counter()
        client: Any = cast("Any", self.client)  # the keyword arguments of `start_io` are untyped
        await client.start_io(sys.executable, "-I", "-m", "lsp_server", "serve", "--stdio")
        versioned = types.WorkspaceEditClientCapabilities(document_changes=True)
        capabilities = types.ClientCapabilities(
            general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf32]),
            workspace=types.WorkspaceClientCapabilities(apply_edit=True, workspace_edit=versioned),
            text_document=types.TextDocumentClientCapabilities(
                inline_completion=types.InlineCompletionClientCapabilities()
            ),
        )
        await self.client.initialize_async(types.InitializeParams(capabilities))
        answered = (time.perf_counter() - began) * 1000
        self.client.initialized(types.InitializedParams())
        return answered

    async def ready(self, timeout: float = 120.0) -> None:
        """Wait for the model; raises RuntimeError with the server's reason where it cannot be loaded."""
        async with asyncio.timeout(timeout):
            while self.status.get("state") != "ready":
                if self.status.get("state") == "error":
                    raise RuntimeError(str(self.status.get("message")))
                self._changed.clear()
                await self._changed.wait()

    def open(self, uri: str, text: str) -> None:
        self.texts[uri] = text
        self.client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 1, text))
        )

    async def complete(self, uri: str, cursor: int) -> tuple[str, dict[str, Any]]:
        """The text with the first inline suggestion, and what it cost."""
        text = self.texts[uri]
        line, column = LineIndex(text).position(cursor)
        found = await self.client.text_document_inline_completion_async(
            types.InlineCompletionParams(
                types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked),
                types.TextDocumentIdentifier(uri),
                types.Position(line, column),
            )
        )
        items = found.items if isinstance(found, types.InlineCompletionList) else list(found or ())
        if not items:
            return text, {}
        first = items[0]
        arguments: Any = (first.command.arguments if first.command else None) or [{}]
        assert first.range is not None
        return apply([_edit(text, first.range, str(first.insert_text))], text), _plain(arguments[0]).get(
            "cost", {}
        )

    async def command(self, name: str, argument: dict[str, Any]) -> dict[str, Any]:
        """Run a server command; its edits arrive as `workspace/applyEdit` meanwhile."""
        return _plain(
            await self.client.workspace_execute_command_async(types.ExecuteCommandParams(name, [argument]))
        )

    async def stop(self) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()

    def _on_status(self, params: Any) -> None:
        self.status = _plain(params)
        self._changed.set()

    def _on_apply(self, params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
        for change in params.edit.document_changes or ():
            assert isinstance(change, types.TextDocumentEdit)
            uri = change.text_document.uri
            edits = [_edit(self.texts[uri], e.range, str(getattr(e, "new_text", ""))) for e in change.edits]
            self.texts[uri] = apply(edits, self.texts[uri])
        return types.ApplyWorkspaceEditResult(applied=True)


def _edit(text: str, where: types.Range, new: str) -> Edit:
    lines = LineIndex(text)
    start = lines.offset(where.start.line, where.start.character)
    return Edit(start, lines.offset(where.end.line, where.end.character), new)


def _plain(value: Any) -> dict[str, Any]:
    """pygls gives untyped JSON objects as named tuples."""
    pairs: dict[str, Any] = cast("dict[str, Any]", value) if isinstance(value, dict) else value._asdict()
    return {k: _plain(v) if hasattr(v, "_asdict") else v for k, v in pairs.items()}


def scenes() -> tuple[Scene, Scene, Scene]:
    """Three of our own sources, which no model was trained on: a line cut inside a word, a function whose header
    lost its colon, old-style comparisons. They were chosen because the embedded model solves them; how often
    it does on code at large, its model card says."""
    losses = (_SOURCES / "losses.py").read_text("utf-8")
    cursor = losses.index("    block: torch.Tensor") + len("    block: t")
    cut = losses[:cursor] + losses[losses.index("\n", cursor) :]
    cache = (_SOURCES / "cache.py").read_text("utf-8")
    header = re.search(r"def common_prefix\(.*\) -> int(:)\n", cache)
    assert header is not None
    broken = cache[: header.start(1)] + cache[header.end(1) :]
    progress = (_SOURCES.parent / "lsp_server" / "progress.py").read_text("utf-8")
    old = re.sub(r"\bis not None\b", "!= None", re.sub(r"\bis None\b", "== None", progress))
    return (
        Scene("Inline completion at a cursor", "losses.py", cut, cursor),
        Scene("Fix this function: the header has lost its colon", "cache.py", broken, header.start(1) - 4),
        Scene(f"Refactor the file: “{_INSTRUCTION}”", "progress.py", old, 0),
    )


async def tour(console: Console) -> int:
    """Show the three jobs; 0 if the server did its part, 1 with its reason otherwise."""
    editor = Editor()
    async with asyncio.timeout(60):
        answered = await editor.start()
    console.print(f"server answered `initialize` after {answered:.0f} ms, before loading its model")
    try:
        await editor.ready()
        console.print(f"model: {editor.status.get('message', '')}")
        with tempfile.TemporaryDirectory() as folder:
            complete, fix, refactor = scenes()
            await _show_completion(console, editor, Path(folder), complete)
            await _show_command(console, editor, Path(folder), fix, "redraft.server.fix", {})
            words = {"instruction": _INSTRUCTION}
            await _show_command(console, editor, Path(folder), refactor, "redraft.server.refactorFile", words)
    except (RuntimeError, TimeoutError, JsonRpcException) as error:
        console.print(f"the server could not show its jobs: {error or 'no answer in time'}", style="red")
        return 1
    finally:
        await editor.stop()
    return 0


async def _show_completion(console: Console, editor: Editor, folder: Path, scene: Scene) -> None:
    uri = _open(console, editor, folder, scene)
    after, cost = await editor.complete(uri, scene.cursor)
    _show(console, scene, after, cost, "the model had no suggestion it is sure enough of")


async def _show_command(
    console: Console, editor: Editor, folder: Path, scene: Scene, name: str, more: dict[str, Any]
) -> None:
    uri = _open(console, editor, folder, scene)
    line, column = LineIndex(scene.text).position(scene.cursor)
    answer = await editor.command(name, {"uri": uri, "position": {"line": line, "character": column}, **more})
    _show(
        console, scene, editor.texts[uri], answer.get("cost", {}), f"{answer['status']}: {answer['message']}"
    )


def _open(console: Console, editor: Editor, folder: Path, scene: Scene) -> str:
    console.print()
    console.rule(Text(scene.title, style="bold"), align="left")
    path = folder / scene.name
    path.write_text(scene.text, "utf-8")
    editor.open(path.as_uri(), scene.text)
    return path.as_uri()


def _show(console: Console, scene: Scene, after: str, cost: dict[str, Any], otherwise: str) -> None:
    if after == scene.text:
        console.print(otherwise, style="yellow")
    else:
        lines = unified(scene.text.splitlines(True), after.splitlines(True), scene.name, context=2)
        for line in lines:
            console.print(Text(line.rstrip("\n"), style=_STYLES.get(line[:1], "")))
    if cost:
        forwards, tokens = cost["forwards"], cost["tokens"]
        console.print(
            f"{forwards} forwards, {tokens / max(1, forwards):.1f} tokens per forward, "
            f"{cost['milliseconds']:.0f} ms",
            style="dim",
        )


def main() -> int:
    return asyncio.run(tour(Console(soft_wrap=True, highlight=False)))


if __name__ == "__main__":
    sys.exit(main())

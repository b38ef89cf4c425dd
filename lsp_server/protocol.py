"""How messages reach handlers: pygls's protocol, with the parts replaced that do not suit an engine behind
it.

- A handler has two halves. It is a plain function that runs at once, while the document is still what the
  client saw, and may return a coroutine for the rest. (pygls starts coroutines later, after a didChange
  that came in the same packet.)
- Text documents go to `documents`, not to pygls's workspace.
- Commands run as tracked coroutines, so that `$/cancelRequest` reaches them.
- Nothing but `initialize` is served before it succeeded; every message that cannot be understood gets an
  answer.

Knows no features and no transport.
"""

# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pygls declares its built-in handlers as generators; plain functions are fine for its dispatch too.

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

import cattrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.protocol import LanguageServerProtocol, lsp_method

from lsp_server.settings import camel

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

logger = logging.getLogger(__name__)


def wrong_fields(error: Exception) -> str:
    """Which fields are wrong, and how, by the names that they have in JSON; at most three."""
    wrong: list[str] = []
    for line in cattrs.transform_error(error)[:3]:
        why, _, path = line.rpartition(" @ ")
        wrong.append(f"{camel(path.removeprefix('$.').removeprefix('params.'))}: {why}")
    return "; ".join(wrong)


class RequestFailedError(JsonRpcException):
    """A request that cannot be served; the message is for people."""

    CODE = types.LSPErrorCodes.RequestFailed
    MESSAGE = "Request failed"


class RedraftProtocol(LanguageServerProtocol):
    """One connection's protocol."""

    @property
    def redraft(self) -> RedraftServer:
        return cast("RedraftServer", self._server)

    # messages in

    def receive(self, body: bytes | str) -> None:
        """Handle one message as it came from the wire. Never raises for bad input."""
        try:
            raw = json.loads(body)
        except (ValueError, RecursionError) as error:
            logger.warning("A message is not JSON: %s", error)
            self._refuse(None, types.ErrorCodes.ParseError, f"The message is not JSON: {error}")
            return
        if not isinstance(raw, dict) or cast("dict[str, Any]", raw).get("jsonrpc") != self.VERSION:
            self._refuse(
                None, types.ErrorCodes.InvalidRequest, 'A message is an object with "jsonrpc": "2.0".'
            )
            return
        data = cast("dict[str, Any]", raw)
        method, msg_id = data.get("method"), data.get("id")
        if "method" in data and (
            not isinstance(method, str) or not isinstance(msg_id, (str, int, type(None)))
        ):
            self._refuse(
                None, types.ErrorCodes.InvalidRequest, "`method` is a string and `id` a string or number."
            )
            return
        if isinstance(method, str) and self.get_message_type(method) is None:
            data.setdefault("params", None)  # pygls wants the key in messages that it does not know
        try:
            message = self.structure_message(dict(data))
        except JsonRpcException as error:
            why = f"The parameters of {method} are not what the protocol says: {error.message}."
            logger.warning("%s", why)
            if "id" in data and "method" in data:
                self._refuse(msg_id, types.ErrorCodes.InvalidParams, why)
            return
        self.handle_message(message)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """A message as an object. Raises JsonRpcInvalidParams that names the wrong fields; pygls would log a
        traceback and name none."""
        kind = self.get_message_type(data["method"]) if "method" in data else None
        if kind is None:
            return super().structure_message(data)
        try:
            return self._converter.structure(data, kind)
        except Exception as error:
            raise JsonRpcInvalidParams(wrong_fields(error)) from None

    def _refuse(self, msg_id: str | int | None, code: types.ErrorCodes, why: str) -> None:
        # As a plain object: the error to a message without an id has `"id": null`, which the converter
        # leaves out.
        error = {"code": code.value, "message": why}
        self._send_data({"jsonrpc": self.VERSION, "id": msg_id, "error": error})

    def _handle_request(self, msg_id: str | int, method_name: str, params: Any) -> None:
        if self._shutdown:
            self._refuse(msg_id, types.ErrorCodes.InvalidRequest, "The server is shutting down.")
        elif method_name != types.INITIALIZE and not self.redraft.admitted:
            self._refuse(msg_id, types.ErrorCodes.ServerNotInitialized, "Send `initialize` first.")
        elif method_name == types.INITIALIZE and self.redraft.admitted:
            self._refuse(msg_id, types.ErrorCodes.InvalidRequest, "`initialize` may be sent once only.")
        else:
            super()._handle_request(msg_id, method_name, params)

    def _handle_notification(self, method_name: str, params: Any) -> None:
        if self.redraft.admitted or method_name == types.EXIT:
            super()._handle_notification(method_name, params)

    def handle_message(self, message: Any) -> None:
        if self._shutdown and getattr(message, "method", "") != types.EXIT and hasattr(message, "id"):
            if hasattr(message, "method"):
                self._refuse(message.id, types.ErrorCodes.InvalidRequest, "The server is shutting down.")
            return
        super().handle_message(message)

    def _execute_handler(
        self,
        msg_id: str | int,
        handler: Callable[..., Any],
        callback: Callable[[Any], None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Run the handler's first half now; a coroutine that it returns becomes a task."""
        if inspect.isgeneratorfunction(handler):
            super()._execute_handler(msg_id, handler, callback, args, kwargs)
            return
        done: Future[Any] = Future()
        done.add_done_callback(callback)
        try:
            result = handler(*(args or ()), **(kwargs or {}))
        except Exception as error:
            done.set_exception(error)
            return
        if not inspect.iscoroutine(result):
            done.set_result(result)
            return
        task = asyncio.ensure_future(result)
        self._request_futures[msg_id] = cast("Future[Any]", task)
        task.add_done_callback(lambda _: self._request_futures.pop(msg_id, None))
        task.add_done_callback(callback)

    def _send_handler_result(self, future: Future[Any], *, msg_id: str | int) -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, RequestFailedError):  # an answer, not an accident: no traceback in the log
            self._request_futures.pop(msg_id, None)
            self._send_response(msg_id, error=error.to_response_error())
        else:
            super()._send_handler_result(future, msg_id=msg_id)

    # messages out

    def _send_data(self, data: Any) -> None:
        """Send, unless the other side is gone: a failed write is never reported through another write."""
        if not data or self.writer is None or self.redraft.gone:
            return
        body = json.dumps(data, default=self._serialize_message, separators=(",", ":")).encode()
        if self._include_headers:
            body = b"Content-Length: %d\r\n\r\n" % len(body) + body
        try:
            self.writer.write(body)
        except (OSError, ValueError, RuntimeError) as error:
            logger.info("The client is gone: %s", error)
            self.redraft.leave(1)

    # the life of a connection

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(self, params: types.InitializeParams) -> Generator[Any, Any, types.InitializeResult]:
        self.redraft.admit(params)
        result = yield from super().lsp_initialize(params)
        self.redraft.capabilities_chosen(result.capabilities)
        return result

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *_: Any) -> None:
        self.redraft.stop_jobs()
        self._shutdown = True

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_: Any) -> None:
        self.redraft.leave(0 if self._shutdown else 1)

    def abandon(self) -> None:
        """Cancel everything that is under way, on both sides of the connection."""
        futures, self._request_futures = self._request_futures, {}
        for future in futures.values():
            future.cancel()

    # documents

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self.redraft.did_open(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self.redraft.did_change(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self.redraft.did_close(params)

    # commands

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    def lsp_workspace__execute_command(self, params: types.ExecuteCommandParams) -> Any:
        commands = cast("dict[str, Callable[[types.ExecuteCommandParams], Any]]", self.fm.commands)  # pyright: ignore
        handler = commands.get(params.command)
        if handler is None:
            known = ", ".join(sorted(commands))
            raise RequestFailedError(f"There is no command {params.command!r}; known: {known}.")
        return handler(params)

    @lsp_method(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)
    def lsp_work_done_progress_cancel(self, params: types.WorkDoneProgressCancelParams) -> None:
        self.redraft.cancel_progress(params.token)

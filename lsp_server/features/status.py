"""`initialized`, and the `redraft/status` notification: what the engine is doing, for a status bar."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.job import WorkerStatus
from lsp_server.progress import ProgressBar

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

METHOD = "redraft/status"


def register(server: RedraftServer) -> None:
    server.feature(types.INITIALIZED)(_initialized)


def _initialized(ls: RedraftServer, _: types.InitializedParams) -> Coroutine[Any, Any, None]:
    return ls.begin()


def content(now: WorkerStatus, *, enabled: bool) -> dict[str, Any]:
    """The notification's parameters. `state` is loading, ready, busy, paused or error."""
    if now.state == "error":
        return {"state": "error", "message": failure(now.message)}
    if not enabled:
        return {"state": "paused", "message": "Redraft is switched off (setting redraft.enable)."}
    if now.state in ("loading", "stopped"):
        return {
            "state": "loading",
            "message": now.message or "Loading the model.",
            "percentage": int(now.done * 100),
        }
    return {"state": now.state, "message": now.message}


def failure(why: str) -> str:
    """What went wrong with the model, and what to do about it."""
    return f"The model could not be loaded: {why.rstrip('.')}. Check redraft.model, or run `redraft doctor`."


def show(server: RedraftServer, now: WorkerStatus) -> None:
    """Tell the client, once per change; loading also gets a progress bar, and a failure a message."""
    params = content(now, enabled=server.settings.enable)
    if params == server.shown_status:
        return
    server.shown_status = params
    server.protocol.notify(METHOD, params)
    if now.state == "loading" and server.loading is None:
        server.loading = ProgressBar(server)
        server.spawn(server.loading.begin("Redraft"))
    elif now.state == "loading" and server.loading is not None:
        server.loading.report(now.message, now.done)
    elif server.loading is not None:
        server.loading.end(str(params["message"]))
        server.loading = None
    if now.state == "error":
        server.say(failure(now.message), types.MessageType.Error)

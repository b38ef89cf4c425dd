"""`workspace/didChangeConfiguration`: settings that change while the server runs."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer


def register(server: RedraftServer) -> None:
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(_changed)


def _changed(
    ls: RedraftServer, params: types.DidChangeConfigurationParams
) -> Coroutine[Any, Any, None] | None:
    """Clients that can be asked are asked; others send the settings along."""
    workspace = ls.client_capabilities.workspace
    if workspace is not None and workspace.configuration:
        return ls.pull_settings()
    pushed = cast("object", params.settings)
    if isinstance(pushed, dict):
        settings = cast("dict[str, object]", pushed)
        ls.apply_settings(settings.get("redraft", settings))
    return None

"""Live settings: `workspace/didChangeConfiguration` and `workspace/configuration`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types

from lsp_server.settings import read
from model.editing.ignore import IgnoreRules

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

logger = logging.getLogger(__name__)

PATIENCE = 3.0  # seconds that the client has to answer workspace/configuration


def register(server: RedraftServer) -> None:
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(_changed)


def _changed(
    ls: RedraftServer, params: types.DidChangeConfigurationParams
) -> Coroutine[Any, Any, None] | None:
    """Clients that can be asked are asked; others send the settings along."""
    workspace = ls.client_capabilities.workspace
    if workspace is not None and workspace.configuration:
        return _pull_and_load(ls)
    pushed = cast("object", params.settings)
    if isinstance(pushed, dict):
        apply(ls, section(cast("dict[str, object]", pushed)))
        ls.load_engine()
    return None


def section(settings: dict[str, object]) -> object:
    """Our part of what a client sends without having been asked for it: some send every server's settings, or ours
    under their name."""
    return settings.get("redraft", settings)


async def _pull_and_load(ls: RedraftServer) -> None:
    await pull(ls)
    ls.load_engine()


def apply(ls: RedraftServer, raw: object) -> None:
    """Take over the client's settings; what is not understood is said once and the default stays."""
    if raw is None:
        return
    ls.settings, warnings = read(raw, ls.defaults)
    ls.suggestions.clear()
    ls.rules = IgnoreRules(ls.settings.ignore)
    logging.getLogger().setLevel(ls.settings.log_level.upper())
    if fresh := [w for w in warnings if w not in ls.warned]:
        ls.warned.update(fresh)
        ls.say("Redraft settings:\n" + "\n".join(fresh), types.MessageType.Warning)


async def pull(ls: RedraftServer) -> None:
    """Ask the client for its settings, if it can be asked."""
    workspace = ls.client_capabilities.workspace
    if workspace is None or not workspace.configuration:
        return
    params = types.ConfigurationParams([types.ConfigurationItem(section="redraft")])
    try:
        answer = await asyncio.wait_for(ls.ask(types.WORKSPACE_CONFIGURATION, params), PATIENCE)
    except Exception as error:
        logger.warning("The client did not give its settings: %s", error or type(error).__name__)
        return
    apply(ls, answer[0] if answer else None)


async def watch(ls: RedraftServer) -> None:
    """Ask to be told of changes, where that needs asking."""
    workspace = ls.client_capabilities.workspace
    change = workspace and workspace.did_change_configuration
    if not change or not change.dynamic_registration:
        return
    options = types.DidChangeConfigurationRegistrationOptions(section="redraft")
    method = types.WORKSPACE_DID_CHANGE_CONFIGURATION
    await ls.ask(
        types.CLIENT_REGISTER_CAPABILITY,
        types.RegistrationParams([types.Registration("redraft-settings", method, options)]),
    )

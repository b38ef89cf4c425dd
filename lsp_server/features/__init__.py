"""One file per LSP method: a thin handler, which takes its snapshot before anything else can happen, and
pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsp_server.features import (
    code_action,
    command,
    configuration,
    inline_completion,
    status,
    watch,
)
from lsp_server.features import (
    debug as debugging,
)

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer


def register(server: RedraftServer, *, debug: bool) -> None:
    """Announce every feature; completion items wait for `initialize`, since only some clients need them."""
    for feature in (status, configuration, inline_completion, code_action, command, watch):
        feature.register(server)
    if debug:
        debugging.register(server)

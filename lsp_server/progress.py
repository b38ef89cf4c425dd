"""One progress bar at the client, or nothing where the client has none.

Knows the LSP messages of work-done progress; knows nothing of what is being done.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from lsprotocol import types

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

PATIENCE = 5.0  # seconds for the client to agree to a progress bar before the work goes on without


class ProgressBar:
    """Shown from `begin` to `end`. `cancel` is called when the user presses the bar's cancel button."""

    def __init__(
        self,
        server: RedraftServer,
        token: types.ProgressToken | None = None,
        cancel: Callable[[], None] | None = None,
    ) -> None:
        self._server = server
        self._token = token
        self._cancel = cancel
        self._shown = False
        self._over = False
        self._last: tuple[str, int] = ("", 0)

    async def begin(self, title: str) -> None:
        """Ask the client for a bar, unless it brought its own token."""
        if self._token is None and not await self._create():
            return
        if self._over:  # the work was faster than the client's consent
            return
        assert self._token is not None
        if self._cancel is not None:
            self._server.cancels[self._token] = self._cancel
        self._shown = True
        self._notify(types.WorkDoneProgressBegin(title, cancellable=self._cancel is not None, percentage=0))

    def report(self, message: str, done: float) -> None:
        """`done` is a fraction; what looks like the last report is not sent again."""
        now = (message, max(self._last[1], min(100, int(done * 100))))
        if self._shown and now != self._last:
            self._last = now
            self._notify(types.WorkDoneProgressReport(message=now[0] or None, percentage=now[1]))

    def end(self, message: str = "") -> None:
        self._over = True
        if self._token is not None:
            self._server.cancels.pop(self._token, None)
        if self._shown:
            self._shown = False
            self._notify(types.WorkDoneProgressEnd(message=message or None))

    async def _create(self) -> bool:
        window = self._server.client_capabilities.window
        if window is None or not window.work_done_progress:
            return False
        token = f"redraft-{uuid.uuid4()}"
        params = types.WorkDoneProgressCreateParams(token)
        try:
            await asyncio.wait_for(self._server.ask(types.WINDOW_WORK_DONE_PROGRESS_CREATE, params), PATIENCE)
        except Exception:  # refused or ignored: the work matters, the bar does not
            return False
        self._token = token
        return True

    def _notify(
        self, value: types.WorkDoneProgressBegin | types.WorkDoneProgressReport | types.WorkDoneProgressEnd
    ) -> None:
        assert self._token is not None
        self._server.progress(types.ProgressParams(self._token, value))

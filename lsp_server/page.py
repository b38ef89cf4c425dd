"""The page of `redraft play`: static files beside the WebSocket, on the same port. Nothing else is served."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from pathlib import PurePosixPath

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

FOLDER = "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_GUARDS = {
    # The page loads from here alone and talks to nobody but this server.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class Page:
    """Files by their path, such as `/index.html`; `/` is the index."""

    contents: dict[str, bytes]

    def answer(self, request: Request) -> Response | None:
        """The response to a plain GET; None for a WebSocket's handshake."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return None
        path = request.path.partition("?")[0]
        path = "/index.html" if path == "/" else path
        body = self.contents.get(path)
        if body is None:
            return _response(HTTPStatus.NOT_FOUND, b"There is no such page; try /.\n", "text/plain")
        return _response(HTTPStatus.OK, body, _TYPES[PurePosixPath(path).suffix])


def read_page() -> Page:
    """The built page. Raises FileNotFoundError, with what to run, where it was not built."""
    folder = files("lsp_server").joinpath(FOLDER)
    found = {f"/{f.name}": f.read_bytes() for f in folder.iterdir()} if folder.is_dir() else {}
    contents = {name: body for name, body in found.items() if PurePosixPath(name).suffix in _TYPES}
    if "/index.html" not in contents:
        raise FileNotFoundError(
            "The page is missing: run `npm ci && npm run build` in editor-clients/web, or install a wheel."
        )
    return Page(contents)


def _response(code: HTTPStatus, body: bytes, kind: str) -> Response:
    headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **_GUARDS}
    return Response(code.value, code.phrase, Headers(headers), body)

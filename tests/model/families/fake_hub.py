"""A small server that speaks what a download asks of the Hugging Face Hub, and can misbehave as that does."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 10_000
"""Bytes from which a file is a large one, whose hash the hub tells."""


@dataclass
class Hub:
    """`cut` is after how many bytes of a file the connection is lost, `lies` are files whose bytes are not those that
    the hub announced; `requests` are paths and where they begin."""

    repos: dict[str, Path]
    url: str = ""
    cut: dict[str, int] = field(default_factory=dict)
    lies: set[str] = field(default_factory=set)
    knows_ranges: bool = True
    requests: list[tuple[str, int]] = field(default_factory=list)

    def files(self) -> list[str]:
        """Those that were asked for."""
        return [path.rpartition("/")[2] for path, _ in self.requests if "/resolve/" in path]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            begin = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            hub.requests.append((path, int(begin[1]) if begin else 0))
            if known := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
                self._tell(*known.groups())
            elif known := re.fullmatch(rf"/([^/]+/[^/]+)/resolve/{COMMIT}/(.+)", path):
                self._send(known[1], known[2], int(begin[1]) if begin and hub.knows_ranges else 0)
            else:
                self._refuse(404, "EntryNotFound")

        def _tell(self, repo: str, revision: str | None) -> None:
            if repo.startswith("gated/"):
                return self._refuse(403, "GatedRepo")
            if repo not in hub.repos:
                return self._refuse(404, "RepoNotFound")
            if revision not in (None, "main", COMMIT):
                return self._refuse(404, "RevisionNotFound")
            siblings = [self._sibling(path) for path in sorted(hub.repos[repo].iterdir())]
            body = json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None

        def _sibling(self, path: Path) -> dict[str, object]:
            data = path.read_bytes()
            said: dict[str, object] = {"rfilename": path.name, "size": len(data), "blobId": "b"}
            if len(data) >= LARGE:
                digest = hashlib.sha256(data).hexdigest()
                said["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
            return said

        def _send(self, repo: str, name: str, begin: int) -> None:
            data = (hub.repos[repo] / name).read_bytes()
            if name in hub.lies:
                data = data[:-1] + bytes([data[-1] ^ 1])
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(data) - begin))
            self.end_headers()
            self.wfile.write(data[begin : hub.cut.get(name)])
            self.close_connection = True

        def _refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()

"""`redraft play`: watch the model denoise, in a browser, on code of your own. Serves the page and its WebSocket."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from functools import partial

from lsp_server.commands.engine import UsageError, add_engine_arguments, loader
from lsp_server.commands.serve import TOKEN_VARIABLE, port
from lsp_server.jobs import Worker
from lsp_server.page import read_page
from lsp_server.server import RedraftServer
from lsp_server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=port, default=0, help="port on this machine (default: any free one)")
    parser.add_argument(
        "--token",
        default=os.environ.get(TOKEN_VARIABLE),
        help=f"the link's key (default: ${TOKEN_VARIABLE}, or a new one); a page finds a server again that has "
        "the same port and key",
    )
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from lsp_server import listener

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        page = read_page()
    except FileNotFoundError as error:
        raise UsageError(str(error)) from None
    worker = Worker(loader(arguments))
    defaults = Settings(
        model=arguments.model, backend=arguments.backend, device=arguments.device, threads=arguments.threads
    )
    return listener.serve(
        worker,
        partial(RedraftServer, worker, debug=bool(arguments.engine), defaults=defaults, shared=True),
        kind="ws",
        host="127.0.0.1",
        port=arguments.port,
        token=arguments.token,
        page=page,
        announce=_announce,
    )


def _announce(host: str, port: int, token: str) -> str:
    return f"Open http://{host}:{port}/#{token}\nIts last part is the key to this server; Ctrl+C ends both."

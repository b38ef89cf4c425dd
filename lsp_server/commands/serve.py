"""`redraft serve`: the language server on stdio, TCP or WebSocket."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from functools import partial

from lsp_server.commands.engine import add_engine_arguments, loader
from lsp_server.jobs import Worker
from lsp_server.server import RedraftServer
from lsp_server.settings import Settings
from lsp_server.transports import serve_stdio

TOKEN_VARIABLE = "REDRAFT_TOKEN"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--stdio", action="store_true", help="serve on stdin and stdout (the default)")
    where.add_argument("--tcp", type=port, metavar="PORT", help="listen on a TCP port (0: any free one)")
    where.add_argument("--ws", type=port, metavar="PORT", help="listen for WebSockets (0: any free port)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--token",
        default=os.environ.get(TOKEN_VARIABLE),
        help=f"what clients must present (default: ${TOKEN_VARIABLE}, or a new one, which is printed)",
    )
    parser.add_argument(
        "--origin", action="append", default=[], help="a web page's origin that may connect (repeatable)"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name or address by which WebSocket clients reach this machine, for use with --host 0.0.0.0 "
        "(repeatable)",
    )
    parser.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--debug", action="store_true", help="answer redraft/debug requests")
    add_engine_arguments(parser)


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 0 (any free one) to 65535")
    return int(text)


def _is_news(record: logging.LogRecord) -> bool:
    """A cancel that crosses its answer is none: clients send one with every key."""
    return not record.getMessage().startswith("Cancel notification for unknown message id")


def run(arguments: argparse.Namespace) -> int:
    logging.basicConfig(
        stream=sys.stderr,
        level=arguments.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("pygls").setLevel(logging.WARNING)  # at INFO it logs whole documents
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_news)
    worker = Worker(loader(arguments))
    defaults = Settings(
        model=arguments.model,
        backend=arguments.backend,
        device=arguments.device,
        threads=arguments.threads,
        log_level=arguments.log_level,
    )
    debug = arguments.debug or bool(arguments.engine)
    make = partial(RedraftServer, worker, debug=debug, defaults=defaults)
    if arguments.tcp is None and arguments.ws is None:
        return serve_stdio(worker, make)
    from lsp_server import listener

    return listener.serve(
        worker,
        partial(make, shared=True),
        kind="ws" if arguments.tcp is None else "tcp",
        host=arguments.host,
        port=arguments.ws if arguments.tcp is None else arguments.tcp,
        token=arguments.token,
        origins=arguments.origin,
        hosts=arguments.allow_host,
    )

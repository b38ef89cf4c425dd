"""`redraft/debug/*`: what a test of a client or of the server has to see. Announced with `--debug` or the
fake engine only, since it hands out whole documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsp_server.documents import UnknownDocumentError
from lsp_server.protocol import RequestFailedError

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer


def register(server: RedraftServer) -> None:
    server.feature("redraft/debug/text")(_text)
    server.feature("redraft/debug/state")(_state)
    server.feature("redraft/debug/allow")(_allow)


def _text(ls: RedraftServer, params: Any) -> dict[str, Any]:
    """`{uri}`: the document as the server has it."""
    try:
        snapshot = ls.documents.get(params.uri)
    except UnknownDocumentError as error:
        raise RequestFailedError(str(error)) from None
    return {"text": snapshot.text, "version": snapshot.version}


def _state(ls: RedraftServer, _: Any) -> dict[str, Any]:
    """Jobs, what the fake engine has counted, and how many tokens of prompts the real one was asked about and knew, and
    for how long all engines have worked; `modules` are the heavy ones that are imported."""
    import sys

    counts = getattr(ls.worker.engine, "counts", None)
    store = getattr(ls.worker.engine, "store", None)
    heavy = ("numpy", "onnxruntime", "torch", "tokenizers", "safetensors")
    return {
        "worker": ls.worker.status.state,
        "pending": ls.worker.pending,
        "accepted": ls.accepted,
        "runs": getattr(counts, "runs", 0),
        "stepsBegun": getattr(counts, "steps_begun", 0),
        "steps": getattr(counts, "steps", 0),
        "workedMs": 1000 * ls.worker.worked,
        "askedTokens": getattr(store, "asked_tokens", 0),
        "reusedTokens": getattr(store, "reused_tokens", 0),
        "modules": [name for name in heavy if name in sys.modules],
    }


def _allow(ls: RedraftServer, params: Any) -> None:
    """`{steps}`: let the fake engine take so many steps more; a negative number opens its gate for good."""
    allow = getattr(ls.worker.engine, "allow", None)
    if allow is None:
        raise RequestFailedError("Only the fake engine has a gate, and only once it is loaded.")
    allow(params.steps)

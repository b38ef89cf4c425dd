"""Messages that cannot be understood: what is said of them."""

from __future__ import annotations

import json
import logging

import pytest

from lsp_server.jobs import Worker
from lsp_server.server import RedraftServer
from model.fake import FakeEngine


@pytest.mark.parametrize(
    ("method", "params", "said"),
    [
        (
            "textDocument/inlineCompletion",
            {"textDocument": {"uri": "a"}, "position": {"line": "x"}, "context": {"triggerKind": 1}},
            ["position.line: invalid value for type, expected int", "position.character: required"],
        ),
        (
            "textDocument/inlineCompletion",
            {"position": {"line": 0, "character": 0}, "context": {"triggerKind": 1}},
            ["textDocument: required field missing"],
        ),
        ("textDocument/codeAction", [], ["textDocument: "]),
        ("workspace/executeCommand", {"command": "x", "arguments": 5}, ["arguments: "]),
    ],
)
def test_the_wrong_field_is_named_without_a_traceback(caplog, method, params, said):
    caplog.set_level(logging.DEBUG)
    server = RedraftServer(Worker(lambda options, report: FakeEngine()), lambda _: None)
    sent: list[bytes] = []

    class Out:
        def write(self, data: bytes) -> None:
            sent.append(data)

    server.protocol.set_writer(Out(), include_headers=False)
    server.protocol.receive(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    error = json.loads(sent[0])["error"]
    assert error["code"] == -32602
    assert all(words in error["message"] for words in said)
    assert "Traceback" not in caplog.text

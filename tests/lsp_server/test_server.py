"""The server object of one connection, without a connection."""

from __future__ import annotations

import asyncio
import threading

import attrs
import pytest
from lsprotocol import types as t
from pygls.workspace import Workspace

from lsp_server.job import Priority
from lsp_server.jobs import Worker
from lsp_server.server import RedraftServer
from lsp_server.settings import EngineOptions, LimitSettings, Settings
from model.fake import FakeEngine
from model.request import Complete


@pytest.fixture
def worker():
    worker = Worker(lambda options, report: FakeEngine())
    worker.load(EngineOptions())
    yield worker
    assert worker.close(10)


@pytest.fixture
def server(worker, tmp_path):
    server = RedraftServer(worker, lambda _: None)
    server.protocol._workspace = Workspace(tmp_path.as_uri())
    return server


def opened(server: RedraftServer, uri: str, text: str = "x\n", language: str = "python") -> str:
    """A document that has been edited, and so is remembered."""
    server.did_open(t.DidOpenTextDocumentParams(t.TextDocumentItem(uri, language, 1, text)))
    change = t.TextDocumentContentChangePartial(t.Range(t.Position(0, 0), t.Position(0, 0)), "y")
    where = t.VersionedTextDocumentIdentifier(2, uri)
    server.did_change(t.DidChangeTextDocumentParams(where, [change]))
    return uri


async def asked(server: RedraftServer, uri: str) -> set[str]:
    """The names of the files whose text came along with a question."""
    job = server.ask_engine(server.documents.get(uri), Complete(0), Priority.INLINE, 5_000)
    await server.result(job)
    return {snippet.path.rpartition("/")[2] for snippet in job.request.snippets}


async def test_the_model_sees_nothing_of_documents_that_it_may_not_work_on(server, tmp_path):
    root = tmp_path.as_uri()
    here = opened(server, f"{root}/here.py")
    opened(server, f"{root}/fine.py")
    opened(server, f"{root}/.env", language="plaintext")
    opened(server, f"{root}/binary.py", "a\n" * 50 + "\0")
    opened(server, f"{root}/large.py", "é" * 60)
    opened(server, f"{root}/go.go", language="go")
    limits = LimitSettings(max_file_bytes=110)
    server.settings = attrs.evolve(Settings(), disabled_languages=("go",), limits=limits)
    assert await asked(server, here) == {"fine.py"}


async def test_a_snippet_is_forgotten_once_its_file_is_ignored(server, tmp_path):
    root = tmp_path.as_uri()
    here, other = opened(server, f"{root}/here.py"), opened(server, f"{root}/other.py")
    assert await asked(server, here) == {"other.py"}
    (tmp_path / ".gitignore").write_text("other.py\n")
    assert await asked(server, here) == set()
    (tmp_path / ".gitignore").unlink()
    assert await asked(server, here) == set()
    assert server.documents.get(other)


def test_a_folder_whose_name_begins_alike_is_another_one(server, tmp_path):
    """`work` is not the workspace of `workshop/a.py`: its ignore rules do not count there."""
    inside = tmp_path / "work"
    inside.mkdir()
    (tmp_path / "workshop").mkdir()
    server.protocol._workspace = Workspace(inside.as_uri())
    roots: list[str] = []
    allows = server.rules.allows
    server.rules.allows = lambda path, root: roots.append(root) or allows(path, root)
    assert not server.ignores(str(tmp_path / "workshop" / "a.py"))
    assert not server.ignores(str(inside / "a.py"))
    assert roots == ["", str(inside)]


def test_the_size_of_a_file_is_in_bytes(server, tmp_path):
    uri = opened(server, f"{tmp_path.as_uri()}/a.py", "é" * 60)
    server.settings = attrs.evolve(Settings(), limits=LimitSettings(max_file_bytes=110))
    assert "121 bytes" in server.refusal(server.documents.get(uri).about)


async def test_jobs_are_dropped_on_the_event_loop(server, tmp_path):
    """They are a plain set that the loop reads."""
    threads: list[str] = []

    class Jobs(set):
        def discard(self, job):
            threads.append(threading.current_thread().name)
            super().discard(job)

    server.jobs = Jobs()
    uri = opened(server, f"{tmp_path.as_uri()}/a.py")
    await asked(server, uri)
    while server.jobs:
        await asyncio.sleep(0.001)
    assert threads == [threading.current_thread().name]
    assert server.stop_jobs() == 0

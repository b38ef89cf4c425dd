"""The sandbox against hostile programs. Each harms at most a little even where the sandbox fails, and says so."""

import os
import socket
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from model.eval import sandbox
from model.eval.sandbox import Limits, Outcome, protections

pytestmark = pytest.mark.skipif(os.name != "posix", reason="programs are run on Linux and macOS only")
LEVELS = ["namespaces", "plain"] if sys.platform == "linux" else ["plain"]
QUICK = Limits(seconds=30, cpu=5)
"""For programs that end by themselves: a busy machine is slow."""


@pytest.fixture(params=LEVELS)
def run(request, monkeypatch):
    """`sandbox.run` with all that this kernel has, and without namespaces."""
    if request.param == "namespaces" and sandbox._level() != "namespaces":
        pytest.skip("no namespaces here")
    monkeypatch.setattr(sandbox, "_level", lambda: request.param)
    return sandbox.run


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file in a home directory."""
    file = tmp_path / "home" / ".netrc"
    file.parent.mkdir()
    file.write_text("password hunter2")
    for folder in (file.parent, tmp_path):
        folder.chmod(0o755)
    file.chmod(0o644)
    return file


def needs(protection: str) -> None:
    if not any(protection in each for each in protections()):
        pytest.skip(f"this kernel has no {protection!r}")


def test_a_program_that_is_right_passes(run):
    outcome = run("import json, math, random\nassert math.pi > 3\nprint('fine')\n")
    assert (outcome.ending, outcome.output) == ("passed", "fine\n")


@pytest.mark.parametrize(
    "program",
    [
        "assert 1 == 2",
        "1 / 0",
        "def f(:",
        "raise SystemExit(0)",
        "import os; os._exit(0)",
        "x = [0] * 10**12",
    ],
)
def test_a_program_that_does_not_run_to_its_end_fails(run, program):
    """Also where it says that it ended well: then its tests have not run."""
    assert run(program).ending == "failed"


def test_an_endless_loop_is_timed_out(run):
    began = time.monotonic()
    assert run("while True: pass", Limits(seconds=0.5)).ending == "timed out"
    assert time.monotonic() - began < 10


def test_cpu_time_is_limited_in_every_thread(run):
    """Wall clock left or not."""
    program = (
        "import threading\nthreading.Thread(target=lambda: sum(iter(int, 1))).start()\nsum(iter(int, 1))"
    )
    outcome = run(program, Limits(seconds=20, cpu=1))
    assert outcome.ending in ("timed out", "killed")
    assert outcome.milliseconds < 15_000


def test_sleeping_and_deaf_to_signals_does_not_help(run):
    program = "import signal, time\nfor n in (2, 15, 24): signal.signal(n, lambda *_: None)\n"
    outcome = run(program + "while True: time.sleep(1)", Limits(seconds=0.5))
    assert (outcome.ending, outcome.milliseconds < 10_000) == ("timed out", True)


NAMED = "import ctypes\nctypes.CDLL(None).prctl(15, b'NAME')\n"
"""The name that `named` finds processes by, in any namespace."""


def named(name: str) -> int:
    return sum(p.info["name"] == name for p in psutil.process_iter(["name"]))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are told apart by a name that Linux knows")
def test_a_fork_bomb_runs_into_its_limit(run, request):
    """At most 64 processes, if nothing stops it."""
    name, most, is_over = f"bomb{os.getpid()}", 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not is_over.wait(0.02):
            most = max(most, named(name))

    watcher = threading.Thread(target=watch)
    watcher.start()
    program = NAMED.replace("NAME", name) + "import os, time\nfor _ in range(6): os.fork()\ntime.sleep(30)\n"
    outcome = run(program, Limits(seconds=1, processes=8))
    is_over.set()
    watcher.join()
    assert outcome.ending != "passed"
    if "namespaces" in request.node.name:
        assert most <= 8
    assert named(name) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="processes are told apart by a name that Linux knows")
def test_a_process_that_detaches_itself_does_not_outlive_the_run(run):
    """It forks twice, starts a session of its own and ignores hang-ups; alone it would end after six seconds."""
    name = f"heart{os.getpid()}"
    program = (
        NAMED.replace("NAME", name)
        + """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        time.sleep(6)
    os._exit(0)
time.sleep(0.3)
"""
    )
    assert run(program, QUICK).passed
    assert named(name) == 0


def test_memory_is_limited(run):
    """Two gigabytes in all, if nothing stops it."""
    outcome = run("held = [bytearray(64 << 20) for _ in range(32)]", QUICK)
    assert outcome.ending in ("failed", "killed")
    assert "MemoryError" in outcome.output


@pytest.mark.parametrize("size", [2 << 30, 1 << 20], ids=["one file", "many files"])
def test_the_disk_cannot_be_filled(run, size, monkeypatch, tmp_path):
    """Two gigabytes in all, if nothing stops it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = f"""
block = b"x" * (1 << 20)
for number in range({(2 << 30) // size}):
    with open(str(number), "wb") as file:
        for _ in range({size >> 20}):
            file.write(block)
"""
    outcome = run(program, Limits(seconds=30, disk=32 << 20, file=16 << 20))
    assert outcome.ending in ("failed", "killed")
    assert not list(tmp_path.iterdir()), "something was left behind"


def test_many_empty_files_are_stopped(run):
    outcome = run("for n in range(200_000): open(str(n), 'w').close()", Limits(seconds=30, inodes=1000))
    assert outcome.ending in ("failed", "killed")


def test_the_home_directory_cannot_be_read(run, secret, monkeypatch):
    needs("home directory")
    monkeypatch.setenv("HOME", str(secret.parent))
    assert "hunter2" in secret.read_text()
    for path in (str(secret), "~/.netrc", str(Path(__file__)), "/etc/passwd"):
        program = f"import os\nprint(open(os.path.expanduser({path!r})).read())"
        outcome = run(program, QUICK)
        assert outcome.ending == "failed", path
        assert "hunter2" not in outcome.output


def test_no_way_leads_out_of_its_folder(run, tmp_path):
    needs("home directory")
    tmp_path.chmod(0o777)
    outside = tmp_path / "written"
    program = f"open({str(outside)!r}, 'w').write('x')"
    assert run(program, QUICK).ending == "failed"
    assert not outside.exists()
    assert run("open('inside', 'w').write('x')\nassert open('inside').read() == 'x'", QUICK).passed


def test_the_environment_is_empty(run, monkeypatch):
    monkeypatch.setenv("API_KEY", "hunter2")
    assert run("import os\nassert not os.environ, dict(os.environ)", QUICK).passed
    assert not run("import model", QUICK).passed


def test_output_is_not_taken_in_without_end(run):
    """Four gigabytes, if nothing stops it."""
    before = psutil.Process().memory_info().rss
    program = "import os\nfor _ in range(1 << 16): os.write(1, b'x' * (1 << 16))"
    outcome = run(program, Limits(seconds=30))
    assert (outcome.ending, outcome.reason) == ("killed", "too much output")
    assert len(outcome.output) <= 4000
    assert psutil.Process().memory_info().rss - before < 64 << 20


def test_the_network_cannot_be_reached(run, request):
    """A listener on this machine hears nothing."""
    if "plain" in request.node.name:
        launched, _ = sandbox._launch("pass", Limits(), "plain")
        if "no TCP" not in launched["protections"]:
            pytest.skip("no Landlock with TCP here")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        program = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=1).sendall(b'x')"
        assert run(program, QUICK).ending == "failed"
        with pytest.raises(TimeoutError):
            listener.accept()


def test_the_order_of_sets_is_the_same_in_every_run(run):
    program = "print(list({'a', 'b', 'c', 'd', 'e', 'f'}))"
    assert run(program).output == run(program).output


def test_what_is_installed_here_is_only_there_on_request():
    program = "import numpy\nassert numpy.arange(3).sum() == 3"
    assert not sandbox.run(program).passed
    assert sandbox.run(program, Limits(packages=True, memory=4 << 30)).passed


def test_protections_are_stated():
    assert any("time-out" in each for each in protections())


def test_an_outcome_says_whether_it_passed():
    assert Outcome("passed").passed
    assert not Outcome("killed").passed

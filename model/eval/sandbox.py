"""Running programs that nobody has read: each in a process of its own that cannot hurt the machine.

`run` starts a launcher (`model/eval/jail.py`) for one program, takes in its output up to a limit, and says how it
ended. `protections` says what the kernel allows here. Linux with namespaces protects best; in other places less is
active, never silently. Needs `fork`: Linux or macOS.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

Ending = Literal["passed", "failed", "timed out", "killed"]
_ROOT = Path(__file__).parents[2]
_START = "import sys; sys.path.insert(0, {root!r}); from model.eval.jail import main; main({status})"
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_OTHERS = ("/etc/localtime", "/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom")
_GRACE = 5.0
"""Seconds that a launcher gets beyond the program's to clean up."""
_XCPU = 128 + 24


class SandboxError(Exception):
    """No program can be run here; says why."""


@dataclass(frozen=True)
class Limits:
    """What a program may use. Seconds, bytes and counts; `memory` and `file` are per process and per file,
    `disk`, `inodes` and `output` for the whole run. `packages`: may import what is installed here."""

    seconds: float = 10.0
    cpu: int = 10
    memory: int = 512 << 20
    processes: int = 8
    file: int = 16 << 20
    disk: int = 64 << 20
    inodes: int = 4096
    open: int = 64
    output: int = 1 << 20
    packages: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a program ended. `passed`: it ran to its last line without an error. `output` is the end of what it
    printed, `reason` why it was stopped."""

    ending: Ending
    output: str = ""
    reason: str = ""
    milliseconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.ending == "passed"


def run(program: str, limits: Limits | None = None) -> Outcome:
    """Run a program's text to its end or to a limit; raises SandboxError where none can be run."""
    began = time.perf_counter()
    report, output = _launch(program, limits or Limits(), _level())
    ending, reason = _ending(report)
    if ending != "passed" and reason.startswith("sandbox:"):
        raise SandboxError(reason)
    return Outcome(ending, output, reason, (time.perf_counter() - began) * 1000)


def protections() -> tuple[str, ...]:
    """What is active on this machine, in words."""
    return _protections(_level())


@cache
def _protections(level: str) -> tuple[str, ...]:
    return tuple(_launch("pass", Limits(), level)[0].get("protections", ()))


@cache
def _level() -> str:
    """`namespaces` where a program that needs the library runs in them, otherwise `plain`."""
    if os.name != "posix":
        raise SandboxError("programs under test are run on Linux and macOS only")
    if sys.platform == "linux":
        report, _ = _launch("import decimal, random, subprocess, zoneinfo", Limits(seconds=20), "namespaces")
        if _ending(report)[0] == "passed":
            return "namespaces"
    return "plain"


def _ending(report: dict[str, Any]) -> tuple[Ending, str]:
    code, reason = report.get("code", 1), report.get("reason", "")
    if not report:
        return "killed", "its supervisor was killed"
    if reason:
        return ("timed out" if reason == "timed out" else "killed"), reason
    if code == _XCPU:
        return "timed out", "CPU time"
    if code > 128:
        return "killed", f"signal {code - 128}"
    return ("passed" if report.get("finished") else "failed"), ""


def _launch(program: str, limits: Limits, level: str) -> tuple[dict[str, Any], str]:
    """The launcher's report (empty: it gave none) and the end of the program's output."""
    with tempfile.TemporaryDirectory(prefix="redraft-", ignore_cleanup_errors=True) as folder:
        packages = [p for p in sys.path if "site-packages" in p] if limits.packages else []
        job = {
            **limits.__dict__, "program": program, "level": level, "folder": folder, "packages": packages,
            "visible": _visible(packages),
        }  # fmt: skip
        read_status, write_status = os.pipe()
        command = [_interpreter(), "-P", "-s", "-S", "-X", "utf8", "-c"]
        process = subprocess.Popen(
            [*command, _START.format(root=str(_ROOT), status=write_status)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PYTHONHASHSEED": "0"},  # the same order of sets in every run
            cwd="/",
            pass_fds=(write_status,),
            start_new_session=True,
        )
        os.close(write_status)
        try:
            output = _attend(process, marshal.dumps(job), limits)
        finally:
            _kill_group(process)
        with os.fdopen(read_status, "rb") as status:
            os.set_blocking(read_status, False)  # a process that escaped may hold the other end
            report = status.read(1 << 16)
        return (marshal.loads(report) if report else {}), output


def _attend(process: subprocess.Popen[bytes], job: bytes, limits: Limits) -> str:
    """Hand over the job and read the output until it ends; what is beyond its limit stops the program."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(job)
        process.stdin.close()
    except BrokenPipeError:
        return "the launcher did not start"
    deadline = time.monotonic() + limits.seconds + _GRACE
    total, tail, is_stopped = 0, b"", False
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([process.stdout], [], [], left)[0]:
            break
        piece = os.read(process.stdout.fileno(), 1 << 16)
        if not piece:
            break
        total += len(piece)
        tail = (tail + piece)[-4000:]
        if total > limits.output and not is_stopped:
            is_stopped = True
            process.send_signal(signal.SIGTERM)
    return tail.decode("utf-8", "replace")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the launcher, if it has not ended by itself: with it ends its process namespace."""
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


@cache
def _interpreter() -> str:
    """The Python under any virtual environment."""
    return getattr(sys, "_base_executable", None) or sys.executable


def _visible(packages: list[str]) -> list[str]:
    """Files and folders of this machine that a program may read."""
    own = {f"{base}/{name}" for base in (sys.base_prefix, sys.base_exec_prefix) for name in ("lib", "lib64")}
    wanted = dict.fromkeys([*_LIBRARIES, *sorted(own), *packages, *_OTHERS])
    return [path for path in wanted if os.path.exists(path)]

"""The launcher behind `model/eval/sandbox.py`: shuts itself in, runs one program, kills what it left, reports.

`main` gets a marshalled job on stdin and writes a report to the file descriptor that it is given; standard library
only. Where the kernel allows (`level` "namespaces"): namespaces of its own for mounts, processes and network, and a
root file system in memory that holds nothing but Python's library, read-only. Otherwise (`level` "plain"): what
there is of Landlock, a user id of its own, resource limits, and a watch on processes and disk.

Three processes: this launcher, which supervises; in a process namespace its child, the first process there,
with whose end the kernel ends all others; and the program. None of them starts a second interpreter.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
import time
from types import ModuleType

from model.eval import confine

TYPE_CHECKING = False  # importing `typing` would take longer than all else here
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Job = dict[str, Any]

_FIRST_UID = 200_000


class StoppedError(Exception):
    """The program must end now; says why."""


def run_program(job: Job, uid: int | None, done: int, nonce: bytes) -> NoReturn:
    """The program itself, in this process; writes `nonce` to `done` if it runs to its end."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setpgid(0, 0)
        sys.stdin = open(os.devnull)  # noqa: SIM115
        os.dup2(sys.stdin.fileno(), 0)
        confine.limit_resources(job)
        if uid is not None:
            confine.drop_user(uid)
        if confine.IS_LINUX:
            confine.drop_capabilities()
            if job["level"] == "plain":
                confine.restrict_files(job["visible"], job["folder"])
        _hide_ourselves(job["packages"])
        module = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(job["program"], "program.py", "exec"), module.__dict__)
        sys.stdout.flush()
        os.write(done, nonce)
        code = 0
    except SystemExit as ended:
        sys.stderr.write(f"\nthe program ended itself ({ended}) before its end\n")
    except BaseException as error:
        import traceback

        here = error.__traceback__
        traceback.print_exception(type(error), error, here and here.tb_next, limit=-8)
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _hide_ourselves(packages: list[str]) -> None:
    """An empty environment, and neither our modules nor the way to them."""
    os.environ.clear()
    sys.argv[:] = ["program.py"]
    sys.path[:] = [*sys.path[1:], *packages]
    for name in [n for n in sys.modules if n.partition(".")[0] == "model"]:
        del sys.modules[name]


def first_process(job: Job, uid: int | None, done: int, nonce: bytes) -> NoReturn:
    """Of a process namespace: waits for the program, reaps the orphans; the kernel kills what outlives it."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the first process is then deaf to it
        confine.die_with_parent()
        program = os.fork()
        if program == 0:
            run_program(job, uid, done, nonce)
        while True:
            pid, status = os.wait()
            if pid == program:
                os._exit(_exit_code(status))
    finally:
        os._exit(1)


def _exit_code(status: int) -> int:
    """Of a wait status; above 128: the signal that ended it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def supervise(job: Job, child: int) -> int:
    """Wait for the child; its exit code (above 128: a signal). Raises StoppedError."""
    is_plain, began, pause, looked = job["level"] == "plain", time.monotonic(), 0.001, 0.0
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return _exit_code(status)
        now = time.monotonic()
        if now - began > job["seconds"]:
            raise StoppedError("timed out")
        if is_plain:
            if len(descendants(os.getpid())) > job["processes"]:
                raise StoppedError("too many processes")
            if now - looked > 0.1:
                looked = now
                size, count = _disk(job["folder"], job["inodes"])
                if size > job["disk"] or count > job["inodes"]:
                    raise StoppedError("too much on disk")
        time.sleep(pause)
        pause = min(0.02, 1.3 * pause)


def descendants(pid: int) -> list[int]:
    """Of a process, by `/proc`; empty where there is none."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return []
    return children + [below for child in children for below in descendants(child)]


def _disk(folder: str, inodes: int) -> tuple[int, int]:
    """Bytes and entries below a folder; stops counting where there are too many."""
    size = count = 0
    waiting = [folder]
    while waiting and count <= inodes:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return size, count


def end_namespace(child: int) -> None:
    """Kill the first process of the process namespace, and with it all others."""
    _signal(child, signal.SIGKILL)
    _reap()


def end_all(uid: int | None, group: int) -> None:
    """Without a namespace: end the program's group and, on Linux, every process that it left anywhere."""
    if uid is not None:
        _kill_user(uid)
    for _ in range(500):
        _signal(-group, signal.SIGKILL)
        left = descendants(os.getpid())
        for number in (signal.SIGSTOP, signal.SIGKILL):  # a stopped one forks no more
            for pid in left:
                _signal(pid, number)
        if not _reap(wait=False):
            return
        time.sleep(0.002)


def _kill_user(uid: int) -> None:
    """All processes of a user at once, so that none can fork in between."""
    killer = os.fork()
    if killer == 0:
        try:
            confine.drop_user(uid)
            if os.getuid() == uid:  # not as the nobody that others share
                os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(killer, 0)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:  # it has ended
        return


def _reap(wait: bool = True) -> bool:
    """Collect children that ended; whether there are others."""
    try:
        while os.waitpid(-1, 0 if wait else os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def own_uid(level: str) -> int | None:
    """The user id that the program gets; None: it keeps ours. Without a root file system of our own the standard
    library must be readable for anybody."""
    if os.getuid() != 0:
        return None
    path = os.path.dirname(os.__file__)
    while level == "plain" and path != "/":
        if not os.stat(path).st_mode & 0o001:
            return None
        path = os.path.dirname(path)
    return _FIRST_UID + os.getpid() % 1_000_000


def protections(level: str, uid: int | None) -> list[str]:
    """What is active, in words."""
    found = ["own process group, killed on time-out", "limits on CPU time, memory, file size and open files"]
    found.append("empty environment, temporary directory")
    if level == "namespaces":
        own = ["limit on processes", "no network", "home directory and other files invisible"]
        return [*found, *own, "disk in memory, limited", "no process outlives the run"]
    if not confine.IS_LINUX:
        return found
    found += ["watch on disk use", "orphaned processes are killed"]
    found.append("limit on processes" if uid or os.getuid() else "watch on the number of processes")
    abi = confine.landlock_version()
    found += ["home directory and other files unreadable"] if abi >= 1 else []
    return found + (["no TCP"] if abi >= 4 else [])


def _stop(*_: object) -> None:
    raise StoppedError("too much output")


def _start(job: Job, report: dict[str, object]) -> tuple[int, int | None, int, bytes]:
    """Confine this process and fork the program; its process id, its user id, where it says that it ended, and
    with which word."""
    level, nonce = job["level"], os.urandom(16)
    if level == "namespaces":
        confine.enter_namespaces(job)
    else:
        os.chdir(job["folder"])
        confine.adopt_orphans()
    uid = own_uid(level)
    if uid is not None and level == "plain":
        os.chmod(job["folder"], 0o777)
    report["protections"] = protections(level, uid)
    done, write_done = os.pipe()
    os.set_blocking(done, False)
    child = os.fork()
    if child == 0:
        (first_process if level == "namespaces" else run_program)(job, uid, write_done, nonce)
    os.close(write_done)
    return child, uid, done, nonce


def _read(pipe: int) -> bytes:
    """What was written so far; a process that the program left may hold the other end."""
    try:
        return os.read(pipe, 64)
    except BlockingIOError:
        return b""


def main(status: int) -> None:
    """Do one job; `status` is the file descriptor for the report."""
    os.set_inheritable(status, False)
    job: Job = marshal.loads(sys.stdin.buffer.read())
    report: dict[str, object] = {"code": 1, "finished": False, "reason": ""}
    child: int | None = None
    uid: int | None = None
    try:
        child, uid, done, nonce = _start(job, report)
        signal.signal(signal.SIGTERM, _stop)
        code = report["code"] = supervise(job, child)
        report["finished"] = code == 0 and _read(done) == nonce
    except StoppedError as stopped:
        report["reason"] = str(stopped)
    except OSError as error:
        report["reason"] = f"sandbox: {error}"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if child is not None:
        end_namespace(child) if job["level"] == "namespaces" else end_all(uid, child)
    os.write(status, marshal.dumps(report))

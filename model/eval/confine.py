"""What keeps a program under test in: namespaces, Landlock, resource limits, a user id without rights.

Each function confines the calling process and raises OSError where the kernel does not allow it. Standard library
only: `model/eval/jail.py` runs this in an interpreter without packages.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (1 << bit for bit in (17, 26, 27, 28, 29, 30))
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
LANDLOCK = 444
"""`landlock_create_ruleset`; `add_rule` and `restrict_self` follow. The same on every architecture."""
IS_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """A function of the C library; raises OSError where it fails."""
    result = getattr(_libc, name)(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    text = [None if value is None else value.encode() for value in (source, target, kind)]
    call("mount", *text, ctypes.c_ulong(flags), options.encode() or None)


def enter_namespaces(job: dict[str, Any]) -> None:
    """Namespaces of our own and a new root; raises OSError where the kernel forbids one of them."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS | (NEWUSER if uid else 0))
    if uid:
        ourselves = {"setgroups": "deny", "uid_map": f"{uid} {uid} 1", "gid_map": f"{gid} {gid} 1"}
        for name, text in ourselves.items():
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    root = job["folder"]
    size = f"size={job['disk']},nr_inodes={job['inodes']},mode=755"
    _mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, size)
    for path in job["visible"]:
        _show(path, root)
    os.makedirs(f"{root}/tmp", exist_ok=True)  # what is shown may lie in it
    os.chmod(f"{root}/tmp", 0o1777)
    os.chdir(root)
    os.mkdir("old")
    call("pivot_root", b".", b"old")
    os.chdir("/")
    call("umount2", b"/old", MNT_DETACH)
    os.rmdir("/old")
    os.chdir("/tmp")


def _show(path: str, root: str) -> None:
    """The host's file or folder at the same place of the new root, read-only; devices stay writable."""
    target = root + path
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.makedirs(target, mode=0o755, exist_ok=True)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(path, target, None, MS_BIND | MS_REC)
    if not stat.S_ISCHR(os.stat(path).st_mode):
        # In a user namespace nosuid, nodev and noexec cannot be dropped.
        kept = os.statvfs(path).f_flag & 14
        _mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def landlock_version() -> int:
    """The kernel's; below 1: it has none. From 4 on it covers TCP."""
    return _libc.syscall(LANDLOCK, None, 0, 1) if IS_LINUX else 0


def restrict_files(visible: list[str], folder: str) -> None:
    """By Landlock, where there is one: reading only what is visible, writing only in `folder`, no TCP."""
    abi = landlock_version()
    if abi < 1:
        return
    rights = (1 << {1: 13, 2: 14}.get(abi, 15 if abi < 5 else 16)) - 1
    read, on_files = 1 | 4 | 8, rights & (1 | 2 | 4 | 1 << 14 | 1 << 15)
    attributes = struct.pack("=QQQ", rights, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = call("syscall", LANDLOCK, attributes, size, 0)
    for path, allowed in [(folder, rights), *((p, read) for p in visible)]:
        if path.startswith("/dev/"):
            allowed = read | 2
        handle = os.open(path, getattr(os, "O_PATH", 0))
        if not os.path.isdir(path):
            allowed &= on_files
        call("syscall", LANDLOCK + 1, ruleset, 1, struct.pack("=Qi", allowed, handle), 0)
        os.close(handle)
    call("syscall", LANDLOCK + 2, ruleset, 0)


def limit_resources(job: dict[str, Any]) -> None:
    import resource

    wanted = {
        "CPU": job["cpu"], "AS": job["memory"], "FSIZE": job["file"], "NOFILE": job["open"],
        "NPROC": job["processes"], "CORE": 0,
    }  # fmt: skip
    for name, value in wanted.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        # One second between the soft limit's signal, which a program may catch, and the hard one's.
        top = value + (name == "CPU")
        try:
            is_free = hard in (-1, resource.RLIM_INFINITY)
            resource.setrlimit(kind, (value, top) if is_free else (min(value, hard), min(top, hard)))
        except (ValueError, OSError):  # macOS refuses some
            continue


def drop_user(uid: int) -> None:
    """A user id that nobody else has, so that its processes can be counted and killed; nobody's where the
    container knows no such id."""
    os.setgroups([])
    for each in (uid, 65534):
        try:
            os.setresgid(each, each, each)
            os.setresuid(each, each, each)
            return
        except OSError:
            continue
    raise PermissionError("cannot leave the root user")


def die_with_parent() -> None:
    call("prctl", PR_SET_PDEATHSIG, 9, 0, 0, 0)


def adopt_orphans() -> None:
    """Processes whose parent ends become children of this one."""
    if IS_LINUX:
        call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def drop_capabilities() -> None:
    """For good: no program that this one starts gets any either."""
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("capset", struct.pack("=Ii", 0x20080522, 0), bytes(24))

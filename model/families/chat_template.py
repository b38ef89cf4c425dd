"""What a chat template writes around one question. The template is run by a process of its own (`render.py`), with
limits of time, memory and length, so that no downloaded folder can hold up who loads it. Knows no tokens.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from model.families.errors import FamilyError

_RENDER = Path(__file__).with_name("render.py")
_NO_JINJA = 69
"""What `render.py` exits with where Jinja is missing."""
_ISOLATED = ("-E", "-P", *(("-s",) if sys.flags.no_user_site else ()))
"""Neither the working directory nor the program's own is looked into, nor what the environment names; `-I` would hide
besides what was installed for the user alone."""
_SECONDS = 30.0
"""By the clock, on a machine that is busy: the process itself has 5 seconds of work."""
_MEMORY = 1 << 30
_GLANCE = 0.05
"""Seconds between two looks at how much memory the process has: not every system keeps the limit it sets itself."""
_TOO_MUCH = "it takes more time or memory than a template may"


def rendered(template: str, roles: Mapping[str, str], content: str) -> str:
    """One user message in a chat template, up to where the reply begins; raises FamilyError where it cannot be. `roles`
    are the tokenizer's special tokens by what it calls them, as templates do: `bos_token`, `eos_token` ..."""
    values: dict[str, Any] = {
        "messages": [{"role": "user", "content": content}],
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
        "enable_thinking": False,
        **roles,
    }
    said = _run(json.dumps({"template": template, "values": values}))
    if "text" not in said:
        raise FamilyError(f"the checkpoint's chat template cannot be used: {said.get('error')}")
    return str(said["text"])


@lru_cache(maxsize=8)
def _run(asked: str) -> Mapping[str, Any]:
    try:
        process = subprocess.Popen(
            [sys.executable, *_ISOLATED, str(_RENDER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise FamilyError(f"the checkpoint's chat template cannot be rendered: {error}") from error
    with process:
        try:
            written, complaint = _said(process, asked.encode())
        except _TooMuchError as error:
            return {"error": str(error)}
        finally:
            process.kill()
    if process.returncode == _NO_JINJA:
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise FamilyError(f"the checkpoint's chat template cannot be rendered: {last}; install redraft[gpu]")
    if process.returncode:  # which one a killed process has depends on the system
        return {"error": _TOO_MUCH}
    return json.loads(written)


class _TooMuchError(Exception):
    pass


def _said(process: subprocess.Popen[bytes], asked: bytes | None) -> tuple[bytes, bytes]:
    """What the process writes and what it complains of; raises _TooMuchError where it goes beyond a limit."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            return process.communicate(asked, timeout=_GLANCE)
        except subprocess.TimeoutExpired:
            asked = None  # it has been given
        if _memory(process.pid) > _MEMORY:
            raise _TooMuchError(_TOO_MUCH)
        if time.monotonic() > end:
            raise _TooMuchError(f"it was not done after {_SECONDS:.0f} seconds")


def _memory(pid: int) -> int:
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0  # it has just ended

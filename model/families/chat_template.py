"""What a chat template writes around one question. The template is run by a process of its own (`render.py`), with
limits of time, memory and length, so that no downloaded folder can hold up who loads it. Knows no tokens.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from model.families.errors import FamilyError

_RENDER = Path(__file__).with_name("render.py")
_NO_JINJA = 69
"""What `render.py` exits with where Jinja is missing."""
_ISOLATED = ("-E", "-P", *(("-s",) if sys.flags.no_user_site else ()))
"""Neither the working directory nor the program's own is looked into, nor what the environment names; `-I` would hide
besides what was installed for the user alone."""
_SECONDS = 30.0
"""By the clock, on a machine that is busy: the process itself has 5 seconds of work."""


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
        process = subprocess.run(
            [sys.executable, *_ISOLATED, str(_RENDER)],
            input=asked.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"it was not done after {_SECONDS:.0f} seconds"}
    except OSError as error:
        raise FamilyError(f"the checkpoint's chat template cannot be rendered: {error}") from error
    if process.returncode == _NO_JINJA:
        last = process.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise FamilyError(f"the checkpoint's chat template cannot be rendered: {last}; install redraft[gpu]")
    if process.returncode:  # which one a killed process has depends on the system
        return {"error": "it takes more time or memory than a template may"}
    return json.loads(process.stdout)

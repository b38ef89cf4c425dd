"""Where models are kept on this machine, what they are called, and which of them is used unless another is named.

A model is named by a path, by the name of a folder in the models folder, or as `embedded`. The remembered default is
`default.json` in the models folder, beside the models. Knows folders and names, nothing of what is in a model.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.checkpoint import EMBEDDED, ModelError

BOXED = "embedded"
"""The name of the model that comes with Redraft."""
VARIABLE = "REDRAFT_MODELS"
DOWNLOADS = ".downloads"
"""In the models folder: what is being fetched."""
_REMEMBERED = "default.json"


@dataclass(frozen=True)
class Choice:
    """The folder that is used, and why; `lost` says what became of a remembered one that is gone."""

    folder: Path
    why: str
    lost: str = ""


def models_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """`$REDRAFT_MODELS`, else the platform's place for a user's data. It need not exist."""
    if said := environment.get(VARIABLE):
        return Path(said).expanduser()
    home = Path.home()
    if platform == "darwin":
        return home / "Library" / "Application Support" / "redraft" / "models"
    if platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local") / "redraft" / "models"
    return Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "redraft" / "models"


def kept() -> list[Path]:
    """The models folder's models, by name; what begins with a dot is none, or not yet."""
    return _folders(models_folder())


def unfinished() -> list[Path]:
    """Downloads that were cut."""
    return _folders(models_folder() / DOWNLOADS)


def _folders(parent: Path) -> list[Path]:
    try:
        found = [each for each in parent.iterdir() if each.is_dir() and each.name[0] != "."]
    except OSError:
        return []
    return sorted(found, key=lambda each: each.name.lower())


def find(model: str) -> Path:
    """The folder of a name or a path: a bare name is first looked for in the models folder. Raises ModelError for a
    name that is nowhere; a path is returned unseen."""
    if model == BOXED:
        return EMBEDDED
    path = Path(model).expanduser()
    if not is_name(model):
        return path
    if (in_folder := models_folder() / model).is_dir():
        return in_folder
    if path.exists():
        return path
    raise ModelError(
        f"no model at {model}, and none of that name in {models_folder()}: `redraft models list` shows what is there; "
        f"a path begins with ./ or /, and `{BOXED}` is the model in the box"
    )


def name_of(folder: Path) -> str:
    """What a model is called: the name by which `find` finds it, else its path."""
    if folder == EMBEDDED:
        return BOXED
    return folder.name if folder.parent == models_folder() else str(folder)


def is_name(model: str) -> bool:
    """Whether it can be a folder's name in the models folder."""
    return model not in ("", ".", "..", BOXED) and model[0] not in ".~" and not set(model) & set('/\\:*?"<>|')


def choose(model: str = "") -> Choice:
    """What is used where `model` is asked for (empty: nothing in particular). Raises ModelError as `find` does."""
    if model:
        return Choice(find(model), "it was named")
    remembered, file = _read(), models_folder() / _REMEMBERED
    if remembered is None and file.exists():
        lost = f"{file} cannot be read: the embedded model is used; choose again with `redraft models use`"
        return Choice(EMBEDDED, "what was chosen cannot be read", lost)
    if remembered is None:
        return Choice(EMBEDDED, "nothing else was chosen")
    if remembered == BOXED:
        return Choice(EMBEDDED, f"chosen with `redraft models use`, in {file}")
    try:
        folder = find(remembered)
    except ModelError:
        folder = models_folder() / remembered
    if folder.is_dir():
        return Choice(folder, f"chosen with `redraft models use`, in {file}")
    lost = (
        f"the model {remembered!r}, chosen with `redraft models use`, is gone ({folder}): the embedded model is used "
        f"instead; put it back, or choose another with `redraft models use`"
    )
    return Choice(EMBEDDED, "the chosen one is gone", lost)


def remember(folder: Path) -> Path:
    """Make a folder the default; the file that says so. Raises OSError."""
    home = models_folder()
    home.mkdir(parents=True, exist_ok=True)
    said = BOXED if folder == EMBEDDED else folder.name if folder.parent == home else str(folder.absolute())
    unfinished = home / f".{_REMEMBERED}"
    unfinished.write_text(json.dumps({"model": said}) + "\n", "utf-8")
    unfinished.replace(home / _REMEMBERED)
    return home / _REMEMBERED


def _read() -> str | None:
    """The remembered name or path; None where there is none, or the file cannot be read as one."""
    try:
        data = json.loads((models_folder() / _REMEMBERED).read_text("utf-8"))
        said = data["model"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return said if isinstance(said, str) and said else None


def size_of(folder: Path) -> int:
    """Bytes of a folder's files; what cannot be read counts nothing."""
    total = 0
    for each in folder.rglob("*"):
        try:
            total += each.stat().st_size if each.is_file() else 0
        except OSError:
            continue
    return total

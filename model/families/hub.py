"""The Hugging Face Hub, as far as a download needs it: what a repository holds, and one of its files, from where it was
cut.

The only module that reaches for a network, and only when a download was asked for. `$HF_ENDPOINT`, `$HF_TOKEN` and
`$HF_HUB_OFFLINE` mean what they mean to huggingface_hub. Files come over plain HTTP, since that library begins a cut
file anew. Knows no models.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model.checkpoint import ModelError

_ATTEMPTS = 4
"""Of a file, without a byte in between, before it is given up."""
_PAUSE = 1.0
_TIMEOUT = 20.0
"""Seconds until a silent server is given up."""
Heard = Callable[[int], None]
"""Is told how many bytes of a file are there."""


@dataclass(frozen=True)
class Remote:
    """A file of a repository; `sha256` is known of large ones."""

    name: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True)
class Repository:
    """At one commit. `files` are those at its top."""

    repo: str
    commit: str
    files: tuple[Remote, ...]

    def file(self, name: str) -> Remote | None:
        return next((each for each in self.files if each.name == name), None)


def look_up(repo: str, revision: str | None = None) -> Repository:
    """What a repository holds. Raises ModelError."""
    from huggingface_hub import HfApi

    with _explained(repo, revision):
        info = HfApi(endpoint=_endpoint()).model_info(
            repo, revision=revision, files_metadata=True, timeout=_TIMEOUT
        )
        if not info.sha:
            raise ModelError(
                f"the hub does not say at which commit {repo} is; try again, or name a --revision"
            )
        files = [
            Remote(each.rfilename, int(each.size), each.lfs.sha256 if each.lfs else None)
            for each in info.siblings or ()
            if "/" not in each.rfilename and "\\" not in each.rfilename and each.size is not None
        ]
        return Repository(repo, info.sha, tuple(files))


def fetch(repository: Repository, remote: Remote, part: Path, heard: Heard = lambda count: None) -> None:
    """Bring a file into `part`, going on behind what is there of it. Raises ModelError; what came stays there."""
    from huggingface_hub import errors

    idle, why = 0, "the server sent less than it had said"
    while (begin := _size(part)) < remote.size:
        if idle:
            time.sleep(_PAUSE)
        try:
            with _explained(repository.repo, repository.commit, passes_on=True):
                _stream(repository, remote, part, begin, heard)
        except errors.HTTPError as error:  # pyright: ignore[reportPrivateImportUsage]  # whichever HTTP library it uses
            why = _said(error)
        idle = 0 if _size(part) > begin else idle + 1
        if idle == _ATTEMPTS:
            raise ModelError(
                f"{remote.name} was cut ({why}): {_size(part)} of its {remote.size} bytes are there; call again to go "
                "on from there"
            )
    if _size(part) > remote.size:
        part.unlink()
        raise ModelError(f"more than {remote.size} bytes came of {remote.name}; call again to fetch it anew")


def _stream(repository: Repository, remote: Remote, part: Path, begin: int, heard: Heard) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    url = hf_hub_url(repository.repo, remote.name, revision=repository.commit, endpoint=_endpoint())
    headers = {**build_hf_headers(library_name="redraft"), "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    with get_session().stream(
        "GET", url, headers=headers, timeout=_TIMEOUT, follow_redirects=True
    ) as response:
        hf_raise_for_status(response)
        goes_on = response.status_code == 206
        with part.open("ab" if goes_on else "wb") as file:  # a server may not know ranges
            # As they come: of chunks that are waited for, what came of one would be lost where it is cut.
            for chunk in response.iter_bytes():
                file.write(chunk)
                heard(file.tell())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


@contextmanager
def _explained(repo: str, revision: str | None, passes_on: bool = False) -> Generator[None]:
    """What went wrong on the way, as a ModelError with what to do; with `passes_on` what a further attempt may mend is
    left as it is."""
    from huggingface_hub import errors

    where = _endpoint() or "https://huggingface.co"
    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{repo} is given only to who accepts its terms: do so at {where}/{repo}, then run `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{repo} has no revision {revision!r}; name another, or none") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"there is no repository {repo} at {where}, or it is private: check its name (OWNER/NAME), or run `hf auth "
            "login`"
        ) from error
    except errors.HFValidationError as error:
        raise ModelError(f"{repo!r} is no name of a repository: OWNER/NAME is wanted") from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelError("HF_HUB_OFFLINE is set, so that nothing is fetched; unset it to download") from error
    except errors.HfHubHTTPError as error:
        raise ModelError(f"{where} refused {repo}: {_said(error)}; try again later") from error
    except errors.HTTPError as error:  # pyright: ignore[reportPrivateImportUsage]  # whichever HTTP library it uses
        if passes_on:
            raise
        raise ModelError(
            f"{where} cannot be reached ({_said(error)}); check the network and $HF_ENDPOINT, or copy the model's "
            "folder from another machine and name it by its path"
        ) from error


def _said(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

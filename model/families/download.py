"""A published model fetched into the models folder: small files first, so that what cannot be used is refused before
its weights come; then the weights; then everything is checked as if it were to be loaded.

Only text and safetensors are fetched: no pickles, no programs. What is unfinished lies in `.downloads` and is gone on
with by the next call; a model appears under its name when it is whole. `hub.py` does the talking.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.checkpoint import ModelError, check_safetensors
from model.families.errors import FamilyError
from model.families.examples import EXAMPLES
from model.families.family import Family
from model.families.folder import SOURCE, Folder, read_json
from model.families.foreign import ForeignCheckpoint, open_foreign, read_fields
from model.families.hub import Remote, Repository, fetch, look_up
from model.families.registry import recognise
from model.families.shards import INDEX, SINGLE
from model.families.sizes import in_size
from model.shelf import DOWNLOADS, is_name, models_folder

SMALL = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    INDEX,
)
_LARGEST_SMALL = 64 << 20
_SPARE = 256 << 20
"""Bytes that stay free on a disk."""
_PICKLE = re.compile(r"\.(bin|pt|pth|ckpt)$")
Progress = Callable[[str, int, int], None]
"""Is told of a file's name, the bytes of all files that are there, and those of all."""


@dataclass(frozen=True)
class Planned:
    """What is fetched: `folder` is where it ends up, `unfinished` where it lies until then."""

    repository: Repository
    folder: Path
    unfinished: Path


def download(
    repo: str,
    revision: str | None = None,
    name: str = "",
    progress: Progress = lambda what, done, total: None,
    told: Callable[[str], None] = lambda line: None,
) -> ForeignCheckpoint:
    """Fetch a repository under `name` (empty: its own). Raises ModelError; what came is kept for the next call."""
    if "/" not in repo:
        known = [each for examples in EXAMPLES.values() for each in examples if each.endswith(f"/{repo}")]
        wanted = f"did you mean {known[0]}?" if known else "OWNER/NAME is wanted"
        raise ModelError(f"{repo!r} is no name of a repository: {wanted}")
    plan = _planned(repo, revision, name)
    repository = plan.repository
    _fetch_all(
        plan, [each for each in repository.files if each.name in SMALL], lambda what, done, total: None
    )
    family = _checked_family(plan)
    weights = _weights(plan)
    total, there = sum(each.size for each in weights), _there(plan, weights)
    told(f"{repo} at {repository.commit[:12]}: {family.title}, {in_size(total)} in {len(weights)} files")
    if there:
        told(f"{in_size(there)} of them are there already")
    _check_disk(plan, total - there)
    _fetch_all(plan, weights, progress)
    for each in weights:
        check_safetensors(plan.unfinished / each.name)
    open_foreign(plan.unfinished)
    plan.unfinished.rename(plan.folder)
    return open_foreign(plan.folder)


def _planned(repo: str, revision: str | None, name: str) -> Planned:
    name = name or repo.rpartition("/")[2]
    if not is_name(name):
        raise ModelError(f"{name!r} cannot be a folder's name; choose another with --name")
    folder = models_folder() / name
    if folder.exists():
        raise ModelError(
            f"there is a model {name!r} already ({folder}); choose another name with --name, or delete it"
        )
    repository = look_up(repo, revision)
    unfinished = models_folder() / DOWNLOADS / name
    source = {"repo": repo, "revision": repository.commit}
    try:
        if unfinished.exists() and _source(unfinished) != source:
            shutil.rmtree(unfinished)
        unfinished.mkdir(parents=True, exist_ok=True)
        (unfinished / SOURCE).write_text(json.dumps(source) + "\n", "utf-8")
    except OSError as error:
        raise ModelError(f"{unfinished} cannot be written ({error.strerror}); set $REDRAFT_MODELS") from error
    return Planned(repository, folder, unfinished)


def _source(folder: Path) -> dict[str, object]:
    try:
        return read_json(folder / SOURCE)
    except (OSError, FamilyError):
        return {}


def _checked_family(plan: Planned) -> Family:
    """The family, from the config alone; raises ModelError where it is not one that runs here."""
    repo = plan.repository.repo
    if plan.repository.file("config.json") is None:
        raise ModelError(f"{repo} has no config.json: it is no model in Hugging Face's layout")
    fields = read_fields(plan.unfinished)
    try:
        if fields.get("quantization_config"):
            raise FamilyError(f"{fields.path}: quantised checkpoints cannot be read; choose the plain model")
        family = recognise(Folder(plan.unfinished, fields))
        if family.extra:
            raise FamilyError(f"{family.title} runs with transformers, and is not run by Redraft itself")
    except FamilyError as error:
        raise ModelError(f"{repo} was not downloaded: {error}") from error
    return family


def _weights(plan: Planned) -> list[Remote]:
    """The safetensors that would be read: those of the index, or the only one."""
    repository = plan.repository
    if (single := repository.file(SINGLE)) is not None:
        return [single]
    if repository.file(INDEX) is None:
        if pickles := [each.name for each in repository.files if _PICKLE.search(each.name)]:
            raise ModelError(
                f"{repository.repo} holds pickled weights only ({', '.join(pickles[:3])}), and loading a pickle runs "
                "its code; look for a repository or a revision with safetensors"
            )
        raise ModelError(
            f"{repository.repo} holds neither {SINGLE} nor an index of shards: it has no weights"
        )
    try:
        names = sorted(set(read_json(plan.unfinished / INDEX)["weight_map"].values()))
    except (LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{INDEX} of {repository.repo} is no index of shards ({error!r})") from error
    found = [repository.file(str(each)) for each in names if str(each).endswith(".safetensors")]
    if len(found) < len(names) or None in found:
        raise ModelError(f"{INDEX} of {repository.repo} names files that are not there, or no safetensors")
    return [each for each in found if each is not None]


def _fetch_all(plan: Planned, files: list[Remote], progress: Progress) -> None:
    total, done = sum(each.size for each in files), 0
    for each in files:
        if each.name in SMALL and each.size > _LARGEST_SMALL:
            raise ModelError(
                f"{each.name} of {plan.repository.repo} has {each.size} bytes, which none should have"
            )
        path = plan.unfinished / each.name
        if not path.exists() or path.stat().st_size != each.size:
            _fetch_one(
                plan.repository, each, path, lambda count, n=each.name, d=done: progress(n, d + count, total)
            )
        done += each.size
        progress(each.name, done, total)


def _fetch_one(repository: Repository, remote: Remote, path: Path, heard: Callable[[int], None]) -> None:
    """A file under its own name is whole and checked."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.touch()
        fetch(repository, remote, part, heard)
        if remote.sha256 is not None and (found := _sha256(part)) != remote.sha256:
            part.unlink()
            raise ModelError(
                f"{remote.name} came damaged: its SHA-256 is {found}, the hub says {remote.sha256}; it was deleted, "
                "call again to fetch it anew"
            )
        part.replace(path)
    except OSError as error:
        raise ModelError(f"{part} cannot be written: {error.strerror or error}; make room") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _there(plan: Planned, files: list[Remote]) -> int:
    paths = [plan.unfinished / each.name for each in files]
    both = [each for path in paths for each in (path, path.with_name(f"{path.name}.part"))]
    return sum(each.stat().st_size for each in both if each.exists())


def _check_disk(plan: Planned, wanted: int) -> None:
    if wanted + _SPARE > (free := shutil.disk_usage(plan.unfinished).free):
        raise ModelError(
            f"{plan.repository.repo} takes {in_size(wanted)} more, and {in_size(free)} are free on the disk of "
            f"{plan.unfinished.parent.parent}; make room, or set $REDRAFT_MODELS to a folder on another disk"
        )

"""Which files may enter a prompt: not what git ignores, what holds secrets, or what the user excludes.

The user's globs are added to the defaults and cannot take them back; nor can a `.gitignore`. Reads
`.gitignore` files and nothing else. Knows no documents.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from pathspec import GitIgnoreSpec

# Matched without regard to case, on the whole path: also files outside the workspace have secrets.
# fmt: off
DEFAULT_GLOBS = (
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".npmrc",
    ".pypirc",
    ".htpasswd",
    ".git-credentials",
    ".dockercfg",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    "*.asc",
    "*.gpg",
    "*.ovpn",
    "*.tfstate",
    "*.tfvars",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".ssh/",
    ".gnupg/",
    ".aws/",
    ".azure/",
    ".kube/",
    ".docker/config.json",
    "secret",
    "secrets",
    "secret.*",
    "secrets.*",
    "*.secret",
    "*.secrets",
    "credentials",
    "credentials.*",
    ".vault*",
    "*service-account*.json",
    "*service_account*.json",
    ".git/",
    ".hg/",
    ".svn/",
)
# fmt: on


class IgnoreRules:
    """The rules of one setting. A `.gitignore` is read again when it has changed."""

    def __init__(self, user_globs: Sequence[str] = ()) -> None:
        self.user_globs = tuple(user_globs)
        self._gitignore = lru_cache(maxsize=4096)(_read_gitignore)

    @cached_property
    def _defaults(self) -> GitIgnoreSpec:
        return GitIgnoreSpec.from_lines(DEFAULT_GLOBS)

    @cached_property
    def _user(self) -> GitIgnoreSpec:
        return GitIgnoreSpec.from_lines(glob for glob in self.user_globs if not glob.startswith("!"))

    def allows(self, path: str | Path, root: str | Path = "") -> bool:
        """Whether the file at `path` may be shown to the model. `root` is the workspace; relative paths are
        relative to it. A link is judged by its own name and by its target's."""
        folder = Path(os.path.abspath(root))
        file = Path(os.path.abspath(folder / path))
        inside = _relative(file, folder)
        if self._user.match_file(inside or file.as_posix().lstrip("/")):
            return False
        # In the workspace its own place must not matter: it may lie in somebody's folder `secrets`.
        names = [inside or file.as_posix()]
        target = Path(os.path.realpath(file))
        if target != file:
            real = _relative(target, Path(os.path.realpath(folder)))
            names.append(real or target.as_posix())
        if any(self._defaults.match_file(name.lower().lstrip("/")) for name in names):
            return False
        return inside is None or not self._is_git_ignored(folder, inside)

    def _is_git_ignored(self, root: Path, inside: str) -> bool:
        """Git's rules: a deeper `.gitignore` outranks a higher one; nothing in an ignored folder returns."""
        parts = inside.split("/")
        for depth in range(1, len(parts) + 1):
            verdict = None
            for spec, name in self._specs(root, parts[:depth], is_folder=depth < len(parts)):
                decided = spec.check_file(name).include
                verdict = decided if decided is not None else verdict
            if verdict:
                return True
        return False

    def _specs(
        self, root: Path, parts: Sequence[str], is_folder: bool
    ) -> Iterator[tuple[GitIgnoreSpec, str]]:
        """Every `.gitignore` above a path, from the root down, with the path's name relative to it."""
        for level in range(len(parts)):
            file = root.joinpath(*parts[:level], ".gitignore")
            try:
                now = file.stat()
            except (OSError, ValueError):  # none, or a name that no file can have
                continue
            spec = self._gitignore(str(file), now.st_mtime_ns, now.st_size)
            if spec is not None:
                yield spec, "/".join(parts[level:]) + ("/" if is_folder else "")


def _relative(path: Path, root: Path) -> str | None:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return None


def _read_gitignore(file: str, *_when: int) -> GitIgnoreSpec | None:
    try:
        lines = Path(file).read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return GitIgnoreSpec.from_lines(lines)

"""Which language a file is in, and the grammars for it.

Grammars load at first use: a missing wheel is no error until its language is parsed. Knows file names and
editors' language ids; knows nothing of trees.
"""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from pathlib import PurePath

import tree_sitter

# name -> (module of the grammar wheel, its language function)
GRAMMARS: dict[str, tuple[str, str]] = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
}

# Language ids of VS Code and file types of Neovim, where they differ from the grammar's name.
_IDS = {
    "javascriptreact": "javascript",
    "jsx": "javascript",
    "typescriptreact": "tsx",
    "c++": "cpp",
    "golang": "go",
}

_EXTENSIONS = {
    "python": "py pyi pyw",
    "javascript": "js jsx mjs cjs",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "go": "go",
    "rust": "rs",
    "java": "java",
    "c": "c h",
    "cpp": "cpp cc cxx c++ hpp hh hxx h++ ipp tpp inl",
}
_BY_EXTENSION = {f".{ext}": name for name, exts in _EXTENSIONS.items() for ext in exts.split()}


class UnknownLanguageError(KeyError):
    """There is no grammar under this name, or its wheel is not installed."""

    def __str__(self) -> str:  # KeyError would show the message in quotes
        return str(self.args[0])


def language_of(path: str = "", language_id: str = "") -> str | None:
    """The grammar's name for a file, or None. A language id of the editor outranks the extension, since the
    user may have chosen it; an id that says nothing about our languages leaves it to the extension."""
    wanted = language_id.strip().lower()
    name = _IDS.get(wanted, wanted)
    if name in GRAMMARS:
        return name
    if wanted and wanted != "plaintext":
        return None
    suffix = PurePath(path.replace("\\", "/")).suffix
    # `.C` and `.H` are C++ by an old Unix habit; every other extension ignores case.
    return "cpp" if suffix in (".C", ".H") else _BY_EXTENSION.get(suffix.lower())


@cache
def grammar(language: str) -> tree_sitter.Language:
    """The grammar of `language`; raises UnknownLanguageError with what to do."""
    if language not in GRAMMARS:
        raise UnknownLanguageError(f"no grammar for {language!r}; there are {', '.join(GRAMMARS)}")
    module, function = GRAMMARS[language]
    try:
        pointer: object = getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError) as error:
        wheel = module.replace("_", "-")
        raise UnknownLanguageError(f"no grammar for {language} ({error}); is {wheel} installed?") from error
    with warnings.catch_warnings():  # older wheels hand the pointer over as an int, which still works
        warnings.simplefilter("ignore", DeprecationWarning)
        return tree_sitter.Language(pointer)


def has_grammar(language: str | None) -> bool:
    if language is None:
        return False
    try:
        grammar(language)
    except (
        UnknownLanguageError,
        ValueError,
    ):  # ValueError: the wheel's ABI is not one that tree-sitter reads
        return False
    return True


def available_grammars() -> dict[str, str]:
    """For every language: an empty string when its grammar loads, otherwise what is wrong."""
    report: dict[str, str] = {}
    for name in GRAMMARS:
        try:
            grammar(name)
            report[name] = ""
        except (UnknownLanguageError, ValueError) as error:
            report[name] = str(error)
    return report

"""A foreign tokenizer as our `Tokenizer`: its byte-level BPE alone, behind our control tokens.

Its added tokens (`<|endoftext|>`, chat and infill marks) are left out, so that they are ordinary text to us: no
text encodes to one, and no output can smuggle one in. Whoever builds a prompt names them by `Folder.specials`. So are
normalisation, which would change a user's text, and templates. Knows no network.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import tokenizers

from model.families.errors import FamilyError
from model.families.folder import Folder
from model.tokenizer import FIRST_TEXT_ID, Tokenizer, byte_alphabet

_PROBE = (
    "def f(é, ｱ, e\u0301):\r\n\tx = '  <|endoftext|></s>  '\n\n\n    return 1234567 🙂\n \u00a0\u2028\x0c"
)
"""Text that tokenizers are known to change: line ends, runs of spaces, composed letters, special tokens."""
_QWEN = ("Qwen2Tokenizer", "Qwen2TokenizerFast", "DreamTokenizer")
"""Tokenizers whose folders may hold `vocab.json` and `merges.txt` alone; how they split text is then known."""
_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def read_tokenizer(path: Path) -> Tokenizer:
    """All of a `tokenizer.json`'s text tokens and nothing else. Raises ValueError where it is not a byte-level BPE, has
    gaps or loses text, OSError where it cannot be read."""
    try:
        data = json.loads(path.read_text("utf-8"))
        vocabulary = data["model"]["vocab"]
        if max(vocabulary.values()) + 1 != len(vocabulary):
            raise ValueError("its ids have gaps")
    except OSError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise FamilyError(_refused(path, error)) from error
    return _built(path, data)


def text_of(folder: Folder, rows: int) -> Tokenizer:
    """A folder's tokenizer for a network with `rows` rows of its own; those that stand for no text have no bytes.

    Raises FamilyError where it is not a byte-level BPE, loses text, or has ids that the network does not."""
    path, data = _found(folder)
    specials = folder.specials
    try:
        vocabulary = data["model"]["vocab"]
        ids = [*vocabulary.values(), *specials.values()]
        first, last = min(ids), max(ids)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise FamilyError(_refused(path, error)) from error
    if first < 0 or last >= rows:
        raise FamilyError(
            f"{path} has ids from {first} up to {last}, the network {rows} rows; the files belong to different models: "
            "fetch them again"
        )
    return _built(path, data, specials, rows)


def _built(
    path: Path, data: dict[str, Any], left_out: Collection[str] = (), rows: int | None = None
) -> Tokenizer:
    try:
        kind, vocabulary = data["model"]["type"], data["model"]["vocab"]
        if kind != "BPE":
            raise ValueError(f"its model is {kind}")
        # Some writers put special tokens into the vocabulary as well.
        vocabulary = {token: i for token, i in vocabulary.items() if token not in left_out}
        alphabet = set(byte_alphabet())
        if strange := next((token for token in vocabulary if not set(token) <= alphabet), None):
            raise ValueError(f"its token {strange!r} does not stand for bytes")
        if missing := len(alphabet - set(vocabulary)):
            raise ValueError(f"{missing} bytes have no token")
        plain = {"added_tokens": [], "normalizer": None, "post_processor": None}
        plain |= {"truncation": None, "padding": None}
        model = {**data["model"], "vocab": vocabulary, "unk_token": None}
        bpe = tokenizers.Tokenizer.from_str(json.dumps({**data, **plain, "model": model}))
        tokenizer = Tokenizer(bpe, rows)
    except Exception as error:  # the library raises bare Exception on a malformed file
        raise FamilyError(_refused(path, error)) from error
    if tokenizer.decode(tokenizer.encode(_PROBE)) != _PROBE:
        raise FamilyError(f"{path} changes text that it encodes; Redraft must give every character back")
    return tokenizer


def without_text(tokenizer: Tokenizer) -> list[int]:
    """Foreign ids that stand for no text: special tokens, gaps, and rows behind the last token."""
    pieces = tokenizer.token_bytes(range(FIRST_TEXT_ID, tokenizer.size))
    return [i for i, text in enumerate(pieces) if not text]


def _found(folder: Folder) -> tuple[Path, dict[str, Any]]:
    path, words = folder.path / "tokenizer.json", folder.path / "vocab.json"
    if path.exists():
        return path, folder.tokenizer_json
    kind = folder.tokenizer_config.get("tokenizer_class")
    if not words.exists() or kind not in _QWEN:
        raise FamilyError(
            f"{folder.path} has no tokenizer.json; fetch it, or save it with transformers' fast tokenizer"
        )
    return words, _from_words(words, folder.path / "merges.txt")


def _from_words(words: Path, merges: Path) -> dict[str, Any]:
    """Qwen2's two files as a `tokenizer.json`."""
    try:
        lines = merges.read_text("utf-8").split("\n")
        vocabulary = json.loads(words.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FamilyError(_refused(merges if isinstance(error, OSError) else words, error)) from error
    split = {"type": "Split", "pattern": {"Regex": _QWEN_SPLIT}, "behavior": "Isolated", "invert": False}
    by_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    pairs = [line for line in lines if line and not line.startswith("#version")]
    return {
        "version": "1.0",
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, by_bytes]},
        "decoder": by_bytes,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": pairs},
    }


def _refused(path: Path, error: Exception) -> str:
    return f"{path} is not a byte-level BPE that Redraft can use: {error}"

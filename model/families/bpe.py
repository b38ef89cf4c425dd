"""A foreign `tokenizer.json` as our `Tokenizer`: its byte-level BPE alone, behind our control tokens.

Its added tokens (`<|endoftext|>`, chat and infill marks) are left out, so that they are ordinary text to us: no
text encodes to one, and no output can smuggle one in. So are normalisation, which would change a user's text, and
templates. Knows no network.
"""

from __future__ import annotations

import json
from pathlib import Path

import tokenizers

from model.tokenizer import Tokenizer, byte_alphabet

_PROBE = (
    "def f(é, ｱ, e\u0301):\r\n\tx = '  <|endoftext|></s>  '\n\n\n    return 1234567 🙂\n \u00a0\u2028\x0c"
)
"""Text that tokenizers are known to change: line ends, runs of spaces, composed letters, special tokens."""


def read_tokenizer(path: Path) -> Tokenizer:
    """Raises ValueError where it is not a byte-level BPE or loses text, OSError where it cannot be read."""
    try:
        data = json.loads(path.read_text("utf-8"))
        kind, vocabulary = data["model"]["type"], data["model"]["vocab"]
        if kind != "BPE":
            raise ValueError(f"its model is {kind}")
        alphabet = set(byte_alphabet())
        if strange := next((token for token in vocabulary if not set(token) <= alphabet), None):
            raise ValueError(f"its token {strange!r} does not stand for bytes")
        if missing := len(alphabet - set(vocabulary)):
            raise ValueError(f"{missing} bytes have no token")
        if max(vocabulary.values()) + 1 != len(vocabulary):
            raise ValueError("its ids have gaps")
        plain = {"added_tokens": [], "normalizer": None, "post_processor": None}
        plain |= {"truncation": None, "padding": None}
        tokenizer = Tokenizer(tokenizers.Tokenizer.from_str(json.dumps({**data, **plain})))
    except OSError:
        raise
    except Exception as error:  # the library raises bare Exception on a malformed file
        raise ValueError(f"{path} is not a byte-level BPE that Redraft can use: {error}") from error
    if tokenizer.decode(tokenizer.encode(_PROBE)) != _PROBE:
        raise ValueError(f"{path} changes text that it encodes; Redraft must give every character back")
    return tokenizer

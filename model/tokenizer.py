"""Text to token ids and back: a byte-level BPE behind a block of control tokens.

Control tokens take the first ids and exist outside the BPE, so no text, whatever it contains, encodes to one of
them. Knows `tokenizers` and nothing of the network; training one lives in `model/train/vocabulary.py`.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import takewhile
from pathlib import Path

import tokenizers

CONTROL = (
    "<pad>", "<mask>", "<eos>", "<eor>", "<del>", "<ins_1>", "<ins_2>", "<ins_4>", "<ins_8>", "<ins_16>",
    "<doc>", "<file>", "<suf>", "<pre>", "<rest>", "<mid>", "<diag>", "<instr>", "<old>", "<new>",
    "<reserved_0>", "<reserved_1>", "<reserved_2>", "<reserved_3>",
)  # fmt: skip
PAD, MASK, EOS, EOR, DEL, INS_1, INS_2, INS_4, INS_8, INS_16 = range(10)
DOC, FILE, SUF, PRE, REST, MID, DIAG, INSTR, OLD, NEW = range(10, 20)
FIRST_TEXT_ID = len(CONTROL)
INSERTIONS = {INS_1: 1, INS_2: 2, INS_4: 4, INS_8: 8, INS_16: 16}
"""Label id -> how many masks it opens before its token."""


def byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-in for each byte, as the byte-level BPE of `tokenizers` writes them."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    shifted = [b for b in range(256) if b not in set(plain)]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(shifted)}


class Tokenizer:
    """A byte-level BPE with our control tokens in front. Immutable and safe to share between threads."""

    def __init__(self, bpe: tokenizers.Tokenizer, rows: int | None = None) -> None:
        """`rows` is how many ids stand behind the control tokens, where a network has more than the BPE's."""
        self._bpe = bpe
        # The same few windows of a file are counted and encoded again and again while it is typed in.
        self._cached = lru_cache(maxsize=64)(self._encode)
        self.size = FIRST_TEXT_ID + (rows or bpe.get_vocab_size())

    @classmethod
    def load(cls, path: Path, rows: int | None = None) -> Tokenizer:
        """Read a `tokenizer.json`; raises OSError or ValueError with the path when it cannot be read."""
        try:
            return cls(tokenizers.Tokenizer.from_str(path.read_text("utf-8")), rows)
        except OSError:
            raise
        except Exception as error:  # the library raises bare Exception on a malformed file
            raise ValueError(f"{path} is not a tokenizer file: {error}") from error

    def save(self, path: Path) -> None:
        path.write_text(self._bpe.to_str(), "utf-8")

    def encode(self, text: str) -> list[int]:
        """Ids of `text`. Lone surrogates, which have no UTF-8 form, become U+FFFD (see `can_represent`)."""
        return list(self._cached(text))

    def _encode(self, text: str) -> tuple[int, ...]:
        found = self._bpe.encode(_encodable(text), add_special_tokens=False)
        return tuple(FIRST_TEXT_ID + i for i in found.ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode`, several texts at once (parallel inside the library)."""
        found = self._bpe.encode_batch_fast([_encodable(t) for t in texts], add_special_tokens=False)
        return [[FIRST_TEXT_ID + i for i in e.ids] for e in found]

    def count(self, text: str) -> int:
        return len(self._cached(text))

    def can_represent(self, text: str) -> bool:
        """Whether `text` survives a round trip; a region that does not must not be rewritten."""
        return _encodable(text) == text

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`, control tokens skipped; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(self.token_bytes(ids)).decode("utf-8", "replace")

    def token_bytes(self, ids: Iterable[int]) -> list[bytes]:
        """The bytes of each id; control tokens have none."""
        return [self._bytes[i] for i in ids]

    def spelling(self, text: bytes) -> list[int]:
        """The ids with which a text that begins with `text` may begin: those that `text` begins with, and those that
        begin with it."""
        words, ids = self._sorted
        first = bisect_left(words, text)
        longer = takewhile(lambda i: words[i].startswith(text), range(first, len(words)))
        shorter = (text[:n] for n in range(1, len(text)))
        return [*(ids[i] for i in longer), *(self._ids[part] for part in shorter if part in self._ids)]

    def spans(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """The `str` span of each id in `decode(ids)`; a token inside one character shares that character."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        at, spans = 0, []
        for piece in self.token_bytes(ids):
            start = at
            at += len(decoder.decode(piece))
            # Bytes that wait for the rest of their character belong to it.
            spans.append((start, max(at, start + bool(piece))))
        if spans:
            at += len(decoder.decode(b"", final=True))
            spans[-1] = (spans[-1][0], max(at, spans[-1][1]))
        return spans

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {word: i for i, word in enumerate(self._bytes) if word}

    @cached_property
    def _sorted(self) -> tuple[list[bytes], list[int]]:
        """All tokens in the order of their bytes, and their ids."""
        words = sorted(self._ids)
        return words, [self._ids[word] for word in words]

    @cached_property
    def _bytes(self) -> list[bytes]:
        alphabet = byte_alphabet()
        table = [b""] * self.size
        for token, index in self._bpe.get_vocab().items():
            table[FIRST_TEXT_ID + index] = bytes(alphabet[ch] for ch in token)
        return table


_SURROGATES = re.compile("[\ud800-\udfff]")


def _encodable(text: str) -> str:
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)

"""DiffusionGemma's tokenizer as our `Tokenizer`, and its chat template as our `Chat`.

The tokenizer is SentencePiece's BPE with bytes for what has no token (or a byte-level one), of which some added tokens
are text: runs of blanks and line ends. What is special, and what its chat template writes, is ordinary text when the
user writes it. Knows `tokenizers` and what a fast tokenizer of `transformers` is made of, not `transformers`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import tokenizers

from model.families.errors import FamilyError
from model.families.prompts import Chat
from model.tokenizer import FIRST_TEXT_ID, Tokenizer, byte_alphabet

_BLANK = "\u2581"
"""How SentencePiece writes a blank."""
_PROBE = "def f(é, ｱ, e\u0301):\r\n\tx = '  </s>  '\n\n\n    return 1234567 🙂\n \u00a0\u2028\x0c"
"""Text that tokenizers are known to change: line ends, runs of spaces, composed letters."""


class GemmaTokenizer(Tokenizer):
    """`written` is a `tokenizer.json`, `specials` what no text may spell, `rows` how many ids the network has. Raises
    FamilyError where text would be lost, or could spell a special token."""

    def __init__(self, written: str, specials: Mapping[str, int], rows: int) -> None:
        try:
            data = json.loads(written)
            added = {token["content"]: token for token in data["added_tokens"]}
            for name in specials:
                added[name]["special"] = True
            data |= {"post_processor": None, "truncation": None, "padding": None}
            bpe = tokenizers.Tokenizer.from_str(json.dumps(data))
            last = max(bpe.get_vocab().values())
        except Exception as error:  # the library raises bare Exception on what it cannot read
            raise FamilyError(f"the checkpoint's tokenizer cannot be used: {error!r}") from error
        if last >= rows:
            raise FamilyError(
                f"the checkpoint's tokenizer has ids up to {last}, the network {rows} rows; the files belong to "
                "different models: fetch them again"
            )
        bpe.encode_special_tokens = True  # as the text that they are when a user writes them
        super().__init__(bpe, rows)
        self._specials = frozenset(specials)
        self._added = frozenset(added)
        self._is_bytes = "ByteLevel" in json.dumps(data["decoder"])
        self._check(specials)

    def _check(self, specials: Mapping[str, int]) -> None:
        if self.decode(self.encode(_PROBE)) != _PROBE:
            raise FamilyError(
                "the checkpoint's tokenizer changes text that it encodes; Redraft must give every character back"
            )
        for name, index in specials.items():
            if index + FIRST_TEXT_ID in self.encode(name):
                raise FamilyError(f"the checkpoint's tokenizer reads {name!r} in a text as the special token")

    def can_represent(self, text: str) -> bool:
        """Whether `text` survives a round trip: a blank is written as a letter, which a text may hold itself."""
        return super().can_represent(text) and (_BLANK not in text or self.decode(self.encode(text)) == text)

    @cached_property
    def _bytes(self) -> list[bytes]:
        table = [b""] * self.size
        for token, index in self._bpe.get_vocab().items():
            if token not in self._specials:
                table[FIRST_TEXT_ID + index] = self._spelt(token)
        return table

    def _spelt(self, token: str) -> bytes:
        if self._is_bytes:
            alphabet = byte_alphabet()
            return token.encode() if token in self._added else bytes(alphabet[ch] for ch in token)
        if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            return bytes([int(token[3:5], 16)])
        return token.replace(_BLANK, " ").encode()


def specials_of(fast: Any) -> dict[str, int]:
    """The added tokens of a fast tokenizer that are special, or that its chat template writes as marks."""
    template = fast.chat_template if isinstance(fast.chat_template, str) else ""
    named = set(fast.all_special_tokens)
    return {
        token.content: int(index)
        for index, token in fast.added_tokens_decoder.items()
        if token.special
        or token.content in named
        or (token.content.startswith(("<", "[")) and token.content in template)
    }


def chat_of(fast: Any, tokenizer: Tokenizer, specials: Mapping[str, int]) -> Chat:
    """Raises FamilyError where the tokenizer has no template, or one that cannot be used."""
    if not isinstance(fast.chat_template, str):
        raise FamilyError("the checkpoint's chat template cannot be used: it has none, or several")
    ids = {name: index + FIRST_TEXT_ID for name, index in specials.items()}
    roles = {role: name for role, name in fast.special_tokens_map.items() if isinstance(name, str)}
    chat = Chat(tokenizer, ids, fast.chat_template, roles)
    chat.frame  # noqa: B018  # so that a bad template is refused now, not at the first question
    return chat

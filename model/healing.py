"""Token healing: a prompt that ends inside a word ends with tokens that the network never saw there.

`return` is one token and `r` is another, so what follows a typed `r` is hardly ever `eturn` for a network. The word at
the cursor is therefore taken off the prompt, and the answer has to begin with it (Microsoft's Guidance calls that
token healing). Knows the tokenizer; which of the tokens allowed is best, the network says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model.tokenizer import Tokenizer

_MOST = 64
"""Characters of a word."""
_WORD = re.compile(rf"(?:(?<=\S) )?\w{{1,{_MOST}}}\Z")


@dataclass(frozen=True)
class Lead:
    """Text that an answer has yet to begin with; `ids` are the tokens that may come next."""

    tokenizer: Tokenizer
    text: bytes

    @property
    def ids(self) -> list[int]:
        return self.tokenizer.spelling(self.text)

    def after(self, token: int) -> Lead:
        (written,) = self.tokenizer.token_bytes([token])
        return Lead(self.tokenizer, self.text[len(written) :])

    def count(self, tokens: Sequence[int]) -> int:
        """How many of an answer's first tokens spell nothing beyond the text: what the user has written."""
        left = len(self.text)
        for number, written in enumerate(self.tokenizer.token_bytes(tokens)):
            left -= len(written)
            if left <= 0:
                return number + (left == 0)
        return len(tokens)


def word_at_end(text: str) -> str:
    """The word, or part of one, that `text` ends with, and the blank before it where that is not indentation: as tokens
    begin. Of a very long word the end."""
    found = _WORD.search(text[-_MOST - 2 :])
    return found[0] if found else ""

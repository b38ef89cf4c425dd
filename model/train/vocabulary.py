"""Tokenizer training: a byte-level BPE on our corpus.

A newline with its indentation is one token where it is common, digits are split, and a word takes the space
before it. Only text is learned: control tokens live outside the BPE (`model/tokenizer.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from model.tokenizer import FIRST_TEXT_ID, Tokenizer

_PIECES = tokenizers.Regex(r"\r?\n[ \t]*| ?[\p{L}_]+|\p{N}| ?[^\s\p{L}\p{N}_]+|[ \t]+|\s")


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """Learn a vocabulary of `size` ids, control tokens included (at least 256 + controls)."""
    if size < FIRST_TEXT_ID + 256:
        raise ValueError(f"a vocabulary needs at least {FIRST_TEXT_ID + 256} ids, got {size}")
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
        [
            pre_tokenizers.Split(_PIECES, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=size - FIRST_TEXT_ID,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    bpe.train_from_iterator(texts, trainer)
    return Tokenizer(bpe)

"""Models in words: numbers, ways to see and to be asked. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.asking import Asking
    from model.config import ModelConfig


def in_count(count: int) -> str:
    """Parameters for people."""
    return f"{count / 1e9:.2f}B" if count >= 1e9 else f"{count / 1e6:.1f}M"


def attention_of(config: ModelConfig) -> str:
    """How its tokens see each other."""
    if config.clean_block == 0:
        return "full attention"
    if config.clean_block == 1:
        return f"causal, with a canvas of {config.block}"
    return f"blocks of {config.clean_block}"


def asked_how(asking: Asking) -> str:
    """How a completion is asked for, and a change."""
    from model.families.prompts import Chat, InPlace, InTheMiddle

    fills = asking.fills if isinstance(asking, Chat) else asking
    if isinstance(fills, InPlace):
        said = "completions in their place in the file"
    elif isinstance(fills, InTheMiddle):
        said = "completions in fill-in-the-middle format"
    else:
        said = (
            "completions in words" if isinstance(asking, Chat) else "completions as the text's continuation"
        )
    return f"{said}; {asking.cannot_edit or 'fixes and refactorings in words'}"

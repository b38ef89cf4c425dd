"""The canvas: tokens being denoised. A frozen value; decoding makes a new one at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.tokenizer import EOR, EOS, FIRST_TEXT_ID, MASK


@dataclass(frozen=True)
class Canvas:
    """`settled` tokens are committed for good (earlier blocks), `ids` are at work: the current block of a fill,
    which ends at the first committed `<eos>`, or a whole region and its `<eor>`."""

    settled: tuple[int, ...]
    ids: tuple[int, ...]
    logp: float = 0.0
    """Sum of the log-probabilities at which the tokens so far were committed."""
    is_cut: bool = False
    """Decoding gave up before the answer's end: such an edit would lose text and must not be used."""
    labels: tuple[int, ...] | None = None
    """Of an edit: what made `ids` of the canvas before. A fill's tokens never move."""

    @property
    def masks(self) -> list[int]:
        return [i for i, token in enumerate(self.ids) if token == MASK]

    @property
    def is_finished(self) -> bool:
        """No mask is left before the first `<eos>`."""
        return MASK not in before_end(self.ids)

    @property
    def tokens(self) -> list[int]:
        """The answer so far, up to the first mask or end."""
        live = before_end(self.ids)
        live = live[: live.index(MASK)] if MASK in live else live
        return [*self.settled, *live]


def before_end(ids: Sequence[int]) -> list[int]:
    """`ids` up to the first `<eos>` or `<eor>`."""
    end = next((i for i, token in enumerate(ids) if token in (EOS, EOR)), len(ids))
    return list(ids[:end])


def count_text(ids: Sequence[int]) -> int:
    """Tokens that stand for text: what *tokens per forward* counts."""
    return sum(token >= FIRST_TEXT_ID for token in ids)

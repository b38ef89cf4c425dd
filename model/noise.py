"""Forward processes: how clean tokens become noisy ones during training.

Mask-based (Seed Diffusion, arXiv 2508.02193, section 2.1) with the block-wise clipped schedule of
Stable-DiffCoder: within a block of size B the mask rate is `u = min(1, max(u(t), 1/B))`, the loss weight 1/u,
and every block holds at least one mask. Edit-based: `k` random edits with `E[k] = |x| α`. Pure NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.tokenizer import FIRST_TEXT_ID, MASK

BLOCK_SIZES = (4, 8, 16, 32)


@dataclass(frozen=True)
class MaskedBlock:
    """One noisy block: `noisy[i]` is the token or `<mask>`, `weight` what each masked position's loss counts."""

    start: int
    noisy: np.ndarray
    rate: float
    weight: float


def mask_blocks(
    tokens: np.ndarray, block: int, rng: np.random.Generator, u_max: float = 1.0
) -> list[MaskedBlock]:
    """Cut `tokens [n]` into blocks and mask each at its own rate.

    `u_max < 1` is the warm-up: rates are drawn from (0, u_max) and weigh 1.
    """
    blocks: list[MaskedBlock] = []
    for start in range(0, len(tokens), block):
        clean = tokens[start : start + block]
        rate = min(1.0, max(u_max * rng.random(), 1 / len(clean)))
        masked = rng.random(len(clean)) < rate
        if not masked.any():
            masked[rng.integers(len(clean))] = True
        weight = 1.0 if u_max < 1 else 1 / rate
        blocks.append(MaskedBlock(start, np.where(masked, MASK, clean), rate, weight))
    return blocks


def random_edits(tokens: list[int], alpha: float, vocab: int, rng: np.random.Generator) -> list[int]:
    """`tokens` after `k` deletions, insertions and substitutions, `E[k] = len(tokens) * alpha`.

    `k` is rounded stochastically: the paper's floor would give no edit at all below ten tokens.
    """
    wanted = len(tokens) * alpha
    edits = int(wanted) + int(rng.random() < wanted - int(wanted))
    result = list(tokens)
    for _ in range(edits):
        kind = rng.integers(3)
        if kind == 0 and len(result) > 1:
            del result[rng.integers(len(result))]
        elif kind == 1:
            result.insert(int(rng.integers(len(result) + 1)), int(rng.integers(FIRST_TEXT_ID, vocab)))
        elif result:
            result[rng.integers(len(result))] = int(rng.integers(FIRST_TEXT_ID, vocab))
    return result

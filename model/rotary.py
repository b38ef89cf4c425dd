"""Rotary positions (Su et al. 2021) in the halves layout of Llama: plain, of a part of each head, or stretched.

Stretched frequencies are those of Llama 3 (slow waves are slowed further, fast ones are left) and of YaRN (Peng et al.
2023, with a factor on all scores); a `llama_4_scaling_beta` besides makes far queries louder. Knows a config's numbers
and positions, no weights.

Shape suffixes as in `transformer.py`; F turned pairs of a head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch

from model.config import ORIGINAL, ModelConfig


class Rotary(NamedTuple):
    """Cosines and sines of each row, and by how much its queries are louder (None: not at all)."""

    cos_BTF: torch.Tensor
    sin_BTF: torch.Tensor
    loudness_BT: torch.Tensor | None = None

    def turn(self, x_BHTD: torch.Tensor) -> torch.Tensor:
        """Keys; numbers of a head behind the turned ones are left as they are."""
        cos, sin = self.cos_BTF[:, None], self.sin_BTF[:, None]
        pairs = cos.shape[-1]
        a, b, rest = x_BHTD[..., :pairs], x_BHTD[..., pairs : 2 * pairs], x_BHTD[..., 2 * pairs :]
        return torch.cat((a * cos - b * sin, b * cos + a * sin, rest), dim=-1)

    def turn_queries(self, x_BHTD: torch.Tensor) -> torch.Tensor:
        turned = self.turn(x_BHTD)
        return turned if self.loudness_BT is None else turned * self.loudness_BT[:, None, :, None]


def rotary(config: ModelConfig, positions_BT: torch.Tensor, dtype: torch.dtype) -> Rotary:
    """Made anew, in at least float32: as a buffer it would follow the weights to bf16, which errs by half a radian at
    position 1,000."""
    wide = torch.promote_types(dtype, torch.float32)
    frequencies_F = frequencies(config, positions_BT.device, wide)
    angles_BTF = positions_BT[..., None].to(wide) * frequencies_F
    factor, loud_BT = magnitude(config), loudness(config, positions_BT, wide)
    cos_BTF, sin_BTF = (angles_BTF.cos() * factor).to(dtype), (angles_BTF.sin() * factor).to(dtype)
    return Rotary(cos_BTF, sin_BTF, None if loud_BT is None else loud_BT.to(dtype))


def frequencies(
    config: ModelConfig, device: torch.device, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Radians per position of each turned pair, `[F]`."""
    scaling = dict(config.rope_scaling)
    size = config.rotary_size or config.head_size
    steps_F = torch.arange(0, size, 2, device=device, dtype=dtype)
    frequencies_F = config.rope_theta ** (-steps_F / size)
    if "low_freq_factor" in scaling:
        return _llama3(frequencies_F, scaling)
    if "beta_fast" in scaling:
        return _yarn(frequencies_F, config.rope_theta, scaling)
    return frequencies_F


def magnitude(config: ModelConfig) -> float:
    """What turned pairs are multiplied by."""
    return dict(config.rope_scaling).get("attention_factor", 1.0)


def loudness(
    config: ModelConfig, positions_BT: torch.Tensor, dtype: torch.dtype = torch.float32
) -> torch.Tensor | None:
    """What each row's queries are multiplied by; None for nothing."""
    scaling = dict(config.rope_scaling)
    beta = scaling.get("llama_4_scaling_beta")
    if not beta:
        return None
    contexts_BT = torch.floor(positions_BT.to(dtype) / scaling[ORIGINAL])
    return 1 + beta * torch.log1p(contexts_BT)


def _llama3(frequencies_F: torch.Tensor, scaling: Mapping[str, float]) -> torch.Tensor:
    """Waves that turn less than `low_freq_factor` times in the original context are slowed by `factor`, those that turn
    more than `high_freq_factor` times are not; between them the two are blended."""
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns_F = frequencies_F * scaling[ORIGINAL] / (2 * math.pi)
    kept_F = ((turns_F - low) / (high - low)).clamp(0, 1)
    return _blended(frequencies_F, kept_F, scaling["factor"])


def _yarn(frequencies_F: torch.Tensor, theta: float, scaling: Mapping[str, float]) -> torch.Tensor:
    """As `_llama3`, but the blend runs evenly over the pairs between those that turn `beta_fast` and `beta_slow`
    times."""
    size = 2 * len(frequencies_F)

    def pair(turns: float) -> float:
        return size * math.log(scaling[ORIGINAL] / (turns * 2 * math.pi)) / (2 * math.log(theta))

    first, last = pair(scaling["beta_fast"]), pair(scaling["beta_slow"])
    if scaling.get("truncate", 1):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, size - 1)
    index_F = torch.arange(len(frequencies_F), device=frequencies_F.device, dtype=frequencies_F.dtype)
    # A blend of no length would divide by zero.
    kept_F = 1 - ((index_F - first) / max(last - first, 1e-3)).clamp(0, 1)
    return _blended(frequencies_F, kept_F, scaling["factor"])


def _blended(frequencies_F: torch.Tensor, kept_F: torch.Tensor, factor: float) -> torch.Tensor:
    return frequencies_F * (kept_F + (1 - kept_F) / factor)

"""What an engine around another family's network does otherwise: how it is asked, and how it decodes.

Knows NumPy and the decoders; neither torch nor the folder that the network came from.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.asking import Asking
from model.choices import Style
from model.config import ModelConfig
from model.families.ways import Way
from model.policies import Policy
from model.sampler import Start


@dataclass(frozen=True)
class Guest:
    """`title` is the family's name."""

    title: str
    asking: Asking
    way: Way

    def decoder(self, policy: Policy | None) -> Start:
        return self.way.start if policy is None or self.way.by is None else self.way.by(policy)

    def check(self, policy: str, chosen: Style, config: ModelConfig) -> None:
        """Raises ValueError where the family cannot decode by a policy."""
        if chosen.mode != "diffusion" and config.clean_block != 1:
            raise ValueError(
                f"{self.title} cannot decode by {policy!r}: its network has no autoregressive mode"
            )
        if chosen.fill is not None and self.way.by is None:
            raise ValueError(f"{self.title} has a way of its own to decode and takes no policy {policy!r}")

"""What an engine around another family's network does otherwise: how it is asked, and how it decodes.

Knows NumPy and the decoders; neither torch nor the folder that the network came from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from model.asking import Asking
from model.choices import Style
from model.config import ModelConfig
from model.families.ways import Way
from model.policies import Policy
from model.sampler import Start

NOT_REUSED = "only of networks with full attention is it a choice what a block's steps reuse"


@dataclass(frozen=True)
class Guest:
    """`title` is the family's name."""

    title: str
    asking: Asking
    way: Way

    def decoder(self, policy: Policy | None) -> Start:
        return self.way.start if policy is None or self.way.by is None else self.way.by(policy)

    def styled(self, chosen: Style) -> Guest:
        """With the cache of a named policy."""
        if chosen.reuse is None or self.way.reusing is None:
            return self
        return replace(self, way=self.way.reusing(chosen.reuse))

    def check(self, policy: str, chosen: Style, config: ModelConfig) -> None:
        """Raises ValueError where the family cannot decode by a policy."""
        way = self.way
        check(
            self.title, policy, chosen, config.clean_block == 1, way.by is not None, way.reusing is not None
        )


def check(
    title: str, policy: str, chosen: Style, is_causal: bool, takes_policies: bool, reuses: bool = False
) -> None:
    """Raises ValueError where a family whose network `is_causal` too, `takes_policies`, or `reuses` what Fast-dLLM's
    caches hold, cannot decode by one."""
    if chosen.mode != "diffusion" and not is_causal:
        raise ValueError(f"{title} cannot decode by {policy!r}: its network has no autoregressive mode")
    if chosen.fill is not None and not takes_policies:
        raise ValueError(f"{title} has a way of its own to decode and takes no policy {policy!r}")
    if chosen.reuse is not None and not reuses:
        raise ValueError(f"{title} cannot decode by {policy!r}: {NOT_REUSED}")

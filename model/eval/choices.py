"""A checkpoint under measurement: engines of any policy from one back end."""

from __future__ import annotations

from dataclasses import dataclass

from model.backends.interface import Backend
from model.checkpoint import Decoding
from model.engine import DiffusionEngine
from model.tokenizer import Tokenizer


@dataclass(frozen=True)
class Loaded:
    """A checkpoint on its back end, from which engines of any policy are made."""

    backend: Backend
    tokenizer: Tokenizer
    decoding: Decoding

    @property
    def description(self) -> str:
        return self.engine("default").description

    def engine(self, policy: str, edits: bool = False) -> DiffusionEngine:
        """An engine with that policy, for changes of code where `edits`; raises ValueError where there is none."""
        return DiffusionEngine(self.backend, self.tokenizer, self.decoding).styled(policy, edits)

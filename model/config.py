"""The network's shape and limits: a frozen dataclass that every back end and recipe reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

SMALL = 8_000_000
"""Weights up to which a network is small: as float32 they take 32 MB, which a processor's caches hold."""


@dataclass(frozen=True)
class ModelConfig:
    """A tri-mode transformer. `context` is the longest prompt and canvas together, in tokens; `region_limit`
    the longest region that is edited in one canvas; `block` the canvas length of one fill."""

    name: str
    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    ff: int
    context: int
    region_limit: int
    block: int = 32
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    qk_norm: bool = True
    qkv_bias: bool = False
    tied: bool = True
    """Whether the embedding is the output head too."""
    embedding_norm: bool = True
    """Whether embedded rows are RMS-normalised before the first layer; Llama's are not."""

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} key/value heads")
        if self.head_size % 2:
            raise ValueError("rotary embedding needs an even head size")

    @property
    def parameters(self) -> int:
        """Number of weights, a tied embedding counted once."""
        attention = self.width * self.head_size * (2 * self.heads + 2 * self.kv_heads)
        attention += self.qkv_bias * self.head_size * (self.heads + 2 * self.kv_heads)
        norms = 2 * self.width + self.qk_norm * 2 * self.head_size
        layer = attention + 3 * self.width * self.ff + norms
        return (2 - self.tied) * self.vocab * self.width + self.layers * layer + 2 * self.width

    @property
    def is_small(self) -> bool:
        return self.parameters <= SMALL

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, object]) -> ModelConfig:
        """Raises ValueError that names unknown or missing fields."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ValueError(f"unknown fields in the model's config: {', '.join(unknown)}")
        try:
            return cls(**data)  # type: ignore[arg-type]
        except TypeError as error:
            raise ValueError(f"the model's config is incomplete: {error}") from error


NANO = ModelConfig("nano", 1024, 96, 3, 3, 1, 32, 256, context=512, region_limit=72, block=16)
TINY = ModelConfig("tiny", 4096, 160, 5, 5, 1, 32, 448, context=768, region_limit=150)
BASE = ModelConfig("base", 16384, 512, 10, 8, 2, 64, 1408, context=1024, region_limit=384)
PRESETS = {c.name: c for c in (NANO, TINY, BASE)}

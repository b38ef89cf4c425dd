"""The network's shape and limits: a frozen dataclass that every back end and recipe reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Literal

SMALL = 8_000_000
"""Weights up to which a network is small: as float32 they take 32 MB, which a processor's caches hold."""

ORIGINAL = "original_max_position_embeddings"
"""The name in `rope_scaling` of the context before it was stretched."""


@dataclass(frozen=True)
class Experts:
    """A mixture of experts in place of the MLP, in all but the first `dense_layers`.

    Each token goes to `per_token` of `count` experts of width `ff`; what they say is summed by their scores, times
    `scaling`. Where there are several `groups` of experts, only the best `groups_per_token` of them are looked at (by
    the sum of each group's two best scores). A `shared_ff` above 0 is an MLP that every token takes beside them."""

    count: int
    per_token: int
    ff: int
    shared_ff: int = 0
    dense_layers: int = 0
    groups: int = 1
    groups_per_token: int = 1
    scaling: float = 1.0
    scoring: Literal["softmax", "sigmoid"] = "softmax"
    is_normalised: bool = True
    """Whether the chosen experts' scores are divided by their sum."""
    has_bias: bool = False
    """Whether a bias for each expert is added for choosing alone."""


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
    clean_block: int = 1
    """How clean tokens see each other: 1 causally, above 1 in blocks of that many positions, each seeing itself and
    what stands before it, 0 not at all: a network with full attention has no clean tokens, all of them are canvas."""
    shifted: bool = False
    """Whether a canvas row says what stands behind it, as in a network that was autoregressive, not in its place."""
    rotary_size: int = 0
    """Of each head's numbers how many are turned (0: all)."""
    rope_scaling: tuple[tuple[str, float], ...] = ()
    """How rotary frequencies are stretched for long contexts: the scaling's names and numbers (none: not at all)."""
    experts: Experts | None = None

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} key/value heads")
        if self.head_size % 2 or self.rotary_size % 2 or self.rotary_size > self.head_size:
            raise ValueError("rotary embedding needs an even head size, and an even part of it")
        if (e := self.experts) and (e.count % e.groups or not 0 < e.per_token <= e.count):
            raise ValueError(f"{e.per_token} of {e.count} experts cannot be chosen in {e.groups} groups")

    @property
    def parameters(self) -> int:
        """Number of weights, a tied embedding counted once."""
        attention = self.width * self.head_size * (2 * self.heads + 2 * self.kv_heads)
        attention += self.qkv_bias * self.head_size * (self.heads + 2 * self.kv_heads)
        norms = 2 * self.width + self.qk_norm * 2 * self.head_size
        layers = self.layers * (attention + norms) + 3 * self.width * self.ff * self.dense_layers
        if e := self.experts:
            router = e.count * (self.width + e.has_bias)
            layers += (self.layers - self.dense_layers) * (
                router + 3 * self.width * (e.count * e.ff + e.shared_ff)
            )
        return (2 - self.tied) * self.vocab * self.width + layers + 2 * self.width

    @property
    def dense_layers(self) -> int:
        """How many layers have an MLP; those behind them have experts."""
        return self.layers if self.experts is None else min(self.experts.dense_layers, self.layers)

    @property
    def numbers_per_token(self) -> int:
        """Keys and values that a token leaves in a cache."""
        return 2 * self.layers * self.kv_heads * self.head_size

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
            if experts := data.get("experts"):
                data = {**data, "experts": Experts(**experts)}  # type: ignore[arg-type]
            if "rope_scaling" in data:
                pairs = tuple((str(k), float(v)) for k, v in data["rope_scaling"])  # type: ignore[attr-defined]
                data = {**data, "rope_scaling": pairs}
            return cls(**data)  # type: ignore[arg-type]
        except TypeError as error:
            raise ValueError(f"the model's config is incomplete: {error}") from error


NANO = ModelConfig("nano", 1024, 96, 3, 3, 1, 32, 256, context=512, region_limit=72, block=16)
TINY = ModelConfig("tiny", 4096, 160, 5, 5, 1, 32, 448, context=768, region_limit=150)
BASE = ModelConfig("base", 16384, 512, 10, 8, 2, 64, 1408, context=1024, region_limit=384)
PRESETS = {c.name: c for c in (NANO, TINY, BASE)}

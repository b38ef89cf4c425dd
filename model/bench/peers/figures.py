"""What was found about the engines, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from model.bench.peers.contender import BLOCKS, CACHED, COMPLETED, PREFILLS, Setting
from model.bench.peers.timing import BLOCK, COMPLETE, DENOISE, PREFILL, Key

OURS = "Redraft, ONNX Runtime"


@dataclass(frozen=True)
class PeerFigures:
    """Milliseconds of one engine with the one of its settings that completes fastest, by diffusion if it can.
    `completion_ms` is autoregressive, `denoising_ms` by diffusion. An engine that was not measured is `missing`, which
    says why and what to do."""

    name: str
    setting: Setting | None = None
    prefill_ms: Mapping[int, float] = field(default_factory=dict)
    block_ms: Mapping[int, float] = field(default_factory=dict)
    completion_ms: float | None = None
    denoising_ms: float | None = None
    missing: str = ""

    @property
    def tokens_per_second(self) -> float:
        return 1000 * COMPLETED / self.completion_ms if self.completion_ms else 0.0


@dataclass(frozen=True)
class Ratio:
    """A way to complete `COMPLETED` tokens: its milliseconds, how many times as long as ours by diffusion it takes
    (below one it is faster), and the tokens a forward with which ours would take as long."""

    name: str
    milliseconds: float
    ratio: float
    tokens_per_forward_to_match: float


@dataclass(frozen=True)
class PeersFigures:
    """All engines at one shape; ours denoised in blocks of `block` with `tokens_per_forward`."""

    shape: str
    parameters: int
    block: int
    tokens_per_forward: float
    rounds: int
    peers: tuple[PeerFigures, ...]
    ratios: tuple[Ratio, ...]


def peer_figures(name: str, found: Mapping[Key, float]) -> PeerFigures:
    """The figures of one engine out of all."""
    own = {(setting, task): ms for (engine, setting, task), ms in found.items() if engine == name}
    chosen = min({s for s, _ in own}, key=lambda s: own.get((s, DENOISE), own[s, COMPLETE]))
    best = {task: ms for (setting, task), ms in own.items() if setting == chosen}
    return PeerFigures(
        name,
        chosen,
        {tokens: best[task] for task, tokens in PREFILL.items()},
        {rows: best[task] for task, rows in BLOCK.items()},
        best[COMPLETE],
        best.get(DENOISE),
    )


def ratios(peers: Sequence[PeerFigures], tokens_per_forward: float) -> tuple[Ratio, ...]:
    """Every autoregressive completion against ours by diffusion."""
    ours = next(each.denoising_ms for each in peers if each.name == OURS)
    assert ours is not None
    return tuple(
        Ratio(
            each.name,
            each.completion_ms,
            round(each.completion_ms / ours, 3),
            round(tokens_per_forward * ours / each.completion_ms, 2),
        )
        for each in peers
        if each.completion_ms is not None
    )


def table(figures: PeersFigures) -> list[str]:
    """Lines for people."""
    tasks = [
        *(f"prefill {n}" for n in PREFILLS),
        *(f"block {n}" for n in BLOCKS),
        f"{COMPLETED} tokens",
        "tokens/s",
    ]
    lines = [
        f"{figures.shape}, {figures.parameters / 1e6:.1f} M weights: milliseconds, medians of {figures.rounds} rounds",
        f"(blocks and {COMPLETED} autoregressive tokens behind {CACHED} cached ones)",
        f"{'':24}{'threads':>8}" + "".join(f"{task:>12}" for task in tasks),
    ]
    for each in figures.peers:
        if each.missing:
            lines.append(f"{each.name:24}{each.missing}")
            continue
        times = [*each.prefill_ms.values(), *each.block_ms.values(), each.completion_ms or 0.0]
        cells = "".join(f"{milliseconds:12.2f}" for milliseconds in times)
        assert each.setting is not None
        start = f"{each.name:24}{each.setting.threads:8}"
        lines.append(f"{start}{cells}{each.tokens_per_second:12.0f}  {each.setting.other}".rstrip())
    return [*lines, "", *_comparison(figures)]


def _comparison(figures: PeersFigures) -> list[str]:
    by = f"{figures.tokens_per_forward:g} tokens a forward, blocks of {figures.block}"
    lines = [
        f"{COMPLETED} tokens by diffusion ({by}): {each.denoising_ms:.1f} ms with {each.name}"
        for each in figures.peers
        if each.denoising_ms is not None
    ]
    lines.append(f"{'autoregressively with':24}{'ms':>10}{'times ours':>14}{'equal at tokens a forward':>28}")
    for each in figures.ratios:
        cells = f"{each.milliseconds:10.1f}{each.ratio:14.2f}{each.tokens_per_forward_to_match:28.2f}"
        lines.append(f"{each.name:24}{cells}   diffusion {'wins' if each.ratio > 1 else 'loses'}")
    return lines

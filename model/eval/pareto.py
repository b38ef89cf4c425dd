"""Speed against quality: the same problems with many decoding policies, and the curve of the best of them.

Sweeps policies of the diffusion model, the other modes of its weights and, where there is one, a twin trained to be
autoregressive. matplotlib is imported only to draw.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model.choices import MODES
from model.engine import DiffusionEngine
from model.eval.benchmark import Result, scores
from model.eval.metrics import Metric

FILLS = {
    "threshold": ("threshold:0.3", "threshold:0.5", "threshold:0.7", "threshold:0.9", "threshold:0.95"),
    "factor": ("factor:0.5", "factor:1.0", "factor:2.0", "factor:4.0"),
    "entropy bound": ("entropy:0.05", "entropy:0.1", "entropy:0.35", "entropy:1.0"),
    "fixed steps": ("fixed:2", "fixed:4", "fixed:8", "fixed:16"),
    "token editing": ("token-editing:0.5,0.9", "token-editing:0.7,0.9"),
    "one token": ("one-token",),
    "default": ("default",),
}
EDITS = {
    "threshold": tuple(f"threshold:{tau}" for tau in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)),
    "default": ("default",),
}
"""Policies that a sweep tries, by the series that they are drawn in; the modes come on top."""
TWIN = "autoregressive twin"


@dataclass(frozen=True)
class Point:
    """One policy's figures. `empty` is the quality of answering nothing."""

    series: str
    policy: str
    measure: str
    quality: Metric
    empty: float | None
    tokens_per_second: Metric | None
    milliseconds: Metric
    tokens_per_forward: Metric | None
    on_front: bool = False


def sweep(
    model: DiffusionEngine,
    twin: DiffusionEngine | None,
    results: Callable[[DiffusionEngine], list[Result]],
    has_edits: bool,
    seed: int,
) -> list[Point]:
    """Every policy that `model` takes, and `twin` autoregressively; raises ValueError where all declined everything."""
    series = {**(EDITS if has_edits else FILLS), **{mode: (mode,) for mode in MODES}}
    wanted = [(name, policy, model) for name, policies in series.items() for policy in policies]
    if twin is not None:
        wanted.append((TWIN, "autoregressive", twin))
    points = [
        _point(name, policy, results(engine), seed)
        for name, policy, loaded in wanted
        if (engine := _styled(loaded, policy, has_edits)) is not None
    ]
    found = [point for point in points if point is not None]
    if not found:
        raise ValueError("no policy got the model to answer: every request was declined")
    return _with_front(found)


def _styled(engine: DiffusionEngine, policy: str, has_edits: bool) -> DiffusionEngine | None:
    """None where the model's family cannot decode so."""
    try:
        return engine.styled(policy, has_edits)
    except ValueError:
        return None


def _point(series: str, policy: str, results: Sequence[Result], seed: int) -> Point | None:
    """None where no problem reached the network."""
    figures = scores(results, seed)
    measure = "pass@1" if "pass@1" in figures else "exact match"
    if "milliseconds, p50" not in figures:
        return None
    empty = figures.get("pass@1 of an empty answer")
    return Point(
        series,
        policy,
        measure,
        figures[measure],
        empty.value if empty else None,
        figures.get("tokens per second"),
        figures["milliseconds, p50"],
        figures.get("tokens per forward"),
    )


def _with_front(points: Sequence[Point]) -> list[Point]:
    """Marks the points than which none is both faster and better."""

    def is_beaten(a: Point) -> bool:
        x, y = a.milliseconds.value, a.quality.value
        return any(
            b.milliseconds.value <= x
            and b.quality.value >= y
            and (b.milliseconds.value, b.quality.value) != (x, y)
            for b in points
        )

    return [Point(**{**point.__dict__, "on_front": not is_beaten(point)}) for point in points]


def table(points: Sequence[Point]) -> str:
    """The points as a Markdown table, the fastest first."""
    lines = [
        f"| policy | {points[0].measure} | 95 % interval | ms, p50 | tokens/s | tokens per forward | on the front |",
        "|---|---|---|---|---|---|---|",
    ]
    for p in sorted(points, key=lambda p: p.milliseconds.value):
        name = p.policy if p.series != TWIN else TWIN
        speed = f"{p.tokens_per_second.value:.0f}" if p.tokens_per_second else ""
        rate = f"{p.tokens_per_forward.value:.2f}" if p.tokens_per_forward else ""
        lines.append(
            f"| {name} | {p.quality.value:.1%} | {p.quality.low:.1%} to {p.quality.high:.1%} "
            f"| {p.milliseconds.value:.0f} | {speed} | {rate} | {'yes' if p.on_front else ''} |"
        )
    return "\n".join(lines)


def write(points: Sequence[Point], prefix: str, title: str) -> None:
    """PREFIX.json, PREFIX.md and PREFIX.png; raises ValueError where matplotlib is missing."""
    Path(f"{prefix}.json").write_text(json.dumps([asdict(p) for p in points], indent=1) + "\n", "utf-8")
    about = f"# Speed and quality: {title}\n\nn = {points[0].quality.n}\n\n"
    Path(f"{prefix}.md").write_text(about + table(points) + "\n", "utf-8")
    draw(points, Path(f"{prefix}.png"), title)


def draw(points: Sequence[Point], out: Path, title: str) -> None:
    """Quality over the time of a median answer: up and to the left is better."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot, ticker
    except ImportError as error:
        raise ValueError("drawing needs matplotlib: install redraft with the extra `train`") from error
    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    colours = pyplot.get_cmap("tab10")
    for number, series in enumerate(dict.fromkeys(p.series for p in points)):
        own = [p for p in points if p.series == series]
        x, y = [p.milliseconds.value for p in own], [100 * p.quality.value for p in own]
        spread = [
            [100 * (p.quality.value - p.quality.low) for p in own],
            [100 * (p.quality.high - p.quality.value) for p in own],
        ]
        marker = "*" if series in (*MODES, TWIN, "default") else "o"
        axes.errorbar(
            x, y, yerr=spread, label=series, color="black" if series == TWIN else colours(number % 10), marker=marker,
            markersize=11 if marker == "*" else 6, linewidth=1.4, elinewidth=0.6, capsize=2, alpha=0.9,
        )  # fmt: skip
        for p, at_x, at_y in zip(own, x, y, strict=True):
            if ":" in p.policy:
                axes.annotate(
                    p.policy.partition(":")[2], (at_x, at_y), xytext=(4, 4), textcoords="offset points",
                    fontsize=7, color="0.35",
                )  # fmt: skip
    front = sorted((p.milliseconds.value, 100 * p.quality.value) for p in points if p.on_front)
    axes.plot(
        *zip(*front, strict=True), color="0.6", linestyle="--", linewidth=1, zorder=0, label="best of all"
    )
    empties = [p.empty for p in points if p.empty is not None]
    if empties:
        axes.axhline(100 * empties[0], color="0.6", linestyle=":", linewidth=1)
        axes.annotate(
            "empty answer", (0.995, 100 * empties[0]), xycoords=("axes fraction", "data"), ha="right",
            va="bottom", fontsize=7, color="0.4",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_xlabel("milliseconds for an answer (median, logarithmic)")
    axes.set_ylabel(f"{points[0].measure}, %")
    axes.set_ylim(0, max(2.0, *(108 * p.quality.high for p in points)))
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(out, dpi=160)
    pyplot.close(figure)

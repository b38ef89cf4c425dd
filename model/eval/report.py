"""What an evaluation says: one JSON object for programs, one table for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.eval.benchmark import Result, Scores
from model.eval.metrics import Metric

_SHARES = ("pass@1", "exact", "edit similarity", "syntax", "more syntax", "offered", "declined", "left alone")


@dataclass(frozen=True)
class Report:
    """An evaluation's facts and figures. `groups` maps a kind of problem to its figures; `all` is their whole."""

    task: str
    data: str
    model: str
    policy: str
    seed: int
    problems: int
    groups: Mapping[str, Scores]
    skipped: Mapping[str, int] = field(default_factory=dict)
    failing: Sequence[str] = ()
    protections: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        facts = {
            "task": self.task,
            "data": self.data,
            "model": self.model,
            "policy": self.policy,
            "seed": self.seed,
            "problems": self.problems,
        }
        if self.task != "corpus":
            facts |= {
                "skipped": dict(self.skipped),
                "failing canonical solutions": list(self.failing),
                "sandbox": list(self.protections),
            }
        kinds = {name: _figures(scores) for name, scores in self.groups.items() if name != "all"}
        whole = _figures(self.groups["all"]) if "all" in self.groups else {}
        return facts | whole | ({"by kind": kinds} if kinds else {})

    def as_table(self) -> str:
        lines = [self.model, f"{self.task}, {self.data}, policy {self.policy}, {self.problems} problems", ""]
        for kind, scores in self.groups.items():
            lines.append(f"{kind} (n = {max((m.n for m in scores.values()), default=0)})")
            lines += [f"  {name:50} {_shown(name, metric)}" for name, metric in scores.items()]
        lines += [
            f"skipped: {count} without {what.removeprefix('no ')}" for what, count in self.skipped.items()
        ]
        if self.failing:
            lines.append(f"not counted, their own solution fails: {', '.join(self.failing)}")
        if self.protections:
            lines.append(f"sandbox: {'; '.join(self.protections)}")
        return "\n".join(lines)


def _figures(scores: Scores) -> dict[str, Any]:
    """Plain numbers by name, and beside them their 95 % intervals."""
    intervals = {name: {"low": m.low, "high": m.high, "n": m.n} for name, m in scores.items()}
    return {**{name: m.value for name, m in scores.items()}, "intervals": intervals}


def _shown(name: str, metric: Metric) -> str:
    if name.startswith(_SHARES):
        return f"{metric.value:7.1%}  [{metric.low:.1%}, {metric.high:.1%}]"
    return f"{metric.value:7.2f}  [{metric.low:.2f}, {metric.high:.2f}]"


def write_json(data: Mapping[str, Any], out: str) -> None:
    """To a file, or for `-` to stdout."""
    text = json.dumps(data, indent=1) + "\n"
    if out == "-":
        sys.stdout.write(text)
    else:
        Path(out).write_text(text, "utf-8")


def write_answers(results: Sequence[Result], out: Path) -> None:
    """Each problem's answer, for looking at: one JSON object a line."""
    with out.open("w", encoding="utf-8") as file:
        for r in results:
            row = {
                "name": r.name, "kind": r.kind, "status": r.answer.status, "passed": r.passed, "exact": r.exact,
                "ending": r.ending, "written": r.answer.written, "text": r.answer.text, "output": r.output,
                "forwards": r.answer.cost.forwards, "tokens": r.answer.cost.tokens,
                "milliseconds": round(r.answer.cost.milliseconds, 1),
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")

"""Timing several engines in turns, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from model.bench.peers.contender import BLOCKS, PREFILLS, Contender, Setting
from model.bench.peers.own import Own

PREFILL = {f"prefill {tokens}": tokens for tokens in PREFILLS}
BLOCK = {f"block {rows}": rows for rows in BLOCKS}
COMPLETE, DENOISE = "complete", "denoise"
_REST = 0.005
"""Seconds between two engines: the threads of the last one still wait for work, and would take the next one's core."""
_SPENT, _CALLS = 0.03, 15
"""Seconds that a quick call is repeated in one round, and how often at most."""

Key = tuple[str, Setting, str]
"""Contender, setting, task."""


def measure(
    contenders: Sequence[Contender], rounds: int, block: int, tokens_per_forward: float
) -> dict[Key, float]:
    """Milliseconds of every task: the median of the rounds, in each of which every engine has its turn at it."""
    found: dict[Key, list[float]] = {}
    tasks = {each.name: _tasks(each, block, tokens_per_forward) for each in contenders}
    for _ in range(rounds):
        for task in (*PREFILL, *BLOCK, COMPLETE, DENOISE):  # the last prefill leaves what the others need
            for each in contenders:
                if task in tasks[each.name]:
                    for setting in each.settings:
                        time.sleep(_REST)
                        each.use(setting)
                        key = each.name, setting, task
                        found.setdefault(key, []).append(_time(tasks[each.name][task]))
    return {key: round(1000 * median(times), 3) for key, times in found.items()}


def _tasks(contender: Contender, block: int, tokens_per_forward: float) -> Mapping[str, Callable[[], object]]:
    tasks: dict[str, Callable[[], object]] = {COMPLETE: contender.complete}
    tasks |= {name: lambda n=tokens: contender.prefill(n) for name, tokens in PREFILL.items()}
    tasks |= {name: lambda n=rows: contender.block(n) for name, rows in BLOCK.items()}
    if isinstance(contender, Own):
        tasks[DENOISE] = lambda: contender.denoise(block, tokens_per_forward)
    return tasks


def _time(call: Callable[[], object]) -> float:
    """Seconds a call takes: the median of a few, of which the first is not counted."""
    times = [_seconds(call)]
    while len(times) == 1 or (sum(times[1:]) < _SPENT and len(times) <= _CALLS):
        times.append(_seconds(call))
    return median(times[1:])


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began

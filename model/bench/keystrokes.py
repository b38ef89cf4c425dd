"""What a keystroke costs the server beside the model: changes of files of several lengths, answered by an engine that
takes no time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median, quantiles

import psutil

from model.bench.client import Client

_BLOCK = (
    "def f{n}(value, other):\n"
    + "    value = compute(value, other)  # a comment\n" * 8
    + "    return value\n\n\n"
)
_TYPED = "result = compute(value, other) + compute(other, value) * 2"
_GAP = 0.03


@dataclass(frozen=True)
class KeystrokeFigures:
    """`key_ms` of processor time take a change and a question that the next key overtakes; `answer_p50_ms` and `_p95`
    are from a change to the answer of the question behind it, where nothing is waited for: parsing and checking."""

    lines: int
    key_ms: float
    answer_p50_ms: float
    answer_p95_ms: float


def measure_keystrokes(lines: int) -> KeystrokeFigures:
    """Type a line in the middle of a file of so many lines, twice: at a pace that overtakes every question, and waiting
    for every answer."""
    hurried = _Typing(lines, delay_ms=400)
    with hurried.client:
        process = psutil.Process(hurried.client.process.pid)
        before = process.cpu_times()
        for number in range(len(_TYPED)):
            hurried.key(number)
            time.sleep(_GAP)
        after = process.cpu_times()
        spent = after.user + after.system - before.user - before.system
    patient = _Typing(lines, delay_ms=1)
    with patient.client:
        times: list[float] = []
        for number in range(len(_TYPED)):
            began = time.perf_counter()
            came, _ = patient.client.wait_for(patient.key(number))
            times.append((came - began) * 1000)
            time.sleep(_GAP)
    settled = times[5:]  # the first one parses the file
    return KeystrokeFigures(
        lines,
        round(1000 * spent / len(_TYPED), 2),
        round(median(settled), 2),
        round(quantiles(settled, n=20)[-1], 2),
    )


class _Typing:
    def __init__(self, lines: int, delay_ms: int) -> None:
        options = {"inline": {"delayMs": delay_ms}, "limits": {"maxFileBytes": 10_000_000}}
        self.client = Client("--engine", "fake:completion=hello()", options=options)
        self.client.initialize()
        self.client.load()
        blocks = "".join(_BLOCK.format(n=n) for n in range(lines // _BLOCK.count("\n") + 1)).split("\n")[
            :lines
        ]
        self._line = lines // 2 // _BLOCK.count("\n") * _BLOCK.count("\n") + 4
        blocks[self._line] = "    "
        self._document = {"uri": "file:///project/long.py"}
        opened = {**self._document, "languageId": "python", "version": 0, "text": "\n".join(blocks)}
        self.client.notify("textDocument/didOpen", {"textDocument": opened})

    def key(self, number: int) -> int:
        """Type the next character and ask for a completion behind it; the number of that request."""
        at = {"line": self._line, "character": 4 + number}
        change = {"range": {"start": at, "end": at}, "text": _TYPED[number]}
        version = {**self._document, "version": number + 1}
        self.client.notify("textDocument/didChange", {"textDocument": version, "contentChanges": [change]})
        position = {"line": self._line, "character": 5 + number}
        params = {"textDocument": self._document, "position": position, "context": {"triggerKind": 2}}
        return self.client.request("textDocument/inlineCompletion", params)

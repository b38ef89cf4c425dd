"""`python -m kernels.bench`: each kernel beside its reference, at the shapes of an 8B network, on this GPU.

For every operation and batch the milliseconds of the PyTorch reference as it is, of the same compiled by
torch.compile, and of the kernel; and the kernel's ratio to the floor, the bytes that must be moved over the bandwidth
of a copy measured here. Times are medians by the device's own clock; between two runs the L2 cache is overwritten, so
that weights come from memory, as in a step (activations too, which in a step would not). Each is replayed from a CUDA
graph, as a step is, so that the host's launches cost nothing; a reference that waits for the device runs without. An
operation of a few kilobytes cannot come near its floor: see what a graph of one addition takes, in the first line.

`--device cpu --rehearse` runs small shapes by the clock on the wall, to try the program; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from kernels import dispatch
from kernels.cases import SMALL, Case, Network, cases

_FLUSH = 256 * 2**20
"""Bytes, several times an L2 cache."""


@dataclass(frozen=True)
class Machine:
    """What was measured on: bytes per second of a copy (read and written), milliseconds of a graph of one addition."""

    device: str
    torch: str
    bandwidth: float
    nothing_ms: float


@dataclass(frozen=True)
class Row:
    """One operation. `compiled_ms` is None where it was not asked for or failed (then `failure` says how);
    `difference` is the norm of what the kernel and the reference differ in, over the reference's."""

    name: str
    batch: int
    moved: int
    reference_ms: float
    compiled_ms: float | None
    ours_ms: float
    bandwidth: float
    difference: float
    failure: str | None = None

    @property
    def floor_ms(self) -> float:
        return self.moved / self.bandwidth * 1e3

    @property
    def ratio(self) -> float:
        """How many times longer than the floor the kernel takes."""
        return self.ours_ms / self.floor_ms


class Clock:
    """Median milliseconds of what runs on a device."""

    def __init__(self, device: torch.device, count: int) -> None:
        self._device, self._count = device, count
        size = _FLUSH if device.type == "cuda" else 0
        self._other = torch.empty(size, dtype=torch.int8, device=device)

    def median(self, run: Callable[[], Any], captured: bool = True) -> float:
        """Of `count` runs behind some that are not counted. `captured` as a CUDA graph, where there is CUDA."""
        if self._device.type != "cuda":
            return statistics.median(self._wall(run) for _ in range(self._count))
        run = capture(run) if captured else warm(run)
        pairs = []
        for _ in range(self._count):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            self._other.zero_()
            start.record()
            run()
            end.record()
            pairs.append((start, end))
        torch.cuda.synchronize(self._device)
        return statistics.median(start.elapsed_time(end) for start, end in pairs)

    def _wall(self, run: Callable[[], Any]) -> float:
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) * 1e3


def warm(run: Callable[[], Any]) -> Callable[[], Any]:
    """The same, once everything that happens only at first has happened."""
    for _ in range(3):
        run()
    return run


def capture(run: Callable[[], Any]) -> Callable[[], Any]:
    """Replays what `run` launches."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        warm(run)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def machine(device: torch.device, clock: Clock) -> Machine:
    gpu = device.type == "cuda"
    source = torch.empty(2**30 if gpu else 2**20, dtype=torch.int8, device=device).fill_(1)
    target, one = torch.empty_like(source), torch.zeros(1, device=device)
    bandwidth = 2 * source.numel() / (clock.median(lambda: target.copy_(source)) / 1e3)
    name = torch.cuda.get_device_name(device) if gpu else "the processor (a rehearsal)"
    return Machine(name, torch.__version__, bandwidth, clock.median(lambda: one.add_(1)))


def measure(case: Case, clock: Clock, bandwidth: float, compiles: bool) -> Row:
    difference = _difference(case.ours(), case.reference())
    compiled_ms = failure = None
    if compiles:
        torch._dynamo.reset()  # else the ninth shape of a function is not compiled any more
        try:
            compiled = torch.compile(case.reference, dynamic=False)
            compiled_ms = clock.median(compiled, captured=not case.reference_waits)
        except Exception as error:  # of any kind: the compiler's failure is a finding, not ours
            failure = f"{type(error).__name__}: {error}".splitlines()[0]
    return Row(
        case.name,
        case.batch,
        case.moved,
        clock.median(case.reference, captured=not case.reference_waits),
        compiled_ms,
        clock.median(case.ours),
        bandwidth,
        difference,
        failure,
    )


def _difference(ours: Any, reference: Any) -> float:
    """Of several results, of the second: the normed row, the log-probabilities, the masks that are left."""
    found, wanted = (x[1] if isinstance(x, tuple) else x for x in (ours, reference))
    found, wanted = found.double(), wanted.double()
    return float((found - wanted).norm() / wanted.norm().clamp(min=1e-30))


def rows(arguments: argparse.Namespace, clock: Clock, bandwidth: float) -> Iterator[Row]:
    network = SMALL if arguments.rehearse else Network()
    for batch in arguments.batch:
        for case in cases(network, batch, torch.device(arguments.device)):
            if arguments.only in case.name:
                yield measure(case, clock, bandwidth, not (arguments.rehearse or arguments.no_compile))


def hindrance(device: str, rehearse: bool) -> str | None:
    """Why nothing can be measured here, if so."""
    gpu, rest = device.startswith("cuda"), "`--device cpu --rehearse` tries the program on small shapes"
    if (gpu and not torch.cuda.is_available()) or not (gpu or rehearse):
        return f"there is no GPU to measure on (device {device}); {rest}"
    if not rehearse and (not dispatch.HAS_TRITON or dispatch.INTERPRETED):
        return f"Triton is not installed, or interprets its kernels (TRITON_INTERPRET); {rest}"
    return None


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if reason := hindrance(arguments.device, arguments.rehearse):
        print(f"kernels.bench: {reason}", file=sys.stderr)
        return 1
    device = torch.device(arguments.device)
    torch.manual_seed(0)
    with torch.inference_mode():
        clock = Clock(device, arguments.count)
        here = machine(device, clock)
        print(json.dumps(asdict(here)) if arguments.json else _head(here), flush=True)
        for row in rows(arguments, clock, here.bandwidth):
            print(json.dumps(_record(row)) if arguments.json else _line(row), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kernels.bench", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--json", action="store_true", help="one object for each line, the machine's first")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rehearse", action="store_true", help="small shapes, on any device")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 8], help="canvases (default: 1 4 8)")
    parser.add_argument("--count", type=int, default=50, help="runs of each (default: 50)")
    parser.add_argument("--only", default="", metavar="WORD", help="operations with this in their name")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    return parser


def _record(row: Row) -> dict[str, Any]:
    return asdict(row) | {"floor_ms": row.floor_ms, "ratio": row.ratio}


def _head(here: Machine) -> str:
    about = (
        f"{here.device}, PyTorch {here.torch}: copies {here.bandwidth / 1e9:,.0f} GB/s, one addition takes"
    )
    columns = f"{'reference':>10} {'compiled':>10} {'kernel':>10} {'floor':>10} {'ratio':>7} {'differs':>9}"
    return f"{about} {here.nothing_ms * 1e3:.1f} us\n{'ms':32} {'batch':>5} {columns}"


def _line(row: Row) -> str:
    compiled = "failed" if row.failure else "-" if row.compiled_ms is None else f"{row.compiled_ms:.4f}"
    times = f"{row.reference_ms:>10.4f} {compiled:>10} {row.ours_ms:>10.4f} {row.floor_ms:>10.4f}"
    return f"{row.name:32} {row.batch:>5} {times} {row.ratio:>7.2f} {row.difference:>9.1e}"


if __name__ == "__main__":
    sys.exit(main())

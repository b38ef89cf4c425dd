"""`redraft models convert`: a smaller copy of a published model, and what the smaller weights cost its answers."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_server.commands.engine import UsageError
from model.families.sizes import in_size

if TYPE_CHECKING:
    from model.families.foreign import ForeignCheckpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a name in `redraft models list`, or a downloaded model's folder")
    parser.add_argument(
        "--weights",
        required=True,
        choices=["int8", "fp8", "int4", "plain"],
        help="how matrices are kept; plain is 16 bits",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to (default: NAME-WEIGHTS in the models folder)"
    )
    parser.add_argument("--device", default="auto", help="where the loss is measured (default: %(default)s)")
    parser.add_argument("--no-measure", action="store_true", help="don't measure what it costs")


def run(arguments: argparse.Namespace) -> int:
    from model.shelf import find, models_folder, name_of, size_of

    folder = find(arguments.model)
    checkpoint = _published(folder)
    name = f"{folder.resolve().name}-{arguments.weights}"
    out: Path = (arguments.out or models_folder() / name).expanduser()
    try:
        from model.families.convert import convert
    except ImportError as error:
        raise UsageError(
            f"converting needs PyTorch, which is missing ({error}); install redraft[gpu]"
        ) from error
    convert(checkpoint, out, arguments.weights, _teller(arguments.json))
    loss, note = (
        (None, "not measured") if arguments.no_measure else _measured(checkpoint, out, arguments.device)
    )
    sizes = size_of(folder), size_of(out)
    if arguments.json:
        found = {"folder": str(out), "weights": arguments.weights, "bytes": sizes[1], "bytesBefore": sizes[0]}
        sys.stdout.write(json.dumps({**found, "loss": loss, "note": note}) + "\n")
        return 0
    sys.stdout.write(
        f"{name_of(out)}: {arguments.weights} weights, {in_size(sizes[1])} ({in_size(sizes[0])} before) in {out}\n"
    )
    sys.stdout.write(f"{note}\nChoose it: redraft models use {name_of(out)}\n")
    return 0


def _published(folder: Path) -> ForeignCheckpoint:
    """The checkpoint to convert; raises UsageError for what is none."""
    from model.families.converted import open_converted
    from model.families.foreign import open_foreign
    from model.loading import is_converted, is_foreign

    if is_converted(folder):
        kind = open_converted(folder).identity.kind
        raise UsageError(
            f"{folder} was converted before, to {kind} weights; convert the downloaded model that it came from"
        )
    if (folder / "config.json").exists() and not is_foreign(folder):
        raise UsageError(
            f"{folder} is Redraft's own model, whose weights are int8 already; nothing to convert"
        )
    return open_foreign(folder)


def _measured(checkpoint: ForeignCheckpoint, out: Path, device: str) -> tuple[dict[str, float] | None, str]:
    """What the conversion cost, and that in words; only the words where it cannot be measured here."""
    from model.checkpoint import ModelError
    from model.families.converted import open_converted
    from model.families.loss import measure

    try:
        loss = measure(checkpoint, open_converted(out), device)
    except ModelError as error:
        return None, f"What it costs was not measured: {error}."
    said = (
        f"On {loss.rows} tokens of Python its distributions differ by {loss.divergence:.4f} nats (mean KL divergence), "
        f"and its best token is the unquantised one's {loss.agreement:.1%} of the time."
    )
    return {"divergence": loss.divergence, "agreement": loss.agreement, "tokens": loss.rows}, said


def _teller(for_programs: bool) -> Callable[[str, float], None]:
    """The layer that is being converted, on one line of a terminal; elsewhere nothing."""
    if for_programs or not sys.stderr.isatty():
        return lambda what, done: None

    def tell(what: str, done: float) -> None:
        sys.stderr.write("\r\x1b[K" + (f"converting {what} ({done:.0%})" if done < 1 else ""))
        sys.stderr.flush()

    return tell

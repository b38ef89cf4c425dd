"""A checkpoint folder: `config.json`, `tokenizer.json`, `model.safetensors`, `graph.onnx`, and a model card.

Reads and checks it without torch. The weights are int8 rows with float32 scales (`model/quantize.py`); the ONNX
graph holds no weights but points into the same safetensors file, so each weight exists once.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from model.config import ModelConfig
from model.editing.scope import Scope
from model.tokenizer import Tokenizer

FORMAT = 1
GUEST_FORMAT = "guest"
"""Of a folder that another family's network was converted to (`model/families/converted.py`)."""
EMBEDDED = Path(__file__).parent / "weights"


class ModelError(Exception):
    """A model cannot be loaded; the message says which file, what is wrong, and what to do."""


@dataclass(frozen=True)
class Instruction:
    """A refactoring that a checkpoint does reliably, in several phrasings.

    `tau` is the probability from which it may change a token for it. Each has its own: what one does at 0.7 another
    only does rightly at 0.95. `sign` is a regular expression without a match of which there is nothing to do; a
    refactoring that changes such matches alone says in `becomes` what one may become (`model/editing/scope.py`).
    Raises ValueError where one of them is no regular expression."""

    phrasings: tuple[str, ...]
    tau: float
    sign: str = ""
    becomes: str = ""

    def __post_init__(self) -> None:
        for pattern in (self.sign, self.becomes):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error

    def scope_of(self, asked: str, code: str) -> Scope | None:
        """What alone it may change in `code`; None where that is not known. A phrasing of its own means all of its
        places, other words those that they name."""
        if not self.becomes:
            return None
        scope = Scope(re.compile(self.sign), re.compile(self.becomes, re.DOTALL))
        plain = _words(asked)
        return scope if any(plain == _words(each) for each in self.phrasings) else scope.asked(asked, code)

    def may_apply(self, code: str) -> bool:
        return re.search(self.sign, code) is not None


@dataclass(frozen=True)
class Decoding:
    """How this checkpoint decodes best, calibrated on held-out projects after training.

    Thresholds are probabilities; `fill_limit`, `prefix`, `suffix` and `sections` are budgets in tokens; `fill_block` is
    how many of a fill's are denoised together (0: as many as the network can).
    """

    tau_mask: float = 0.9
    tau_edit: float = 0.9
    tau_refactor: float = 0.9
    tau_edit_mask: float = 0.5
    min_confidence: float = 0.0
    fill_limit: int = 64
    fill_block: int = 0
    prefix: int = 256
    suffix: int = 64
    sections: int = 64
    instructions: tuple[Instruction, ...] = ()
    """The refactorings it does reliably; empty for a model that takes any instruction, at `tau_refactor`."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder that was read and checked; `facts` are the training's figures for people."""

    folder: Path
    config: ModelConfig
    decoding: Decoding
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def graph(self) -> Path:
        return self.folder / "graph.onnx"

    def tokenizer(self) -> Tokenizer:
        """Raises ModelError where the file is missing, damaged, or of another vocabulary."""
        try:
            tokenizer = Tokenizer.load(self.folder / "tokenizer.json")
        except (OSError, ValueError) as error:
            raise ModelError(f"the tokenizer of {self.folder} cannot be read: {error}") from error
        if tokenizer.size != self.config.vocab:
            raise ModelError(
                f"{self.folder}: the tokenizer has {tokenizer.size} ids, the network {self.config.vocab}; "
                "the files belong to different models"
            )
        return tokenizer


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read and check a folder; raises ModelError."""
    try:
        data = json.loads((folder / "config.json").read_text("utf-8"))
    except OSError as error:
        raise ModelError(_missing(folder, error)) from error
    except ValueError as error:
        raise ModelError(
            f"{folder / 'config.json'} is not JSON: {error}; restore or re-export the model"
        ) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ModelError(
            f"{folder} is neither a Redraft checkpoint of format {FORMAT} nor an open one: its config.json names no "
            "architecture; `redraft models list` shows which there are"
        )
    try:
        config = ModelConfig.from_json(data["model"])
        known = {f.name for f in fields(Decoding)}
        values = {k: v for k, v in data.get("decoding", {}).items() if k in known}
        values["instructions"] = tuple(
            Instruction(
                tuple(each["phrasings"]),
                float(each["tau"]),
                str(each.get("sign", "")),
                str(each.get("becomes", "")),
            )
            for each in values.get("instructions", ())
        )
        decoding = Decoding(**values)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ModelError(f"{folder / 'config.json'}: {error}; restore or re-export the model") from error
    checkpoint = Checkpoint(folder, config, decoding, data.get("facts", {}))
    check_safetensors(checkpoint.weights)
    return checkpoint


def _words(instruction: str) -> list[str]:
    """The words of an instruction in their order, without what politeness and punctuation add."""
    return [word for word in re.findall(r"\w+|[=!]=|[\[\](){}]", instruction.lower()) if word != "please"]


def _missing(folder: Path, error: OSError) -> str:
    todo = "name a checkpoint folder, or none for the embedded model"
    if folder == EMBEDDED:
        todo = "install Redraft again"
    if folder.is_dir() and isinstance(error, FileNotFoundError):
        return f"{folder} is no model: it has no config.json; {todo}"
    return f"no model at {folder}: {error.strerror}; {todo}"


def write_config(folder: Path, config: ModelConfig, decoding: Decoding, facts: dict[str, Any]) -> None:
    data = {"format": FORMAT, "model": config.as_json(), "decoding": asdict(decoding), "facts": facts}
    (folder / "config.json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def read_header(path: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Where a safetensors file's data begins, and its tensors' `dtype`, `shape` and `data_offsets`."""
    with path.open("rb") as handle:
        (length,) = struct.unpack("<Q", handle.read(8))
        if length > 100_000_000:
            raise ValueError("the header is implausibly long")
        header = json.loads(handle.read(length))
    if not isinstance(header, dict):
        raise ValueError("the header is not a table of tensors")
    header.pop("__metadata__", None)
    return 8 + length, header


def check_safetensors(path: Path) -> None:
    """Raises ModelError where the file is missing, cut short or not safetensors."""
    try:
        begin, header = read_header(path)
        expected = begin + max((t["data_offsets"][1] for t in header.values()), default=0)
        actual = path.stat().st_size
    except OSError as error:
        raise ModelError(f"the weights {path} cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, struct.error) as error:
        raise ModelError(f"{path} is not a safetensors file ({error}); fetch the model again") from error
    if actual != expected:
        raise ModelError(f"{path} has {actual} bytes where its header says {expected}; fetch the model again")

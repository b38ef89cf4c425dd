"""Damaged, missing and mixed-up checkpoints: each is named, with what is wrong and what to do."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.backends.load import load_backend
from model.backends.load_torch import load_torch
from model.checkpoint import Decoding, ModelError, open_checkpoint, write_config
from model.config import ModelConfig
from model.export import export_onnx
from model.loading import load_engine
from model.quantize import quantize
from model.request import Complete, Document, Request
from model.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tokenizer: Tokenizer, text_config: ModelConfig, make_network) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    save_file(quantize(make_network(text_config, 2).state_dict()), folder / "model.safetensors")
    export_onnx(text_config, folder / "model.safetensors", folder / "graph.onnx")
    tokenizer.save(folder / "tokenizer.json")
    write_config(folder, text_config, Decoding(tau_mask=0.7), {"note": "a test"})
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def change_config(folder: Path, change: Callable[[dict], None]) -> None:
    data = json.loads((folder / "config.json").read_text())
    change(data)
    (folder / "config.json").write_text(json.dumps(data))


def test_a_whole_folder_is_read(whole: Path, text_config: ModelConfig) -> None:
    checkpoint = open_checkpoint(whole)
    assert checkpoint.config == text_config
    assert checkpoint.decoding == Decoding(tau_mask=0.7)
    assert checkpoint.facts == {"note": "a test"}
    assert checkpoint.tokenizer().size == text_config.vocab


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_an_engine_is_loaded_and_answers(whole: Path, backend: str) -> None:
    told: list[str] = []
    engine = load_engine(str(whole), backend, threads=1, progress=lambda message, share: told.append(message))
    answer = engine.propose(Request(Document("x = 1\n", "python"), Complete(6)))
    assert answer.status in ("offered", "unchanged", "rejected")
    assert answer.cost.forwards > 0
    assert told[-1] == "ready"
    assert ("ONNX" if backend == "onnx" else "PyTorch") in engine.description


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model at .*nowhere.*name a checkpoint folder"):
        open_checkpoint(tmp_path / "nowhere")


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match=r"no model at .*file"):
        open_checkpoint(tmp_path / "file")


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\0", b'{"format": 1'])
def test_broken_json(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json is not JSON.*restore or re-export"):
        open_checkpoint(folder)


@pytest.mark.parametrize("content", ["[]", "null", "3", "{}", '{"format": 99}'])
def test_json_of_something_else(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match="neither a Redraft checkpoint of format 1 nor an open one"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.pop("model"), "model"),
        (lambda d: d["model"].pop("width"), "incomplete.*width"),
        (lambda d: d["model"].update(colour=1), "unknown fields.*colour"),
        (lambda d: d["model"].update(heads=3, kv_heads=2), "3 heads cannot share 2"),
        (lambda d: d["model"].update(kv_heads=0), "config.json"),
        (lambda d: d["model"].update(heads="two"), "config.json"),
        (lambda d: d.update(model=None), "config.json"),
        (lambda d: d.update(decoding=[1]), "config.json"),
        (lambda d: d.update(decoding=None), "config.json"),
    ],
)
def test_a_config_that_makes_no_sense(folder: Path, change: Callable[[dict], None], says: str) -> None:
    change_config(folder, change)
    with pytest.raises(ModelError, match=says):
        open_checkpoint(folder)


def test_decoding_settings_of_a_later_version_are_ignored(folder: Path) -> None:
    change_config(folder, lambda d: d["decoding"].update(new_knob=1))
    assert open_checkpoint(folder).decoding == Decoding(tau_mask=0.7)


@pytest.mark.parametrize("kept", [0, 3, 8, 100, -1])
def test_truncated_weights(folder: Path, kept: int) -> None:
    """Cut in the length, in the header, in the data, or one byte short: never a crash in a native library."""
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"model\.safetensors.*fetch the model again"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    "header",
    [b"null", b"[]", b"7", b"{", b'{"a": 1}', b'{"a": {"dtype": "F32"}}', b'{"a": {"data_offsets": [0]}}'],
)
def test_headers_that_are_none(folder: Path, header: bytes) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelError, match=r"model\.safetensors.*fetch the model again"):
        open_checkpoint(folder)


def test_an_implausible_header_length_is_not_read(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"x" * 100)
    with pytest.raises(ModelError, match="implausibly long"):
        open_checkpoint(folder)


def test_missing_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights .*model\.safetensors cannot be read"):
        open_checkpoint(folder)


def test_a_tokenizer_of_another_model(folder: Path, tokenizer: Tokenizer) -> None:
    change_config(folder, lambda d: d["model"].update(vocab=900))
    with pytest.raises(ModelError, match=r"tokenizer has 700 ids, the network 900.*different models"):
        open_checkpoint(folder).tokenizer()


@pytest.mark.parametrize("content", [None, "", "[]", '{"model": 1}'])
def test_a_missing_or_damaged_tokenizer(folder: Path, content: str | None) -> None:
    path = folder / "tokenizer.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ModelError, match=r"tokenizer of .* cannot be read.*tokenizer\.json"):
        load_engine(str(folder))


def test_a_missing_graph(folder: Path) -> None:
    (folder / "graph.onnx").unlink()
    with pytest.raises(ModelError, match=r"graph\.onnx cannot be run.*fetch or export"):
        load_engine(str(folder), "onnx")


def test_a_damaged_graph(folder: Path) -> None:
    (folder / "graph.onnx").write_bytes(b"\x08\x07garbage")
    with pytest.raises(ModelError, match=r"graph\.onnx cannot be run"):
        load_engine(str(folder), "onnx")


@pytest.mark.parametrize(
    ("backend", "field"),
    [
        ("onnx", "layers"),
        ("onnx", "vocab"),
        ("onnx", "kv_heads"),
        ("torch", "layers"),
        ("torch", "width"),
        ("torch", "vocab"),
    ],
)
def test_weights_of_another_shape(folder: Path, field: str, backend: str) -> None:
    """A config beside weights or a graph of another model is found when loading, not at the first request."""
    change_config(folder, lambda d: d["model"].update({field: d["model"][field] * 2}))
    checkpoint = open_checkpoint(folder)
    with pytest.raises(ModelError, match=str(folder)):
        load_backend(checkpoint, backend, "cpu", 1)


def test_a_missing_tensor_is_named(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("layers.0.kv.weight")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"lacks 'layers\.0\.kv\.weight'"):
        load_torch(open_checkpoint(folder), "cpu")


def test_a_header_that_contradicts_itself(folder: Path) -> None:
    """The size is right, the tensors' shapes are not: the reader's own error becomes ours."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [7], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be loaded"):
        load_torch(open_checkpoint(folder), "cpu")


def test_unknown_back_ends_and_devices(whole: Path) -> None:
    checkpoint = open_checkpoint(whole)
    with pytest.raises(ModelError, match="unknown back end 'tpu': choose auto, onnx or torch"):
        load_backend(checkpoint, "tpu", "auto", None)
    with pytest.raises(ModelError, match=r"ONNX back end runs on the CPU only.*'cuda'"):
        load_backend(checkpoint, "onnx", "cuda", None)
    with pytest.raises(ModelError, match="the device 'nonsense' cannot be used"):
        load_backend(checkpoint, "torch", "nonsense", None)
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="the device 'cuda' cannot be used"):
            load_backend(checkpoint, "auto", "cuda", None)

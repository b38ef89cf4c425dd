"""Converted folders: what is read back is what quantising at loading gives, bit for bit, and nothing else is needed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.backends.gpu import GpuBackend
from model.backends.interface import Backend, Candidates, Pass
from model.backends.network import Network
from model.backends.products import KINDS, Kind, Weights, product_with
from model.checkpoint import ModelError
from model.config import Experts, ModelConfig
from model.families.convert import check_room, convert
from model.families.converted import open_converted
from model.families.foreign import ForeignCheckpoint, open_foreign
from model.families.load import load_converted, load_network
from model.families.loss import measure
from model.families.sizes import KINDS as SIZED
from model.families.sizes import cache_bytes, largest_step, weight_bytes
from model.loading import is_converted, is_foreign, load_engine
from model.request import Complete, Document, Request
from model.tokenizer import FIRST_TEXT_ID, MASK
from tests.model.families.checkpoints import Case, save, write
from tests.model.families.test_guests import ALL, TEMPLATE, TEXT, brief


def published(case: Case, plain: Path, folder: Path) -> ForeignCheckpoint:
    """A checkpoint in bfloat16, as they are published."""
    folder.mkdir()
    _, tensors = write(case, plain, folder)
    save({name: tensor.bfloat16() for name, tensor in tensors.items()}, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return open_foreign(folder)


MIXTURES = [
    # As wide as a group of four bits and a part of one.
    replace(case, config={**case.config, "hidden_size": 160, "moe_intermediate_size": 144})
    for case in ALL
    if case.name in ("sdar-moe", "llada2.0")
]


def stored(folder: Path) -> Mapping[str, torch.Tensor]:
    return {n: t for file in folder.glob("*.safetensors") for n, t in load_file(file).items()}


def at_loading(checkpoint: ForeignCheckpoint, kind: Kind) -> Backend:
    network = Network(load_network(checkpoint, "cpu"), Weights(kind))
    return GpuBackend(network, checkpoint.forbidden, checkpoint.ends)


def said(backend: Backend) -> list[Candidates]:
    drawn = np.random.default_rng(3).integers(FIRST_TEXT_ID, backend.config.vocab, 64).tolist()
    cache, block = backend.new_cache(128), max(backend.config.clean_block, 1)
    first = drawn[: block if backend.config.clean_block else 0]
    canvas = [*drawn[40:44], *[MASK] * 4]
    rows = len(first) + len(canvas)
    return backend.forward([Pass(cache, first, canvas, range(rows), backend.allow([]))])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_what_is_read_back_is_what_quantising_at_loading_gives(
    case: Case, kind: Kind, plain_tokenizer: Path, tmp_path: Path
) -> None:
    checkpoint = published(case, plain_tokenizer, tmp_path / "model")
    out = tmp_path / "small"
    convert(checkpoint, out, kind)
    guest = open_converted(out)
    assert guest.config == checkpoint.config
    for found, wanted in zip(
        said(load_converted(guest, "cpu")), said(at_loading(checkpoint, kind)), strict=True
    ):
        np.testing.assert_array_equal(found.ids_RK, wanted.ids_RK)
        np.testing.assert_array_equal(found.logp_RK, wanted.logp_RK)
        np.testing.assert_array_equal(found.entropy_R, wanted.entropy_R)
    assert weight_bytes(guest.config, kind) <= guest.shards.bytes + 8192 * len(list(out.iterdir()))
    assert guest.shards.bytes <= weight_bytes(guest.config, kind) + 8192 * len(list(out.iterdir()))


@pytest.mark.parametrize("case", MIXTURES, ids=lambda case: case.name)
@pytest.mark.parametrize("kind", KINDS)
def test_experts_are_quantised(case: Case, kind: Kind, plain_tokenizer: Path, tmp_path: Path) -> None:
    checkpoint = published(case, plain_tokenizer, tmp_path / "model")
    convert(checkpoint, tmp_path / "small", kind)
    guest, tensors = open_converted(tmp_path / "small"), stored(tmp_path / "small")
    e = guest.config.experts
    assert e is not None
    last = f"layers.{guest.config.layers - 1}.mixture"
    parts = Weights(kind).parts(torch.zeros(2 * e.ff, guest.config.width, dtype=torch.bfloat16))
    for part, one in parts.items():
        assert tensors[f"{last}.gate_up.{part}"].shape == (e.count, *one.shape)
        assert tensors[f"{last}.gate_up.{part}"].dtype == one.dtype
        assert not e.shared_ff or tensors[f"{last}.shared_down.{part}"].dtype == one.dtype
    assert tensors[f"{last}.router.weight"].dtype == torch.bfloat16
    # The routing's bias alone is wider than what sizes count.
    found = sum(tensor.nbytes for tensor in tensors.values())
    biases = 2 * e.has_bias * e.count * (guest.config.layers - guest.config.dense_layers)
    assert found == weight_bytes(guest.config, kind) + biases


@pytest.mark.parametrize("case", MIXTURES, ids=lambda case: case.name)
def test_quantised_experts_say_what_those_quantised_at_loading_say(
    case: Case, plain_tokenizer: Path, tmp_path: Path
) -> None:
    checkpoint = published(case, plain_tokenizer, tmp_path / "model")
    [exact], errors = said(at_loading(checkpoint, "plain")), []
    for kind in KINDS:
        convert(checkpoint, tmp_path / kind, kind)
        [found] = said(load_converted(open_converted(tmp_path / kind), "cpu"))
        [wanted] = said(at_loading(checkpoint, kind))
        np.testing.assert_array_equal(found.ids_RK, wanted.ids_RK)
        np.testing.assert_array_equal(found.logp_RK, wanted.logp_RK)
        errors.append(np.abs(found.confidence - exact.confidence).mean())
    plain, int8, fp8, int4 = errors
    assert plain == 0 < int8 < fp8 < int4 < 0.15  # each kind's steps are coarser than those of the one before


def test_experts_of_sixteen_bits_in_a_small_folder_are_refused(plain_tokenizer: Path, tmp_path: Path) -> None:
    """As they were before."""
    checkpoint = published(MIXTURES[0], plain_tokenizer, tmp_path / "model")
    convert(checkpoint, tmp_path / "plain", "plain")
    convert(checkpoint, out := tmp_path / "small", "int8")
    weights = {n: t for n, t in stored(out).items() if ".mixture.down" not in n}
    weights |= {n: t for n, t in stored(tmp_path / "plain").items() if ".mixture.down" in n}
    for file in (*out.glob("*.safetensors"), out / "model.safetensors.index.json"):
        file.unlink()
    save(dict(weights), out)
    with pytest.raises(ModelError, match=r"lack layers.0.mixture.down.int8, .*; convert the model again"):
        open_converted(out)


def test_memory_is_foreseen_for_a_layer_and_not_for_float32_of_all_experts() -> None:
    experts = Experts(256, 8, 512, 512, 1, 8, 4, 2.5, "sigmoid", has_bias=True)
    mini = ModelConfig("mini", 157_208, 2048, 20, 16, 4, 128, 5120, 8192, 384, tied=False, experts=experts)
    layer = 257 * 3 * 512 * 2048
    assert 3 * layer < largest_step(mini) < 3.6 * layer
    assert largest_step(replace(mini, layers=40)) == largest_step(mini)
    assert weight_bytes(mini, "int8") < 0.53 * weight_bytes(mini, "plain")
    assert weight_bytes(mini, "int4") < 0.3 * weight_bytes(mini, "plain")


@pytest.mark.parametrize("kind", KINDS)
def test_candidates_are_near_the_unquantised_ones(kind: Kind, plain_tokenizer: Path, tmp_path: Path) -> None:
    case = next(case for case in ALL if case.name.startswith("sdar"))
    checkpoint = published(case, plain_tokenizer, tmp_path / "model")
    convert(checkpoint, tmp_path / "small", kind)
    [found] = said(load_converted(open_converted(tmp_path / "small"), "cpu"))
    [exact] = said(at_loading(checkpoint, "plain"))
    error = np.abs(found.confidence - exact.confidence).mean()
    assert error <= {"plain": 0.0, "int8": 0.02, "fp8": 0.06, "int4": 0.2}[kind]


@pytest.mark.parametrize("case", [ALL[1], *MIXTURES], ids=lambda case: case.name)
@pytest.mark.parametrize("kind", ["int8", "fp8", "int4"])
def test_without_kernels_small_weights_are_widened_once(
    case: Case, kind: Kind, plain_tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(published(case, plain_tokenizer, tmp_path / "model"), tmp_path / "small", kind)
    guest = open_converted(tmp_path / "small")
    once = load_converted(guest, "cpu")
    assert once.description.endswith(f"cpu, {kind} weights, widened to 32 bits")
    [found] = said(once)
    needed = weight_bytes(guest.config, kind, 4) + cache_bytes(guest.config, 4)
    monkeypatch.setattr("model.families.load.free_bytes", lambda _: needed)
    anew = load_converted(guest, "cpu")
    assert anew.description.endswith(f"cpu, {kind} weights, widened anew for every product, which is slow")
    [wanted] = said(anew)
    np.testing.assert_array_equal(found.ids_RK, wanted.ids_RK)
    np.testing.assert_array_equal(found.logp_RK, wanted.logp_RK)
    monkeypatch.setattr("kernels.gemm.scaled_linear_reference", lambda *_: pytest.fail("widened again"))
    monkeypatch.setattr("kernels.gemm.int4_linear_reference", lambda *_: pytest.fail("widened again"))
    monkeypatch.setattr("model.backends.products.grouped_linear", lambda *_: pytest.fail("widened again"))
    said(once)


def test_fp8_without_hardware_for_it_is_refused(
    plain_tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = next(case for case in ALL if case.name.startswith("sdar"))
    checkpoint = published(case, plain_tokenizer, tmp_path / "model")
    monkeypatch.setattr("model.families.load.fp8_obstacle", lambda _: "the GPU has no FP8")
    for kind in ("fp8", "int8"):
        convert(checkpoint, tmp_path / kind, kind)
    with pytest.raises(
        ModelError, match=r"fp8 weights, and the GPU has no FP8 .*; use int8: convert it with"
    ):
        load_converted(open_converted(tmp_path / "fp8"), "cpu")
    load_converted(open_converted(tmp_path / "int8"), "cpu")


def test_the_engine_needs_nothing_of_the_foreign_folder(plain_tokenizer: Path, tmp_path: Path) -> None:
    case = next(case for case in ALL if case.name.startswith("sdar"))
    checkpoint = published(case, plain_tokenizer, tmp_path / "model")
    convert(checkpoint, tmp_path / "small", "int8")
    request = Request(Document(TEXT, "python"), Complete(TEXT.index("return a") + 8, asked=True))
    before = brief(load_engine(str(tmp_path / "model"))).reader
    shutil.rmtree(tmp_path / "model")
    assert is_converted(tmp_path / "small")
    assert not is_foreign(tmp_path / "small")
    engine = brief(load_engine(str(tmp_path / "small")))
    assert "int8 weights" in engine.description
    assert type(engine.reader.asking) is type(before.asking)
    assert engine.reader.tokenizer.size == before.tokenizer.size
    assert engine.propose(request).cost.forwards > 0


def test_an_interrupted_conversion_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(what: str, done: float) -> None:
        if what.startswith("layer 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(open_foreign(folder), tmp_path / "small", "int8", tell)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model"]


def test_what_has_no_room_is_refused_beforehand(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = open_foreign(folder)
    with pytest.raises(ModelError, match="exists already"):
        check_room(checkpoint, folder, "int8")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))  # type: ignore[attr-defined]
        with pytest.raises(ModelError, match=r"would take \d+.\d\d MiB, and 0.00 MiB are free on its disk"):
            check_room(checkpoint, tmp_path / "small", "int8")
    monkeypatch.setattr("model.families.convert.largest_step", lambda _: 1 << 60)
    with pytest.raises(ModelError, match=r"takes 1073741824.00 GiB of memory at once"):
        convert(checkpoint, tmp_path / "small", "int8")
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 1}, "is of version 1"),
        ({"guest": {}}, "convert the model again"),
        ({"model": {"width": 3}}, "incomplete"),
        ({"guest.kind": "int3"}, "'int3' are unknown"),
        ({"guest.mask": 1 << 30}, "beyond the"),
        ({"model.ff": 48}, r"gate_up.int8 has shape \(192, 64\), the config says \(96, 64\)"),
        ({"model.layers": 1}, "unexpected layers.1"),
        ({"model.qk_norm": True}, "lack layers.0.k_norm.weight"),
    ],
)
def test_a_damaged_folder_is_refused(
    folder: Path, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    convert(open_foreign(folder), tmp_path / "small", "int8")
    path = tmp_path / "small" / "config.json"
    data = json.loads(path.read_text())
    for name, value in change.items():
        table, _, field = name.partition(".")
        if field:
            data[table][field] = value
        else:
            data[name] = value
    path.write_text(json.dumps(data))
    with pytest.raises(ModelError, match=says):
        load_engine(str(tmp_path / "small"))


def test_files_of_two_conversions_are_refused(folder: Path, tmp_path: Path) -> None:
    checkpoint = open_foreign(folder)
    for kind in ("int8", "int4"):
        convert(checkpoint, tmp_path / kind, kind)
    last = sorted((tmp_path / "int8").glob("*.safetensors"))[-1].name
    shutil.copy(tmp_path / "int4" / last, tmp_path / "int8" / last)
    with pytest.raises(ModelError, match="belong to different models"):
        load_engine(str(tmp_path / "int8"))


def test_kinds_are_those_of_the_network() -> None:
    assert SIZED == KINDS
    with pytest.raises(ValueError, match="no matrix of a known kind"):
        product_with({"scale": torch.ones(1)})


@pytest.mark.parametrize("name", ["dream", "nemotron-labs-diffusion", "sdar", "sdar-moe", "llada2.0"])
def test_what_it_costs_is_measured(name: str, plain_tokenizer: Path, tmp_path: Path) -> None:
    case = next(case for case in (*MIXTURES, *ALL) if case.name == name)
    checkpoint = published(case, plain_tokenizer, tmp_path / "model")
    costs = []
    for kind in ("plain", "int8", "int4"):
        convert(checkpoint, tmp_path / kind, kind)
        costs.append(measure(checkpoint, open_converted(tmp_path / kind), "cpu"))
    plain, int8, int4 = costs
    assert (plain.divergence, plain.agreement) == (0.0, 1.0)
    assert 0 < int8.divergence < int4.divergence
    assert plain.rows >= 200


@pytest.mark.gpu
@pytest.mark.parametrize("case", [ALL[1], *MIXTURES], ids=lambda case: case.name)
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_reads_back_what_it_would_have_quantised(
    case: Case, kind: Kind, plain_tokenizer: Path, tmp_path: Path, cuda: torch.device
) -> None:
    checkpoint = published(case, plain_tokenizer, tmp_path / "model")
    convert(checkpoint, tmp_path / "small", kind)
    guest = open_converted(tmp_path / "small")
    wanted = GpuBackend(Network(load_network(checkpoint, "cuda"), Weights(kind)), checkpoint.forbidden)
    for found, right in zip(said(load_converted(guest, "cuda")), said(wanted), strict=True):
        np.testing.assert_array_equal(found.logp_RK, right.logp_RK)
    assert measure(checkpoint, guest, "cuda").agreement > 0.3

"""Int8 weights and the exported graph: how far they may be from the network they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from model.backends.interface import Backend, Candidates, Pass
from model.backends.load_torch import load_torch
from model.backends.onnx import OnnxBackend
from model.backends.torch import TorchBackend
from model.causal import autoregress
from model.checkpoint import Checkpoint, Decoding, open_checkpoint, write_config
from model.config import Experts, ModelConfig
from model.decoders import Job
from model.export import export_onnx, require_exportable
from model.quantize import dequantize, quantize, quantize_rows
from model.sampler import Run
from model.tokenizer import EOS, FIRST_TEXT_ID, MASK, MID
from model.transformer import Transformer

CONFIG = ModelConfig("exported", 300, 64, 2, 4, 2, 16, 128, context=512, region_limit=160, block=16)


@given(
    st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=8, max_size=8), min_size=1, max_size=6),
    st.integers(-6, 3),
)
def test_rows_lose_at_most_what_int8_must(weights: list[list[float]], power: int) -> None:
    """Within half a step where nothing is clipped, a fifth of the row's peak where it is, and in all no worse
    than plain rounding."""
    weight = torch.tensor(weights, dtype=torch.float32) * 10.0**power
    rows, scale = quantize_rows(weight)
    assert rows.dtype == torch.int8
    assert int(rows.min()) >= -127
    back = rows.float() * scale[:, None]
    peak = weight.abs().amax(dim=1, keepdim=True)
    error = (back - weight).abs()
    clipped = rows.abs() == 127
    assert (error[~clipped] <= (scale[:, None].expand_as(error) * 0.501 + 1e-12)[~clipped]).all()
    assert (error <= 0.21 * peak + 1e-12).all()
    step = peak.clamp(min=1e-12) / 127
    plain = (weight / step).round() * step - weight
    assert (error.square().sum(1) <= plain.square().sum(1) * 1.001 + 1e-12).all()


def test_a_network_survives_quantising(make_network: Callable[..., Transformer]) -> None:
    """Control rows, norms and the canvas embedding exactly; matrices and text rows within their rows' steps."""
    network = make_network(CONFIG, 1)
    state = network.state_dict()
    tensors = quantize(state)
    back = dequantize(tensors, CONFIG)
    assert back.keys() == state.keys()
    for name, value in state.items():
        if value.ndim == 1:
            assert torch.equal(back[name], value)
        else:
            relative = (back[name] - value).norm() / value.norm()
            assert relative < 0.01, name
    assert torch.equal(back["table.weight"][:FIRST_TEXT_ID], state["table.weight"][:FIRST_TEXT_ID])
    assert {t.dtype for t in tensors.values()} == {torch.uint8, torch.float32}
    again = quantize(back)
    assert all(torch.equal(again[k], tensors[k]) for k in tensors if tensors[k].dtype == torch.uint8)


def test_missing_and_misshapen_tensors_are_named(make_network: Callable[..., Transformer]) -> None:
    tensors = quantize(make_network(CONFIG, 1).state_dict())
    with pytest.raises(ValueError, match=r"lacks 'layers\.1\.q\.scale'"):
        dequantize({k: v for k, v in tensors.items() if k != "layers.1.q.scale"}, CONFIG)
    with pytest.raises(ValueError, match=r"norm\.weight has shape \(3,\), the config says \(64,\)"):
        dequantize({**tensors, "norm.weight": torch.ones(3)}, CONFIG)


@pytest.fixture(scope="module", params=["float32", "int8"])
def exported(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    make_network: Callable[..., Transformer],
) -> Checkpoint:
    """A checkpoint whose graph has float32 products, as small networks get, or int8 ones."""
    folder = tmp_path_factory.mktemp("exported")
    network = make_network(CONFIG, 7, sharpness=20.0)
    save_file(quantize(network.state_dict()), folder / "model.safetensors")
    widen = request.param == "float32"
    export_onnx(CONFIG, folder / "model.safetensors", folder / "graph.onnx", widen)
    write_config(folder, CONFIG, Decoding(), {"products": request.param})
    return open_checkpoint(folder)


@pytest.fixture(scope="module")
def onnx(exported: Checkpoint) -> OnnxBackend:
    return OnnxBackend(exported, threads=1)


@pytest.fixture(scope="module")
def reference(exported: Checkpoint) -> TorchBackend:
    """The same int8 weights, dequantised: only the graph and the activations' quantising differ."""
    return load_torch(exported, "cpu")


def test_both_back_ends_read_the_same_folder(onnx: OnnxBackend, reference: TorchBackend) -> None:
    assert onnx.config == reference.config == CONFIG
    assert "int8" in onnx.description
    assert "PyTorch" in reference.description


def ids(rng: np.random.Generator, n: int) -> list[int]:
    return rng.integers(0, CONFIG.vocab, n).tolist()


def passes(backend: Backend, shapes: list[tuple[int, int, int]], seed: int) -> list[Pass]:
    """Sequences of (past, causal, canvas) tokens; the past goes through the same back end."""
    rng = np.random.default_rng(seed)
    made = []
    for past, causal, canvas in shapes:
        cache = backend.new_cache(200)
        old, new, noisy = ids(rng, past), ids(rng, causal), ids(rng, canvas)
        noisy[::3] = [MASK] * len(noisy[::3])
        if past:
            backend.forward([Pass(cache, old, (), (), backend.allow([EOS]))])
        made.append(Pass(cache, new, noisy, range(causal + canvas), backend.allow([EOS])))
    return made


def assert_agree(exported: Checkpoint, ours: Candidates, theirs: Candidates) -> tuple[int, int]:
    """Log-probabilities are near, or equal but for rounding; where the first choice leads by more than their error it
    is the same."""
    assert np.abs(ours.entropy_R - theirs.entropy_R).max() < 0.35
    if exported.facts["products"] == "float32":
        assert np.abs(ours.logp_RK - theirs.logp_RK).max() < 1e-3
        assert np.abs(ours.entropy_R - theirs.entropy_R).max() < 1e-3
    found = np.full((len(ours), CONFIG.vocab), np.nan)
    np.put_along_axis(found, ours.ids_RK, ours.logp_RK, axis=1)
    distance = np.abs(np.take_along_axis(found, theirs.ids_RK, axis=1) - theirs.logp_RK)
    assert np.nanmax(distance) < 0.9
    assert np.nanmean(distance) < 0.15
    clear = theirs.logp_RK[:, 0] - theirs.logp_RK[:, 1] > 0.9
    assert (ours.best[clear] == theirs.best[clear]).all()
    return int(clear.sum()), int((ours.best == theirs.best).sum())


SHAPES = {
    "prefill": [(0, 40, 0)],
    "prefill behind a cache": [(65, 20, 0)],
    "denoise": [(30, 0, 16)],
    "fused": [(64, 16, 16)],
    "batch of all": [(0, 21, 0), (100, 1, 16), (7, 0, 9), (64, 16, 16), (1, 5, 1)],
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_graph_agrees_with_the_network(
    exported: Checkpoint, onnx: OnnxBackend, reference: TorchBackend, name: str
) -> None:
    """In every pattern, and in batches with padding: candidates, and the keys and values it caches."""
    asked, scored = 0, [0, 0]
    for seed in range(4):
        a, b = passes(onnx, SHAPES[name], seed), passes(reference, SHAPES[name], seed)
        for x, y, ours, theirs in zip(a, b, onnx.forward(a), reference.forward(b), strict=True):
            clear, same = assert_agree(exported, ours, theirs)
            scored = [scored[0] + clear, scored[1] + same]
            asked += len(ours)
            assert x.cache.tokens == y.cache.tokens
            known = y.cache.filled.numpy()
            assert np.abs(x.cache.filled - known).max(initial=0) < 0.12 * max(
                1.0, np.abs(known).max(initial=0)
            )
    assert scored[0] > 0.2 * asked, "too few clear cases to say anything"
    assert scored[1] > 0.85 * asked


def test_the_graph_never_offers_what_is_forbidden(onnx: OnnxBackend) -> None:
    (found,) = onnx.forward(passes(onnx, [(10, 3, 12)], 3))
    assert set(found.ids_RK.ravel().tolist()) <= {EOS, *range(FIRST_TEXT_ID, CONFIG.vocab)}
    assert np.isfinite(found.logp_RK).all()
    assert np.isfinite(found.entropy_R).all()
    assert (np.diff(found.logp_RK, axis=1) <= 0).all()


def test_unequal_numbers_of_wanted_rows(
    exported: Checkpoint, onnx: OnnxBackend, reference: TorchBackend
) -> None:
    """Each sequence gets its own rows back, in its own order, and none where it wants none."""
    wanted = [(), (15, 3), (0,)]
    found = {}
    for backend in (onnx, reference):
        batch = passes(backend, [(5, 8, 8)] * 3, 11)
        batch = [
            Pass(p.cache, p.causal, p.canvas, w, p.allowed_V) for p, w in zip(batch, wanted, strict=True)
        ]
        found[backend] = backend.forward(batch)
    for ours, theirs, rows in zip(*found.values(), wanted, strict=True):
        assert len(ours) == len(theirs) == len(rows)
        if rows:
            assert_agree(exported, ours, theirs)


@settings(max_examples=10)
@given(st.lists(st.integers(FIRST_TEXT_ID, 299), min_size=1, max_size=40))
def test_decoding_through_the_graph_ends_like_any_other(onnx: OnnxBackend, prompt: list[int]) -> None:
    (lane,) = Run(onnx, [Job([*prompt, MID], limit=6)], autoregress).finish()
    assert all(t >= FIRST_TEXT_ID for t in lane.canvas.tokens)
    assert lane.canvas.logp < 0


def test_the_graph_holds_no_weights(exported: Checkpoint) -> None:
    """Each weight exists once, in the safetensors file; the folder may be moved as a whole."""
    weights = exported.weights.stat().st_size
    assert exported.graph.stat().st_size < 0.3 * weights
    assert str(exported.folder).encode() not in exported.graph.read_bytes()


def test_a_moved_folder_still_runs(exported: Checkpoint, tmp_path: Path, onnx: OnnxBackend) -> None:
    for path in exported.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    moved = OnnxBackend(open_checkpoint(tmp_path), threads=1)
    a, b = (backend.forward(passes(backend, [(3, 4, 4)], 0))[0] for backend in (moved, onnx))
    assert np.array_equal(a.logp_RK, b.logp_RK)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"experts": Experts(count=4, per_token=2, ff=32)}, "experts"),
        ({"rotary_size": 8}, "partly turned heads"),
        ({"rope_scaling": (("factor", 2.0),)}, "stretched positions"),
        ({"clean_block": 4}, "clean tokens that are not causal"),
        ({"clean_block": 0, "shifted": True}, "clean tokens that are not causal, shifted rows"),
    ],
)
def test_what_foreign_networks_have_more_is_not_exported(
    values: dict[str, Any], said: str, exported: Checkpoint, tmp_path: Path
) -> None:
    require_exportable(CONFIG)
    config = replace(CONFIG, **values)
    message = f"the ONNX graph has no {said}; run this network with the PyTorch back end"
    with pytest.raises(ValueError, match=message):
        require_exportable(config)
    with pytest.raises(ValueError, match=message):
        export_onnx(config, exported.weights, tmp_path / "graph.onnx")
    assert not (tmp_path / "graph.onnx").exists()

"""The other engines of the benchmark run the same network: their logits are ours, and what is timed leaves no trace."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model.backends.load_torch import load_torch
from model.backends.onnx import OnnxBackend
from model.bench import main
from model.bench.peers.contender import CACHED, COMPLETED, Contender, Setting, text_ids
from model.bench.peers.figures import OURS, peer_figures, ratios
from model.bench.peers.own import Own, schedule
from model.bench.peers.shapes import SHAPES, write_random
from model.config import ModelConfig
from model.transformer import Transformer, masked

MakeNetwork = Callable[..., Transformer]
OURS_LIKE = ModelConfig("ours", 256, 64, 3, 4, 2, 32, 96, context=768, region_limit=64, rope_theta=5e3)
QWEN2_LIKE = ModelConfig(
    "qwen2", 256, 64, 2, 4, 1, 16, 96, context=768, region_limit=64, rope_theta=1e6, qk_norm=False,
    qkv_bias=True, embedding_norm=False,
)  # fmt: skip
BOTH = pytest.mark.parametrize("config", [OURS_LIKE, QWEN2_LIKE], ids=lambda config: config.name)


@torch.no_grad()
def causal_logits(network: Transformer, tokens: list[int]) -> np.ndarray:
    ids = torch.tensor([tokens])
    sees = torch.ones(1, len(tokens), len(tokens), dtype=torch.bool).tril()
    positions = torch.arange(len(tokens))[None]
    hidden, _ = network(ids, positions, torch.zeros_like(ids, dtype=torch.bool), masked(sees))
    return network.logits(hidden)[0].numpy()


@BOTH
def test_a_stock_class_has_our_causal_logits(make_network: MakeNetwork, config: ModelConfig) -> None:
    pytest.importorskip("transformers")
    from model.bench.peers.stock import stock_network

    network = make_network(config, 4, sharpness=20)
    tokens = text_ids(config.vocab, 90)
    wanted = causal_logits(network, tokens)
    found = stock_network(network)(torch.tensor([tokens])).logits[0].numpy()
    assert wanted.std() > 1
    assert np.abs(found - wanted).max() < 1e-4 * wanted.std()


@BOTH
def test_a_gguf_file_holds_the_network(
    make_network: MakeNetwork, config: ModelConfig, tmp_path: Path
) -> None:
    gguf = pytest.importorskip("gguf")
    from model.bench.peers.gguf_file import write_gguf

    network = make_network(config, 4)
    for kind, error in (("f32", 0.0), ("f16", 1e-3), ("q8_0", 0.01)):
        write_gguf(network, tmp_path / kind, kind)
        reader = gguf.GGUFReader(tmp_path / kind)
        arch = reader.get_field("general.architecture").contents()
        assert arch == ("qwen3" if config.qk_norm else "qwen2")
        assert reader.get_field(f"{arch}.attention.head_count_kv").contents() == config.kv_heads
        assert reader.get_field(f"{arch}.vocab_size").contents() == config.vocab
        assert reader.get_field(f"{arch}.rope.freq_base").contents() == config.rope_theta
        found = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
        assert ("output.weight" in found) == config.embedding_norm
        layer = network.layers[1]
        wanted = {
            "blk.1.attn_v.weight": layer.kv.weight[config.kv_heads * config.head_size :],
            "blk.1.ffn_up.weight": layer.gate_up.weight[config.ff :],
            "blk.1.ffn_norm.weight": layer.mlp_norm.weight,
        }
        for name, weight in wanted.items():
            value = weight.detach().numpy()
            assert np.abs(found[name] - value).max() <= error * np.abs(value).max(), name


@BOTH
def test_llama_cpp_has_our_causal_logits(
    make_network: MakeNetwork, config: ModelConfig, tmp_path: Path
) -> None:
    pytest.importorskip("llama_cpp")
    from model.bench.peers.gguf_file import Kind, write_gguf
    from model.bench.peers.llama_cpp import PLAIN_F32, LlamaCpp

    network = make_network(config, 4, sharpness=20)
    tokens = text_ids(config.vocab, 90)
    wanted = causal_logits(network, tokens)
    bounds: dict[Kind, float] = {"f32": 1e-4, "q8_0": 0.5}
    for kind, bound in bounds.items():
        write_gguf(network, tmp_path / kind, kind)
        peer = LlamaCpp("peer", tmp_path / kind, config.vocab, [1])
        peer.use(Setting(1, PLAIN_F32))
        error = np.abs(peer.scores(tokens) - wanted).max() / wanted.std()
        peer.close()
        assert error < bound, kind


def contenders(network: Transformer, folder: Path) -> list[Contender]:
    """Those that are installed."""
    checkpoint = write_random(network.config, folder)
    backends = {"onnx": OnnxBackend(checkpoint, 1), "torch": load_torch(checkpoint, "cpu")}
    found: list[Contender] = [
        Own(name, lambda _, own=backend: own, [1]) for name, backend in backends.items()
    ]
    try:
        from model.bench.peers.stock import Stock

        found.append(Stock(network, [1]))
        from model.bench.peers.gguf_file import write_gguf
        from model.bench.peers.llama_cpp import LlamaCpp

        write_gguf(network, folder / "f32.gguf", "f32")
        found.append(LlamaCpp("llama.cpp", folder / "f32.gguf", network.config.vocab, [1]))
    except ImportError:
        pass
    return found


def test_what_is_asked_leaves_no_trace(make_network: MakeNetwork, tmp_path: Path) -> None:
    network = make_network(OURS_LIKE, 4, sharpness=20)
    for each in contenders(network, tmp_path):
        for setting in each.settings:
            each.use(setting)
            each.prefill(CACHED)
        for setting in each.settings:
            each.use(setting)
            first = list(each.complete())
            each.block(8)
            if isinstance(each, Own):
                each.denoise(4, 0.8)
            assert len(first) == COMPLETED
            assert list(each.complete()) == first
            each.prefill(256)
            each.prefill(CACHED)
            assert list(each.complete()) == first
        each.close()


@pytest.mark.parametrize(("block", "rate", "forwards"), [(4, 0.8, 30), (4, 4, 6), (32, 1, 24), (5, 2, 12)])
def test_a_completion_takes_as_many_forwards_as_its_rate_says(block: int, rate: float, forwards: int) -> None:
    blocks = list(schedule(block, rate))
    assert sum(len(steps) for _, steps in blocks) == forwards
    assert sum(size for size, _ in blocks) == COMPLETED
    for size, steps in blocks:
        assert steps[0] == size
        assert all(1 <= left <= size for left in steps)
        assert steps == sorted(steps, reverse=True)


def test_no_forward_gives_more_tokens_than_a_block_has() -> None:
    with pytest.raises(ValueError, match="blocks of 4 tokens cannot give 5"):
        list(schedule(4, 5))


def test_shapes_are_as_large_as_they_are_called() -> None:
    sizes = {name: round(config.parameters / 1e6) for name, config in SHAPES.items()}
    assert sizes == {"30m": 31, "60m": 60, "0.5b": 494}


def test_each_figure_is_of_the_best_setting() -> None:
    tasks = (
        "prefill 256",
        "prefill 512",
        "block 1",
        "block 4",
        "block 8",
        "block 16",
        "block 32",
        "complete",
    )
    found = {("x", Setting(threads), task): 10.0 * threads for task in tasks for threads in (1, 2)}
    found["x", Setting(2), "complete"] = 6.0
    found |= {(OURS, Setting(1), task): 5.0 for task in (*tasks, "denoise")}
    peers = [peer_figures(OURS, found), peer_figures("x", found)]
    assert (peers[1].setting, peers[1].completion_ms, peers[1].block_ms[1]) == (Setting(2), 6.0, 20.0)
    assert peers[1].tokens_per_second == 4000
    assert [(r.name, r.ratio, r.tokens_per_forward_to_match) for r in ratios(peers, 0.9)] == [
        (OURS, 1.0, 0.9),
        ("x", 1.2, 0.75),
    ]


def test_an_engine_that_is_missing_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("llama_cpp", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    few = ["peers", "--threads", "1", "--rounds", "1", "--tokens-per-forward", "1"]
    assert main.main(few) == 0
    shown = capsys.readouterr().out
    assert "pip install 'redraft[peers]'" in shown
    assert main.main([*few, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["peers"]
    rows = {each["name"]: each for each in found["peers"]}
    assert "llama_cpp" in rows["llama.cpp q8_0"]["missing"]
    assert rows[OURS]["setting"]["threads"] == 1
    assert rows[OURS]["denoising_ms"] > 0
    assert [each["name"] for each in found["ratios"]] == [n for n, row in rows.items() if not row["missing"]]

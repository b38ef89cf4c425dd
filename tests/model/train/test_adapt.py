"""A foreign autoregressive checkpoint becomes tri-mode: proven on one that is trained here, without our control
tokens and under Llama's names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.config import ModelConfig
from model.loading import load_engine
from model.losses import RowBatch, tri_mode_loss
from model.request import Complete, Document, Request
from model.tokenizer import FIRST_TEXT_ID, Tokenizer
from model.train import adapt
from model.train.data import PackedRows, stack
from model.train.gather import build_corpus
from model.train.loop import Schedule, Trainer
from model.train.main import main
from model.train.recipes import Pretraining, Recipe, StepMinimisation, Trajectories, adapted
from model.train.rows import GROUPS
from model.transformer import Transformer, masked

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")


def write_llama(
    state: Mapping[str, torch.Tensor], config: ModelConfig, tokenizer: Tokenizer, folder: Path
) -> None:
    """What our reader reads, written from our weights: no control rows, no canvas embedding."""
    split = {
        "attention_norm.weight": ("input_layernorm.weight",),
        "mlp_norm.weight": ("post_attention_layernorm.weight",),
        "q.weight": ("self_attn.q_proj.weight",),
        "kv.weight": ("self_attn.k_proj.weight", "self_attn.v_proj.weight"),
        "out.weight": ("self_attn.o_proj.weight",),
        "gate_up.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
        "down.weight": ("mlp.down_proj.weight",),
    }
    tensors = {
        "model.embed_tokens.weight": state["table.weight"][FIRST_TEXT_ID:].clone(),
        "model.norm.weight": state["norm.weight"],
    }
    for i in range(config.layers):
        for ours, theirs in split.items():
            parts = state[f"layers.{i}.{ours}"].chunk(len(theirs))
            tensors |= {f"model.layers.{i}.{t}": p.clone() for t, p in zip(theirs, parts, strict=True)}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    tokenizer.save(folder / "tokenizer.json")
    data = {
        "model_type": "llama",
        "vocab_size": config.vocab - FIRST_TEXT_ID,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "intermediate_size": config.ff,
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(data))


def quick(config: ModelConfig) -> Recipe:
    """The recipe, with later stages that take moments."""
    recipe = adapted(config)
    pretraining, *_ = recipe.stages
    mixed = (("fill", 0.6), ("fix", 0.4))
    stages = (
        replace(pretraining, share=0.95),
        Trajectories(0.03, mixed, walks=2, gathered=4),
        StepMinimisation(0.02, mixed, samples=2, prompts=2, updates=1, group=2),
    )
    return replace(recipe, stages=stages, rows_per_step=2, questions=2)


@pytest.fixture(scope="module")
def config(tokenizer: Tokenizer) -> ModelConfig:
    shape = {"width": 64, "layers": 2, "heads": 2, "kv_heads": 1, "head_size": 32, "ff": 128}
    flags = {"qk_norm": False, "embedding_norm": False}
    return ModelConfig("foreign", tokenizer.size, **shape, context=320, region_limit=64, **flags)


@pytest.fixture(scope="module")
def foreign(tokenizer, config, files, tmp_path_factory) -> tuple[Path, dict[str, torch.Tensor]]:
    """A folder under Llama's names, and our weights that it was written from: trained causally only."""
    folder = tmp_path_factory.mktemp("foreign")
    recipe = replace(adapted(config).twin(), optimizer="muon", learning_rate=3e-3)
    (stage,) = recipe.stages
    recipe = replace(recipe, rows_per_step=2)
    trainer = Trainer(recipe, stage, folder / "run", Schedule(60), CPU)
    trainer.fit(cycle(drawn(recipe, files, tokenizer, 500, 6)))
    state = {k: v.detach().clone() for k, v in trainer.network.state_dict().items()}
    write_llama(state, config, tokenizer, folder / "llama")
    return folder / "llama", state


@pytest.fixture(scope="module")
def corpus(sources, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    build_corpus(folder, [sources], sites=[], stdlib=False)
    return folder


@pytest.fixture(scope="module")
def run(foreign, corpus, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("adapted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapt, "adapted", quick)
        arguments = ["adapt", "--from", str(foreign[0]), "--corpus", str(corpus), "--out", str(out)]
        assert main([*arguments, "--steps", "6", "--evaluate", "0", "--device", "cpu"]) == 0
    return out


@torch.no_grad()
def text_loss(state: Mapping[str, torch.Tensor], config: ModelConfig, ids: list[int]) -> float:
    """Mean causal cross-entropy over text ids alone, the foreign model's vocabulary."""
    network = Transformer(config)
    network.load_state_dict(dict(state))
    row, length = torch.tensor([ids]), len(ids)
    sees = torch.ones(1, length, length, dtype=torch.bool).tril()
    hidden, _ = network(
        row, torch.arange(length)[None], torch.zeros(1, length, dtype=torch.bool), masked(sees)
    )
    logits = network.logits(hidden)[0, :-1, FIRST_TEXT_ID:]
    return torch.nn.functional.cross_entropy(logits, row[0, 1:] - FIRST_TEXT_ID).item()


def drawn(recipe: Recipe, files, tokenizer: Tokenizer, first: int, count: int) -> list[RowBatch]:
    """Batches of two rows of the first phase with noise, drawn once: drawing is dearer than training at this size."""
    (stage, *_) = recipe.stages
    assert isinstance(stage, Pretraining)
    rows = PackedRows(files, tokenizer, recipe, stage)
    return [stack([rows[first + 2 * i, 0.3], rows[first + 2 * i + 1, 0.3]]) for i in range(count)]


@torch.no_grad()
def losses(trainer: Trainer, batches: Sequence[RowBatch]) -> tuple[float, float]:
    """Causal and diffusion loss."""
    table = trainer.network.output_table
    found = [tri_mode_loss(trainer.hidden(b), table, b, trainer.objective, len(GROUPS)) for b in batches]
    return (
        sum(each.causal.item() for each in found) / len(found),
        sum(each.diffusion.item() for each in found) / len(found),
    )


def test_the_first_step_is_the_foreign_model(foreign, config, tokenizer, tmp_path) -> None:
    folder, state = foreign
    start = adapt.begin(folder, tmp_path)
    assert start.recipe.model == replace(config, name=folder.name)
    assert start.recipe.alpha == 0.3
    first = start.recipe.stages[0]
    assert isinstance(first, Pretraining)
    assert first.phase(0.0).copies > 0  # tri-mode from the first step
    assert not start.weights["canvas"].any()
    ids = tokenizer.encode((ROOT / "model" / "config.py").read_text("utf-8"))[:300]
    begun = text_loss(start.weights, start.recipe.model, ids)
    assert begun == pytest.approx(text_loss(state, config, ids), abs=1e-5)


def test_it_learns_to_denoise_and_keeps_its_causal_mode(foreign, files, tokenizer, tmp_path) -> None:
    start = adapt.begin(foreign[0], tmp_path)
    # So narrow a network bears, and in so few steps needs, a higher rate than the recipe's.
    recipe = replace(start.recipe, learning_rate=2e-3)
    trainer = Trainer(recipe, recipe.stages[0], tmp_path / "run", Schedule(80), CPU)
    trainer.start_from(start.weights)
    unseen = drawn(recipe, files, tokenizer, 1000, 4)
    before = losses(trainer, unseen)
    trainer.fit(cycle(drawn(recipe, files, tokenizer, 0, 20)))
    after = losses(trainer, unseen)
    print(f"causal {before[0]:.3f} -> {after[0]:.3f}, diffusion {before[1]:.3f} -> {after[1]:.3f}")
    assert after[0] < before[0] + 0.05
    assert after[1] < before[1] - 0.2  # 80 steps of a tiny network


def test_its_checkpoint_answers(run) -> None:
    text = "def f(a):\n    return a\n"
    for backend in ("onnx", "torch"):
        engine = load_engine(str(run / "checkpoint"), backend)
        answer = engine.propose(Request(Document(text, "python"), Complete(len(text), asked=True)))
        assert answer.status != "declined"
    assert "whose licence holds for it" in (run / "checkpoint" / "README.md").read_text("utf-8")


def test_a_resumed_run_needs_no_foreign_folder(run, corpus, monkeypatch, capsys) -> None:
    monkeypatch.setattr(adapt, "adapted", quick)
    arguments = ["adapt", "--corpus", str(corpus), "--out", str(run), "--evaluate", "0", "--device", "cpu"]
    assert main([*arguments, "--steps", "8"]) == 0
    assert "pretraining: continuing from step 6" in capsys.readouterr().err


def test_a_run_without_a_start_is_refused(corpus, tmp_path, capsys) -> None:
    assert main(["adapt", "--corpus", str(corpus), "--out", str(tmp_path)]) == 2
    assert "--from FOLDER" in capsys.readouterr().err
    assert main(["adapt", "--from", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert "No such file" in capsys.readouterr().err

"""`redraft train` from a corpus to a checkpoint that the engine loads."""

import json
from pathlib import Path

import pytest

from model.editing.source import Span
from model.eval.main import main as evaluate
from model.loading import load_engine
from model.request import Complete, Document, Fix, Request
from model.train.corpus import SourceFile, calibration_and_report
from model.train.gather import build_corpus
from model.train.main import main

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Our own sources: `model` to train on, as held-out project `lsp_server`."""
    folder = tmp_path_factory.mktemp("corpus")
    build_corpus(folder, [ROOT / "model"], sites=[], stdlib=False)
    heldout = tmp_path_factory.mktemp("heldout")
    build_corpus(heldout, [ROOT / "lsp_server"], sites=[], stdlib=False)
    (heldout / "train.jsonl.gz").rename(folder / "heldout.jsonl.gz")
    return folder


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run")
    arguments = ["nano", "--corpus", str(corpus), "--out", str(out), "--steps", "12", "--evaluate", "3"]
    assert main([*arguments, "--device", "cpu", "--json"]) == 0
    return out


def test_it_ends_in_a_checkpoint_that_works(trained):
    """Packaged, exported, calibrated: the engine loads it on both back ends and answers."""
    text = "def f(a):\n    return a\n"
    for backend in ("onnx", "torch"):
        engine = load_engine(str(trained / "checkpoint"), backend)
        for task in (Complete(len(text), asked=True), Fix(Span(6, 6))):
            assert engine.propose(Request(Document(text, "python"), task)).status != "declined"
    card = (trained / "checkpoint" / "README.md").read_text("utf-8")
    assert "## On held-out projects" in card
    assert "ONNX Runtime against PyTorch" in card
    assert str(ROOT) not in card


def test_the_loss_falls(trained):
    entries = [json.loads(line) for line in (trained / "pretraining" / "log.jsonl").read_text().splitlines()]
    assert entries[-1]["loss_causal"] < entries[0]["loss_causal"]
    assert {"tokens_per_second", "mfu", "groups"} <= entries[0].keys()


def test_a_finished_run_is_continued_not_repeated(trained, corpus, capsys):
    arguments = ["nano", "--corpus", str(corpus), "--out", str(trained), "--steps", "14", "--evaluate", "0"]
    assert main([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert "pretraining: continuing from step 11" in captured.err
    facts = json.loads(captured.out.splitlines()[-1])
    assert facts["stages"]["pretraining"]["steps"] == 13
    assert facts["stages"]["trajectories"]["steps"] == 1


def test_another_corpus_is_refused(trained, tmp_path, capsys):
    """The rows would be others; nothing is overwritten."""
    build_corpus(tmp_path / "other", [ROOT / "kernels"], sites=[], stdlib=False)
    state = trained / "pretraining" / "state.pt"
    before = state.read_bytes()
    assert main(["nano", "--corpus", str(tmp_path / "other"), "--out", str(trained), "--steps", "20"]) == 2
    assert "another recipe or corpus" in capsys.readouterr().err
    assert state.read_bytes() == before


def test_a_budget_without_time_to_train_is_refused(corpus, tmp_path, capsys):
    arguments = ["nano", "--corpus", str(corpus), "--out", str(tmp_path), "--budget-seconds", "8"]
    assert main([*arguments, "--evaluate", "100"]) == 2
    assert "no time to train" in capsys.readouterr().err


def test_eval_prints_figures(trained, corpus, capsys):
    folder = str(trained / "checkpoint")
    assert evaluate(["corpus", "--data", str(corpus), "--model", folder, "--limit", "2", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert {"fill", "fix", "intact", "refactor", "needless"} <= set(figures["by kind"])
    assert evaluate(["corpus", "--data", str(corpus), "--model", "/nowhere"]) == 2
    assert "no model at" in capsys.readouterr().err


def test_held_out_files_are_split_by_project():
    files = [SourceFile(name, str(i), "x" * 100 * n) for n, name in enumerate("abcdef", 1) for i in range(3)]
    first, second = calibration_and_report(files)
    assert first
    assert second
    assert not {f.project for f in first} & {f.project for f in second}
    assert sorted(first + second, key=str) == sorted(files, key=str)

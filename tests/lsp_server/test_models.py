"""`redraft models`: what it prints, for people and for programs, and what it refuses in one line."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from lsp_server.cli import main
from model.config import ModelConfig
from model.tokenizer import Tokenizer
from tests.model.families.checkpoints import Case, write
from tests.model.families.conftest import DIFFCODER
from tests.model.families.fake_hub import Hub, serving
from tests.model.families.test_guests import ALL, TEMPLATE


@pytest.fixture(scope="session")
def plain_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from model.train.vocabulary import train_tokenizer

    path = tmp_path_factory.mktemp("text") / "tokenizer.json"
    texts = [Path(__file__).read_text("utf-8")]
    tokenizer: Tokenizer = train_tokenizer(texts, 420)
    tokenizer.save(path)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REDRAFT_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def small(home: Path, plain_tokenizer: Path) -> Path:
    return made(DIFFCODER, plain_tokenizer, home / "small")


def made(case: Case, plain_tokenizer: Path, folder: Path) -> Path:
    folder.mkdir()
    write(case, plain_tokenizer, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["models", *words]) == code
    got = capsys.readouterr()
    return got.out if code == 0 else got.err


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    return json.loads(said(capsys, *words, "--json"))


def test_list_says_what_there_is_and_what_can_be_had(small: Path, capsys) -> None:
    (small.parent / "broken").mkdir()
    (small.parent / "broken" / "config.json").write_text("{")
    (small.parent / "empty").mkdir()
    (small.parent / ".downloads" / "later").mkdir(parents=True)
    shutil.copytree(small, small.parent / "cut")
    (small.parent / "cut" / "model.safetensors").write_bytes(b"1234567890")
    out = said(capsys, "list")
    lines = {line.lstrip("* ").partition(" ")[0]: line for line in out.splitlines()}
    assert lines["embedded"].startswith("* embedded")
    assert "Stable-DiffCoder, blocks of 4, unquantised weights" in lines["small"]
    for name in ("broken", "empty", "cut"):
        assert "cannot be used: " in lines[name]
    assert "Unfinished download: later;" in out
    assert "redraft models list --families" in out
    assert "SDAR: JetLM/SDAR-1.7B-Chat" in said(capsys, "list", "--families")
    found = as_json(capsys, "list")
    assert found["inUse"] == "embedded"
    assert [each["name"] for each in found["models"]] == ["embedded", "broken", "cut", "empty", "small"]
    assert {each["name"]: bool(each["wrong"]) for each in found["models"]}["small"] is False
    assert {"name", "title", "examples"} == found["families"][0].keys()


def test_use_is_remembered_said_and_overridden(small: Path, capsys) -> None:
    assert "small (Stable-DiffCoder) is used from now on" in said(capsys, "use", "small")
    assert "* small" in said(capsys, "list")
    out = said(capsys, "info")
    assert "small is in use: chosen with `redraft models use`" in out
    assert "embedded is not in use" in said(capsys, "info", "embedded")
    assert as_json(capsys, "info", "--model", "embedded")["inUse"] is False
    assert as_json(capsys, "use", "embedded")["inUse"] == "embedded"
    assert "embedded is in use: chosen with" in said(capsys, "info")


def test_use_refuses_what_cannot_be_opened(small: Path, capsys) -> None:
    (small / "config.json").write_text("{")
    assert "small was not chosen: it cannot be used: " in said(capsys, "use", "small", code=1)
    assert "no model at nothing, and none of that name in" in said(capsys, "use", "nothing", code=1)
    assert "* embedded" in said(capsys, "list")


def test_a_chosen_model_that_is_gone_is_said_and_the_embedded_one_used(small: Path, capsys, caplog) -> None:
    said(capsys, "use", "small")
    shutil.rmtree(small)
    out = said(capsys, "list")
    assert "* embedded" in out
    assert "the model 'small', chosen with `redraft models use`, is gone" in out
    with caplog.at_level(logging.WARNING):
        assert "embedded is in use: the chosen one is gone" in said(capsys, "info")
    assert "is gone" in caplog.text


def test_a_choice_that_cannot_be_read_is_said(small: Path, capsys) -> None:
    (small.parent / "default.json").write_text('{"mod')
    assert "default.json cannot be read: the embedded model is used" in said(capsys, "list")


def test_a_named_model_is_found_by_every_subcommand(small: Path, capsys, tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("x = \n")
    assert main(["doctor", "--model", "small", "--device", "cpu"]) == 0
    assert "small (" in capsys.readouterr().out
    assert main(["complete", str(file), "--at", "1:5", "--model", "missing"]) == 1
    assert "no model at missing" in capsys.readouterr().err


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_info_describes_every_family_without_loading_it(
    case: Case, home: Path, plain_tokenizer: Path, capsys, monkeypatch
) -> None:
    made(case, plain_tokenizer, home / "it")
    monkeypatch.setattr("model.loading.load_engine", None)
    facts = as_json(capsys, "info", "--model", "it", "--device", "cpu")
    assert facts["attention"].startswith("full" if case.clean_block == 0 else ("causal", "blocks"))
    assert facts["shifted"] == case.shifted
    assert facts["ids"]["mask"]["name"] in case.specials
    assert facts["memory"]["free"] > 0
    kinds = facts["memory"]["weights"]
    assert kinds["bf16"] > max(
        kinds["int8"], kinds["int4"]
    )  # which of them is less a group's padding decides
    out = said(capsys, "info", "--model", "it", "--device", "cpu")
    for word in (
        "family",
        "attention",
        "mask, end",
        "asked",
        "decodes",
        "memory",
        "free",
        "it is not in use",
    ):
        assert f"\n  {word}" in out


@pytest.mark.parametrize("kind", ["int8", "plain"])
def test_convert_writes_a_model_and_says_what_it_costs(small: Path, capsys, kind: str) -> None:
    out = said(capsys, "convert", "small", "--weights", kind, "--device", "cpu")
    assert f"small-{kind}: {kind} weights" in out
    assert "nats (mean KL divergence), and its best token is the unquantised one's" in out
    if kind == "plain":  # the checkpoint is float32 here, and rounded once
        assert "differ by 0.00" in out
    assert f"small-{kind}" in said(capsys, "list")
    assert f"{kind.replace('plain', 'unquantised')} weights" in said(
        capsys, "info", "--model", f"small-{kind}"
    )
    said(capsys, "use", f"small-{kind}")
    assert "small-" in said(capsys, "info")


def test_convert_refuses_in_one_line(small: Path, capsys, monkeypatch) -> None:
    words = ("convert", "small", "--weights", "int4", "--no-measure")
    assert as_json(capsys, *words)["loss"] is None
    assert "exists already; name another folder with --out" in said(capsys, *words, code=1)
    again = said(capsys, "convert", "small-int4", "--weights", "int8", code=1)
    assert "was converted before, to int4 weights; convert the downloaded model" in again
    own = said(capsys, "convert", "embedded", "--weights", "int8", code=1)
    assert "is Redraft's own model" in own
    assert "no model at" in said(capsys, "convert", "nothing", "--weights", "int8", code=1)


def test_what_does_not_fit_is_converted_and_not_measured(small: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("model.families.load.free_bytes", lambda _: 1000)
    found = as_json(capsys, "convert", "small", "--weights", "int8", "--device", "cpu")
    assert found["loss"] is None
    assert "was not measured: " in found["note"]
    assert "0.0 GiB are free" in found["note"]
    assert found["bytes"] < found["bytesBefore"]


def test_download_says_where_it_is_and_what_next(
    home: Path, plain_tokenizer: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    folder = made(DIFFCODER, plain_tokenizer, tmp_path / "published")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(Hub({"seed/Small": folder})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert main(["models", "download", "seed/Small"]) == 0
        got = capsys.readouterr()
        assert "Small: Stable-DiffCoder, blocks of 4" in got.out
        assert "redraft models use Small" in got.out
        assert "seed/Small at 0123456789ab: Stable-DiffCoder" in got.err
        assert as_json(capsys, "download", "seed/Small", "--name", "two")["name"] == "two"
        assert "there is a model 'two' already" in said(
            capsys, "download", "seed/Small", "--name", "two", code=1
        )
        assert main(["models", "download", "seed/Other", "--json"]) == 1
        assert "there is no repository" in json.loads(capsys.readouterr().out)["error"]


def test_sizes_are_those_of_the_parameters() -> None:
    from model.families.sizes import weight_bytes

    config = ModelConfig(
        "eight", 150_000, 4096, 36, 32, 8, 128, 12288, context=8192, region_limit=1024, tied=False
    )
    sizes = {kind: weight_bytes(config, kind) / config.parameters for kind in ("plain", "int8", "int4")}
    assert sizes["plain"] == 2
    assert 1.1 < sizes["int8"] < 1.2  # tables stay as they are
    assert 0.7 < sizes["int4"] < 0.8

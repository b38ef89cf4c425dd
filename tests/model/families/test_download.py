"""Downloads against a server on this machine: what is fetched and what is not, what is refused, what is resumed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.checkpoint import ModelError
from model.families import hub as hubs
from model.families.download import download
from model.families.examples import EXAMPLES
from model.families.registry import FAMILIES
from model.shelf import kept
from tests.model.families.fake_hub import COMMIT, Hub, serving

REPO = "seed/Stable-Small"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REDRAFT_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def hub(folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A checkpoint in three files, with a program and a pickle beside them."""
    (folder / "modeling.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")
    (folder / "consolidated.safetensors").write_bytes(b"other")
    with serving(Hub({REPO: folder})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(hubs, "_PAUSE", 0.0)
        yield hub


def test_what_is_needed_is_fetched_and_nothing_else(hub: Hub, home: Path, folder: Path) -> None:
    heard: list[tuple[int, int]] = []
    told: list[str] = []
    found = download(REPO, progress=lambda _, done, total: heard.append((done, total)), told=told.append)
    assert found.folder == home / "Stable-Small"
    assert found.family.title == "Stable-DiffCoder"
    names = {path.name for path in found.folder.iterdir()}
    wanted = {p.name for p in folder.glob("model-*.safetensors")}
    assert names == {
        *wanted, "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json",
        "redraft.json",
    }  # fmt: skip
    for name in names - {"redraft.json"}:
        assert (found.folder / name).read_bytes() == (folder / name).read_bytes()
    assert heard[-1][0] == heard[-1][1] == sum((folder / name).stat().st_size for name in wanted)
    assert heard == sorted(heard)
    assert "3 files" in told[0]
    assert json.loads((found.folder / "redraft.json").read_text()) == {"repo": REPO, "revision": COMMIT}
    order = hub.files()
    assert max(order.index(n) for n in names - wanted - {"redraft.json"}) < min(map(order.index, wanted))
    assert kept() == [found.folder]


def test_a_cut_transfer_goes_on_where_it_was_cut(hub: Hub, home: Path, folder: Path) -> None:
    name = "model-00002-of-00003.safetensors"
    hub.cut[name] = 4000
    with pytest.raises(ModelError, match=rf"{name} was cut .*: 4000 of its \d+ bytes are there; call again"):
        download(REPO)
    assert kept() == []
    hub.cut.clear()
    hub.requests.clear()
    found = download(REPO)
    assert [begin for path, begin in hub.requests if path.endswith(name)] == [4000]
    assert not any(path.endswith("model-00001-of-00003.safetensors") for path, _ in hub.requests)
    assert (found.folder / name).read_bytes() == (folder / name).read_bytes()


def test_a_server_without_ranges_begins_anew(hub: Hub, folder: Path) -> None:
    name = "model-00001-of-00003.safetensors"
    hub.cut[name] = 3000
    with pytest.raises(ModelError, match="was cut"):
        download(REPO)
    hub.cut.clear()
    hub.knows_ranges = False
    assert (download(REPO).folder / name).read_bytes() == (folder / name).read_bytes()


def test_a_wrong_hash_is_refused_and_fetched_anew(hub: Hub, home: Path) -> None:
    name = "model-00003-of-00003.safetensors"
    hub.lies.add(name)
    with pytest.raises(
        ModelError, match=rf"{name} came damaged: its SHA-256 is \w+, the hub says \w+; it was deleted"
    ):
        download(REPO)
    assert not list(home.rglob(f"{name}*"))
    hub.lies.clear()
    assert download(REPO).folder.is_dir()


def test_an_unknown_architecture_is_refused_before_its_weights(hub: Hub, folder: Path) -> None:
    change(folder, architectures=["GPT2LMHeadModel"])
    with pytest.raises(
        ModelError, match=r"was not downloaded: .*'GPT2LMHeadModel' is not supported; these are: .*SDAR"
    ):
        download(REPO)
    assert not any(name.endswith(".safetensors") for name in hub.files())


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"architectures": ["DiffusionGemmaForBlockDiffusion"]}, "runs with transformers"),
        ({"architectures": ["LlamaForCausalLM"]}, "autoregressive"),
        ({"quantization_config": {"bits": 4}}, "quantised checkpoints cannot be read"),
    ],
)
def test_what_does_not_run_here_is_refused(hub: Hub, folder: Path, fields: dict, says: str) -> None:
    change(folder, **fields)
    with pytest.raises(ModelError, match=says):
        download(REPO)
    assert not any(name.endswith(".safetensors") for name in hub.files())


def change(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_pickles_are_not_fetched(hub: Hub, folder: Path) -> None:
    for path in (*folder.glob("*.safetensors"), folder / "model.safetensors.index.json"):
        path.unlink()
    with pytest.raises(ModelError, match=r"holds pickled weights only \(pytorch_model.bin\)"):
        download(REPO)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="it has no weights"):
        download(REPO)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"has no config\.json"):
        download(REPO)


def test_an_index_cannot_name_other_files(hub: Hub, folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    for wrong in ("../outside.safetensors", "pytorch_model.bin", "nothing.safetensors"):
        index.write_text(json.dumps({"weight_map": {"a": wrong}}))
        with pytest.raises(ModelError, match="names files that are not there, or no safetensors"):
            download(REPO)


@pytest.mark.parametrize(
    ("repo", "revision", "says"),
    [
        ("seed/nothing", None, "there is no repository seed/nothing"),
        (REPO, "v9", "has no revision 'v9'"),
        ("gated/model", None, "accepts its terms"),
        ("a/b/c", None, "OWNER/NAME"),
    ],
)
def test_what_the_hub_does_not_give_is_said(hub: Hub, repo: str, revision: str | None, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        download(repo, revision)


def test_names_are_taken_once(hub: Hub, home: Path) -> None:
    assert download(REPO, "main", "mine").folder == home / "mine"
    with pytest.raises(ModelError, match=r"there is a model 'mine' already .* --name"):
        download(REPO, None, "mine")
    for name in ("../up", "a/b", ".hidden", "embedded", "c:d"):
        with pytest.raises(ModelError, match="cannot be a folder's name"):
            download(REPO, None, name)


def test_another_revision_begins_anew(hub: Hub, home: Path) -> None:
    hub.cut["model-00001-of-00003.safetensors"] = 100
    with pytest.raises(ModelError, match="was cut"):
        download(REPO)
    [source] = home.rglob("redraft.json")
    source.write_text(json.dumps({"repo": REPO, "revision": "another"}))
    hub.cut.clear()
    hub.requests.clear()
    download(REPO)
    assert {begin for _, begin in hub.requests} == {0}


def test_a_name_of_ones_own_loses_no_hint(folder: Path, hub: Hub, home: Path) -> None:
    """SDAR's block size stands in the name of its repository alone."""
    change(folder, architectures=["SDARForCausalLM"], model_type="sdar")
    hub.repos["JetLM/SDAR-Small-b16"] = folder
    # The tensors lack SDAR's norms, so only the reading of the config is looked at.
    with pytest.raises(ModelError, match="lack"):
        download("JetLM/SDAR-Small-b16", None, "mine")
    from model.families.folder import Folder
    from model.families.foreign import read_fields

    path = home / ".downloads" / "mine"
    assert "sdar-small-b16" in Folder(path, read_fields(path)).hints


def test_a_full_disk_is_said_beforehand(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match=r"takes 0.\d\d MiB more, and 0.00 MiB are free .* \$REDRAFT_MODELS"):
        download(REPO)
    assert not any(name.endswith(".safetensors") for name in hub.files())


def test_without_a_network_it_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"http://127.0.0.1:9 cannot be reached \(.*\); check the network"):
        download(REPO)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        download(REPO)
    assert not (home / ".downloads").exists()


def test_loading_reaches_for_no_network(folder: Path) -> None:
    """Neither the hub's library nor a socket: a downloaded model works offline."""
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('a socket')\n"
        "socket.socket.connect = refuse\n"
        "from model.loading import load_engine\n"
        f"load_engine({str(folder)!r}, device='cpu')\n"
        "print('huggingface_hub' in sys.modules)"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_examples_are_of_families_that_run_here() -> None:
    assert set(EXAMPLES) <= {family.name for family in FAMILIES if not family.extra}
    assert all(repo.count("/") == 1 for repos in EXAMPLES.values() for repo in repos)

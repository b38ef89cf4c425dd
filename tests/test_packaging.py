"""The three packages are ours, imports go one way, and serving on a CPU needs no torch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lsp_server", "model", "kernels")


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_of_this_distribution(package: str) -> None:
    """`kernels` and `model` are names that others use too: what is imported must be ours."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    found = Path(spec.origin).parent
    owned = {
        Path(str(f.locate())).parent
        for f in importlib.metadata.files("redraft") or ()
        if f.name == "__init__.py"
    }
    assert found in owned | {ROOT / package}
    claimed = importlib.metadata.packages_distributions().get(package, [])
    assert set(claimed) <= {"redraft"}


def test_the_three_packages_lie_side_by_side() -> None:
    origins = [importlib.util.find_spec(package).origin for package in PACKAGES]
    assert len({Path(origin).parents[1] for origin in origins}) == 1


def test_the_distribution_has_one_command() -> None:
    scripts = importlib.metadata.entry_points(group="console_scripts")
    ours = [e for e in scripts if e.value.split(".")[0] in PACKAGES]
    assert {(e.name, e.value) for e in ours} == {("redraft", "lsp_server.cli:main")}


def test_the_base_install_does_not_require_torch() -> None:
    required = importlib.metadata.requires("redraft") or []
    base = [r for r in required if "extra ==" not in r]
    assert any(r.startswith("onnxruntime") for r in base)
    assert not any(r.startswith(("torch", "triton", "transformers", "onnx>", "onnx<", "onnx=")) for r in base)


def test_imports_go_one_way() -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which(
        "lint-imports"
    )
    if command is None:
        pytest.skip("import-linter is not installed")
    done = subprocess.run([command, "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("model.engine", {"torch", "onnxruntime", "onnx", "pygls", "triton", "transformers"}),
        ("model.backends.onnx", {"torch", "onnx", "pygls", "triton"}),
        ("model.editing.syntax", {"torch", "numpy", "onnxruntime", "tokenizers", "pygls"}),
        ("lsp_server.cli", {"torch", "numpy", "onnxruntime", "tokenizers"}),
    ],
)
def test_an_import_brings_in_no_more_than_it_needs(module: str, absent: set[str]) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not there yet")
    show = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps(list(sys.modules)))"
    done = run_python(show, module)
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert module.split(".")[0] in loaded
    assert not absent & loaded


def test_the_onnx_back_end_answers_without_torch(tmp_path: Path) -> None:
    """A checkpoint is loaded and asked in a process where importing torch is an error."""
    pytest.importorskip("onnx")
    from safetensors.torch import save_file

    from model.checkpoint import Decoding, write_config
    from model.config import ModelConfig
    from model.export import export_onnx
    from model.quantize import quantize
    from model.train.vocabulary import train_tokenizer
    from model.transformer import Transformer

    tokenizer = train_tokenizer(["def f(x):\n    return x\n"] * 3, 300)
    config = ModelConfig("t", tokenizer.size, 32, 1, 4, 2, 8, 32, context=128, region_limit=48, block=8)
    save_file(quantize(Transformer(config).state_dict()), tmp_path / "model.safetensors")
    export_onnx(config, tmp_path / "model.safetensors", tmp_path / "graph.onnx")
    tokenizer.save(tmp_path / "tokenizer.json")
    write_config(tmp_path, config, Decoding(), {})
    code = """
import sys
sys.modules["torch"] = None  # any import of it raises
sys.modules["onnx"] = None
from model.loading import load_engine
from model.request import Complete, Document, Fix, Request
from model.editing.source import Span
engine = load_engine(sys.argv[1])
text = "def f(x):\\n    return x\\n"
for task in (Complete(14), Fix(Span(14, 14))):
    answer = engine.propose(Request(Document(text, "python"), task))
    print(answer.status, answer.cost.forwards)
"""
    done = run_python(code, str(tmp_path))
    assert done.returncode == 0, done.stderr
    answers = [line.split() for line in done.stdout.splitlines()]
    assert len(answers) == 2
    assert all(status != "declined" and int(forwards) > 0 for status, forwards in answers)


def test_a_workspace_folder_cannot_take_our_names(tmp_path: Path) -> None:
    """With `-I`, a folder `model/` in the working directory is not imported instead of ours."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "__init__.py").write_text("raise SystemExit('hijacked')")
    code = "import sys; sys.path.append(sys.argv[1]); import model; print(model.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(ROOT)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(tmp_path) not in done.stdout

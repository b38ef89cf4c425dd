"""The command line, with the fake engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from lsp_server.cli import FORWARDED, SUBCOMMANDS, main
from model.request import Cost

FAKE = ("--engine", "fake:completion=hello()")
BROKEN = "def f(x)\r\n    return x\r\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.py"
    path.write_bytes(BROKEN.encode())
    return path


def test_a_diff_is_the_default_and_changes_nothing(file, capsys):
    assert main(["fix", str(file), "--at", "2", *FAKE]) == 0
    out, err = capsys.readouterr()
    assert "-def f(x)" in out
    assert "+def f(x):" in out
    assert "forwards" in err
    assert file.read_bytes() == BROKEN.encode()


def test_write_keeps_permissions_and_line_ends(file):
    file.chmod(0o754)
    assert main(["fix", str(file), "--at", "1", "--write", *FAKE]) == 0
    assert file.read_bytes() == BROKEN.replace("f(x)", "f(x):").encode()
    assert file.stat().st_mode & 0o777 == 0o754
    assert os.listdir(file.parent) == ["a.py"]


def test_write_follows_a_link(file):
    link = file.parent / "link.py"
    link.symlink_to(file)
    assert main(["refactor", str(link), "replace x with why", "--write", *FAKE]) == 0
    assert link.is_symlink()
    assert b"why" in file.read_bytes()


def test_a_read_only_file_is_refused(file, capsys):
    file.chmod(0o444)
    assert main(["fix", str(file), "--at", "1", "--write", *FAKE]) == 1
    assert "read-only" in capsys.readouterr().err
    assert file.read_bytes() == BROKEN.encode()


def test_json_is_one_object(file, capsys):
    assert main(["complete", str(file), "--at", "2:5", "--json", *FAKE]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["edits"] == [{"start": [1, 4], "end": [1, 4], "new": "hello()"}]
    assert answer["status"] == "offered"
    assert not answer["written"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fix", "nowhere.py", "--at", "1"], "cannot read nowhere.py"),
        (["fix", "{file}", "--at", "99"], "there is no line 99"),
        (["complete", "{file}", "--at", "1:99"], "no column 99"),
        (["complete", "{file}", "--at", "1:1", "--engine", "", "--model", "."], "is no model"),
        (["fix", "{file}", "--at", "1", "--engine", "gpt"], "There is no engine"),
        (["fix", "{file}", "--at", "1", "--engine", "fake:fail=broken file"], "broken file"),
    ],
)
def test_mistakes_are_said_in_one_line(file, capsys, arguments, says):
    arguments = [a.replace("{file}", str(file)) for a in arguments]
    engine = [] if "--engine" in arguments else FAKE
    assert main([*arguments, *engine]) == 1
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("data", "says"), [(b"\xff\xfe", "not UTF-8"), (b"a\0b", "binary")])
def test_what_is_no_text_is_refused(file, capsys, data, says):
    file.write_bytes(data)
    assert main(["refactor", str(file), "replace a with b", *FAKE]) == 1
    assert says in capsys.readouterr().err


def test_a_declined_instruction_fails_and_says_why(file, capsys):
    assert main(["refactor", str(file), "dance", *FAKE]) == 1
    assert "replace A with B" in capsys.readouterr().err


def test_wrong_places_are_usage_errors(file):
    with pytest.raises(SystemExit) as error:
        main(["complete", str(file), "--at", "0:1", *FAKE])
    assert error.value.code == 2


def test_doctor_and_models(capsys):
    assert main(["doctor", *FAKE]) == 0
    said = capsys.readouterr().out
    assert "Connect your editor" in said
    assert "editor-clients" not in said
    assert main(["doctor", *FAKE]) == 0
    out = capsys.readouterr().out
    for topic in ("Python", "back ends", "device", "grammars", "model", "-I -m lsp_server --stdio"):
        assert topic in out
    assert main(["doctor", "--engine", "fake:fail=truncated"]) == 1
    assert "truncated" in capsys.readouterr().out
    assert main(["models", "info", *FAKE]) == 0
    assert "fake engine" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["fix", "--help"], ["models", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\nfrom lsp_server.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('numpy', 'onnxruntime', 'torch', 'tokenizers') if m in sys.modules])"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        check=True,
    )
    assert done.stdout.rstrip().endswith("[]")


def test_what_an_answer_cost_is_said_in_one_form(tmp_path, capsys):
    """The server's answers and `--json` have the same names."""
    file = tmp_path / "a.py"
    file.write_text("x = \n")
    main(["complete", str(file), "--at", "1:5", "--json", *FAKE])
    said = json.loads(capsys.readouterr().out)
    assert said["cost"].keys() == Cost().as_json().keys()
    assert "tokensPerForward" in said["cost"]


def test_every_subcommand_exists():
    for module, _ in (*SUBCOMMANDS.values(), *FORWARDED.values()):
        assert find_spec(module), module


@pytest.mark.parametrize(
    "arguments",
    [
        ["fix", "a.py", "--at", "0"],
        ["fix", "a.py", "--at", "1", "--threads", "-3"],
        ["doctor", "--threads", "x"],
    ],
)
def test_numbers_count_from_one(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "is not a whole number from" in capsys.readouterr().err


def test_a_program_gets_its_mistake_as_json(capsys):
    assert main(["fix", "nowhere.py", "--at", "1", "--json", *FAKE]) == 1
    assert "cannot read nowhere.py" in json.loads(capsys.readouterr().out)["error"]


def test_reports_for_programs(capsys):
    assert main(["doctor", "--json", *FAKE]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["fine"]
    assert {"Python", "grammars", "model"} <= {each["topic"] for each in report["findings"]}
    assert report["command"][-1] == "--stdio"
    assert main(["models", "info", "--json"]) == 0
    model = json.loads(capsys.readouterr().out)
    assert model["files"]["config.json"] > 0
    assert "Use super() without arguments" in model["refactorings"]


@pytest.mark.parametrize(
    ("policy", "why"),
    [("best", "unknown policy 'best'; valid are"), ("threshold:0.9+dual", "full attention")],
)
def test_a_policy_that_there_is_not_is_refused(file, capsys, policy, why):
    assert main(["complete", str(file), "--at", "2:5", "--policy", policy]) == 1
    assert why in capsys.readouterr().err


def test_a_policy_decodes(file, capsys):
    assert main(["fix", str(file), "--at", "1", "--policy", "autoregressive", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "offered"

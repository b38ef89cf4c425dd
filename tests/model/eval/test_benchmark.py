"""`redraft eval` from end to end: scripted engines whose figures are known, and the embedded model once a task."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from model.choices import MODES, described
from model.editing.edit import Edit, minimal_edits
from model.eval import benchmark, corpus
from model.eval.answers import end_of_function, write_program
from model.eval.main import load, main
from model.eval.problems import read
from model.eval.sandbox import Limits
from model.request import Complete, Cost, Proposal
from model.train.corpus import SourceFile
from tests.library import library_files

ROOT = Path(__file__).parents[3]
CHECK = "def check(candidate):\n    assert candidate(4) == 8\n"
ROW = {"task_id": "Own/0", "test": CHECK, "entry_point": "double"}
INFILL = {
    **ROW,
    "prompt": "def double(n):\n",
    "canonical_solution": "    twice = n + n\n",
    "suffix": "    return twice\n",
}
NEEDLESS = {**INFILL, "task_id": "Own/1", "suffix": "    return n + n\n"}
WRONG = {**INFILL, "task_id": "Own/2", "canonical_solution": "    twice = n\n"}
PROGRAM = {
    **ROW,
    "prompt": 'def double(n):\n    """Twice n."""\n',
    "canonical_solution": "    return n + n\n",
}
REPAIR = {**PROGRAM, "declaration": "def double(n):\n", "buggy_solution": "    return n - n\n"}
EDIT = {
    "full_name": "own_2",
    "before": "class A(dict):\n    def get(self, k):\n        return super(A, self).get(k)\n",
    "after": "class A(dict):\n    def get(self, k):\n        return super().get(k)\n",
    "instruction_lazy": "make it faster", "instruction_descriptive": "Use super() without arguments",
    "tests": "assert A(a=1).get('a') == 1\n",
}  # fmt: skip
DATA = {"infill": [INFILL, NEEDLESS, WRONG], "program": [PROGRAM], "repair": [REPAIR], "edit": [EDIT]}


class Scripted:
    """Writes the given texts at the cursor, one a request; then nothing."""

    def __init__(self, *texts: str, tokens: int = 4) -> None:
        self._texts, self._tokens = list(texts), tokens
        self.asked: list[str] = []
        self.reader = SimpleNamespace(
            decoding=SimpleNamespace(fill_limit=64),
            tokenizer=SimpleNamespace(count=lambda text: len(text.split())),
        )

    def propose(self, request):
        self.asked.append(request.document.text)
        cost = Cost(forwards=2, prefills=1, tokens=self._tokens, milliseconds=10)
        text = self._texts.pop(0) if self._texts else ""
        if not text:
            return Proposal("unchanged", cost=cost)
        return Proposal("offered", (Edit(request.task.cursor, request.task.cursor, text),), cost=cost)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for task, rows in DATA.items():
        (folder / f"{task}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


def test_a_solution_that_fails_its_own_tests_is_reported_not_counted(folder):
    grade = benchmark.grader(Limits())
    usable, failing = benchmark.sound(read(folder / "infill.jsonl", "infill").usable, grade)
    assert [p.name for p in usable] == ["Own/0", "Own/1"]
    assert failing == ["Own/2"]


def test_the_score_of_an_empty_answer_stands_beside_the_score(folder):
    grade = benchmark.grader(Limits())
    usable, _ = benchmark.sound(read(folder / "infill.jsonl", "infill").usable, grade)
    silent = [benchmark.solve(Scripted(), p, grade) for p in usable]
    right = [benchmark.solve(Scripted("twice = n + n"), p, grade) for p in usable]
    figures = {name: benchmark.scores(each) for name, each in (("silent", silent), ("right", right))}
    assert figures["silent"]["pass@1"].value == figures["silent"]["pass@1 of an empty answer"].value == 0.5
    assert figures["right"]["pass@1"].value == figures["right"]["exact match"].value == 1
    assert figures["right"]["pass@1 of an empty answer"].value == 0.5
    assert (figures["silent"]["offered"].value, figures["right"]["offered"].value) == (0, 1)
    assert figures["right"]["tokens per forward"].value == 2
    assert "forwards per edit, mean" not in figures["right"]


def test_equal_programs_run_once(monkeypatch):
    ran = []
    monkeypatch.setattr("model.eval.sandbox.run", lambda program, limits: ran.append(program))
    grade = benchmark.grader(Limits())
    for program in ("a", "b", "a"):
        grade(program)
    assert ran == ["a", "b"]


def test_a_program_is_written_until_its_function_ends(folder):
    (problem,) = read(folder / "program.jsonl", "program").usable
    engine = Scripted("if n:", "return n + n", "pass\nprint(1)", "never asked for")
    found = write_program(engine, problem)
    assert found.text == problem.text + "    if n:\n        return n + n\n    pass\n"
    assert len(engine.asked) == 3
    assert engine.asked[1].endswith("    if n:\n        ")
    assert (found.cost.forwards, found.cost.tokens) == (6, 12)


def test_a_program_that_never_ends_has_a_budget(folder):
    (problem,) = read(folder / "program.jsonl", "program").usable
    engine = Scripted(*["x = 1"] * 100, tokens=60)
    found = write_program(engine, problem)
    assert 512 <= found.cost.tokens < 512 + 60
    assert len(engine.asked) == 9


def test_nothing_added_in_a_block_moves_the_line_out(folder):
    (problem,) = read(folder / "program.jsonl", "program").usable
    engine = Scripted("for i in x:", "use(i)", "", "return n")
    found = write_program(engine, problem)
    assert found.written == "    for i in x:\n        use(i)\n    return n\n"


def test_where_a_function_ends():
    text = "def f():\n"
    assert end_of_function(text + "    x\n    y\n", 9, header=True) is None
    assert end_of_function(text + "    x = [\n]\nprint()\n", 9, header=True) == 9 + len("    x = [\n]\n")
    free = "import os\ndef a():\n    b\n\ndef c():\n    d\nprint(1)\n"
    assert end_of_function(free, 0, header=False) == free.index("print")


def test_every_policy_makes_an_engine_and_a_wrong_one_says_which_there_are():
    loaded = load(None, "onnx", "auto")
    fills = [
        "default",
        "fixed:8",
        "threshold:0.9",
        "factor:1.0",
        "entropy:0.1",
        "token-editing:0.5,0.9",
        "one-token",
    ]
    for policy in [*fills, *MODES]:
        assert policy.partition(":")[0] in described()
        loaded.styled(policy, edits=False)
    for policy in ("default", "threshold:0.9", "token-editing:0.5,0.9", *MODES):
        loaded.styled(policy, edits=True)
    wrong = (
        "",
        "treshold:0.9",
        "threshold",
        "threshold:x",
        "threshold:0.9,1",
        "threshold:2",
        "fixed:0",
        "entropy:-1",
    )
    for policy in wrong:
        with pytest.raises(ValueError, match=r"valid are default, fixed:8|policy .*: "):
            loaded.styled(policy, edits=False)
    with pytest.raises(ValueError, match="does not change existing code"):
        loaded.styled("fixed:8", edits=True)


@pytest.mark.parametrize("task", DATA)
def test_the_embedded_model_on_each_benchmark(folder, task, tmp_path, capsys):
    out, answers = tmp_path / "out.json", tmp_path / "answers.jsonl"
    arguments = [task, "--data", str(folder / f"{task}.jsonl"), "--backend", "onnx"]
    assert main([*arguments, "--json", str(out), "--answers", str(answers)]) == 0
    figures = json.loads(out.read_text())
    assert 0 <= figures["pass@1"] <= 1
    assert figures["failing canonical solutions"] == (["Own/2"] if task == "infill" else [])
    interval = figures["intervals"]["pass@1"]
    assert interval["low"] <= figures["pass@1"] <= interval["high"]
    assert interval["n"] == figures["problems"] == {"infill": 2, "edit": 2}.get(task, 1)
    assert {"pass@1 of an empty answer", "exact match", "offered", "milliseconds, p50"} <= set(figures)
    assert "pass@1" in capsys.readouterr().out
    for line in answers.read_text().splitlines():
        assert json.loads(line)["status"] in ("offered", "unchanged", "rejected", "declined")
    if task == "edit":
        assert figures["by kind"]["CanItEdit lazy"]["declined"] == 1
        assert figures["by kind"]["CanItEdit descriptive"]["exact match"] == 1


def test_held_out_projects(tmp_path, capsys):
    """Each case's own truth is exact, an unchanged text is not, unless nothing was to be done."""
    files = [SourceFile("library", p.name, p.read_text("utf-8")) for p in library_files()]
    drawn = corpus.cases(files, 2, 5, {**corpus.HOLES, **corpus.changes(())})
    assert all(c.request.task.asked for _, c in drawn if isinstance(c.request.task, Complete))

    def propose(request):
        truth = next(c.truth for _, c in drawn if c.request is request)
        edits = minimal_edits(request.document.text, truth)
        if isinstance(request.task, Complete):
            at, grown = request.task.cursor, len(truth) - len(request.document.text)
            edits = (Edit(at, at, truth[at : at + grown]),)
        return Proposal("offered" if edits else "unchanged", tuple(edits), cost=Cost(1, 1, 40, 1.0))

    engine = Scripted()
    engine.propose = propose
    groups = corpus.groups([corpus.solve(engine, task, case) for task, case in drawn])
    assert {"fill", "fill: lines", "fill: node", "fix", "intact", "refactor", "needless"} <= set(groups)
    for results in groups.values():
        figures = benchmark.scores(results)
        assert figures["exact match"].value == figures["edit similarity"].value == 1
        assert "pass@1" not in figures
    assert benchmark.scores(groups["fill"])["tokens per forward, fills of 32 tokens and more"].value == 40
    silent = corpus.groups([corpus.solve(Scripted(), task, case) for task, case in drawn])
    for name, results in silent.items():
        assert benchmark.scores(results)["exact match"].value == (
            name.partition(":")[0] in ("intact", "needless")
        )


def test_a_sweep_draws_a_curve(folder, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    from model.eval import pareto

    monkeypatch.setattr(pareto, "FILLS", {"threshold": ("threshold:0.5",)})
    prefix = tmp_path / "curve"
    arguments = [
        "infill",
        "--data",
        str(folder / "infill.jsonl"),
        "--backend",
        "onnx",
        "--twin",
        str(ROOT / "model/weights"),
    ]
    assert main([*arguments, "--limit", "1", "--pareto", str(prefix)]) == 0
    points = json.loads(Path(f"{prefix}.json").read_text())
    assert [p["policy"] for p in points] == ["threshold:0.5", *MODES, "autoregressive"]
    assert any(p["on_front"] for p in points)
    assert "| threshold:0.5 |" in Path(f"{prefix}.md").read_text()
    assert matplotlib.image.imread(f"{prefix}.png").std() > 0.01


def test_the_command_names_what_is_wrong(folder, tmp_path):
    """As a process: a missing field, a policy that does not exist; then figures on stdout."""

    def redraft(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lsp_server", "eval", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)

    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps(INFILL) + "\n" + json.dumps({"prompt": "x"}) + "\n")
    broken = redraft("infill", "--data", str(bad))
    assert broken.returncode == 2
    assert "bad.jsonl:2 lacks what `infill` needs: suffix" in broken.stderr
    good = redraft(
        "infill", "--data", str(folder / "infill.jsonl"), "--limit", "1", "--policy", "one-token", "--json"
    )
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["policy"] == "one-token"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["infill", "--data", "/nowhere.jsonl"], "No such file"),
        (["infill", "--data", "DATA", "--policy", "best"], "valid are default"),
        (["infill", "--data", "DATA", "--limit", "0"], "at least 1"),
        (["corpus", "--data", "/nowhere"], "build a corpus"),
        (["infill", "--data", "DATA", "--model", "/nowhere"], "no model at"),
    ],
)
def test_wrong_use_is_explained(folder, arguments, said, capsys):
    replaced = [str(folder / "infill.jsonl") if word == "DATA" else word for word in arguments]
    assert main(replaced) == 2
    assert said in capsys.readouterr().err

"""The benchmark measures answers: a request that the model declines is an error, not a fast one."""

import json
from pathlib import Path

import pytest

from model.bench import main, requests
from model.bench.deadlines import DEADLINES, Standing, _standing, measure_deadlines
from model.bench.keystrokes import measure_keystrokes
from model.bench.positions import measure_positions
from model.bench.replay import Question, replay, summary
from model.bench.requests import places
from model.bench.typist import Session, Typist, read_sessions
from model.loading import load_engine
from model.request import Document, Proposal, Refactor, Request


def test_every_request_of_the_benchmark_is_attempted():
    names = [figures.name for figures in requests.measure_requests(None, "onnx", count=4)]
    assert len(names) == 6


def test_a_deadline_decides_how_far_an_answer_has_got():
    figures = measure_deadlines(None, "onnx", count=8)
    whole = [
        p for p in (load_engine().propose(place.request) for place in places(8)) if p.status == "offered"
    ]
    for is_cold in (True, False):
        curve = [f for f in figures if f.is_cold == is_cold]
        assert [f.deadline_ms for f in curve] == list(DEADLINES)
        assert curve[-1].finished == 1
        assert curve[-1].offered == pytest.approx(len(whole) / 8, abs=0.001)
        assert curve[0].answered_ms < curve[-1].answered_ms


def test_every_length_and_place_is_measured():
    figures = measure_positions(None, "onnx", count=2)
    assert len({(f.lines, f.place) for f in figures}) == len(figures) == 9
    assert all(f.requests == 2 and 0 < f.cold_p50_ms <= f.cold_p95_ms for f in figures)


def test_at_a_deadline_stands_what_the_step_that_passes_it_left():
    found = Proposal("stopped"), Proposal("offered"), Proposal("unchanged")
    course = [
        Standing(5.0, 6.0, False, found[0]),
        Standing(12.0, 13.0, False, found[1]),
        Standing(20.0, 21.0, True, found[2]),
    ]
    at = [_standing(course, deadline).proposal for deadline in (1, 5, 6, 15, 20, 30)]
    assert at == [found[0], found[0], found[1], found[2], found[2], found[2]]


def test_a_declined_request_is_no_figure():
    engine = load_engine()
    with pytest.raises(ValueError, match="declined"):
        requests._measure(engine, "x", [Request(Document("", "python"), Refactor("make it faster"))])


def played(session: Session) -> str:
    text = session.text
    for key in session.keys:
        assert 0 <= key.start <= key.end <= len(text)
        text = key.applied(text)
        assert 0 <= key.cursor <= len(text)
        assert key.gap > 0
    return text


def test_sessions_end_in_python():
    """Each writes something that can be read; the keys are a person's: most change one character."""
    sessions = read_sessions()
    assert len(sessions) == 3
    for session in sessions:
        compile(played(session), session.path, "exec")
        assert sum(len(k.new) + k.end - k.start <= 1 for k in session.keys) > 0.8 * len(session.keys)


def test_a_typist_writes_what_it_is_told_whatever_the_editor_adds():
    code = "def f(x):\n    y = g(x, [1, 2])\n    return {y: (x)}\n\n\nz = f(1)"
    for seed in range(20):
        typist = Typist("", seed)
        typist.type(code)
        assert typist.text == code
        assert played(Session("", "a.py", "", tuple(typist.keys))) == code


def test_a_replay_accounts_for_every_change():
    session = read_sessions()[2]
    keys = session.keys[:14]
    questions = replay(session, len(keys))
    assert len(questions) == sum(k.new != "" or k.end > k.start for k in keys)
    assert any(q.asked for q in questions)
    for q in questions:
        assert 0 <= q.computed <= q.asked
        assert q.asked or not q.suggested


def test_a_summary_tells_the_fates_of_requests_apart():
    fates = [Question(None, 0, False, 0, 0), Question(5, 0, True, 0, 0)]
    fates += [
        Question(100, 40, True, 200, 4),
        Question(None, 9, False, 200, 8),
        Question(300, 60, False, 200, 6),
    ]
    found = summary("x", fates)
    assert (found.requests, found.overtaken, found.without_model, found.asked) == (5, 1, 1, 3)
    assert (found.answer_p50_ms, found.work_p50_ms, found.suggestions) == (200, 50, 2)
    assert (found.computed_median, found.computed_per_request) == (6, 3.6)


def test_keystrokes_are_timed_without_a_model():
    found = measure_keystrokes(60)
    assert found.lines == 60
    assert 0 < found.answer_p50_ms <= found.answer_p95_ms


def test_the_command_prints_json_and_draws(capsys, tmp_path: Path):
    picture = tmp_path / "bench.png"
    assert main.main(["requests", "--count", "4", "--json", "--plot", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["requests"]) == 6
    assert found["server"] is None
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        main.main(["tpu"])
    assert "there is no part 'tpu'" in capsys.readouterr().err

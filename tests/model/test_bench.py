"""The benchmark measures answers: a request that the model declines is an error, not a fast one."""

import pytest

from model.bench import requests
from model.engine import load_engine
from model.request import Document, Refactor, Request


def test_every_request_of_the_benchmark_is_attempted():
    names = [figures.name for figures in requests.measure_requests(None, "onnx", count=4)]
    assert len(names) == 6


def test_a_declined_request_is_no_figure():
    engine = load_engine()
    with pytest.raises(ValueError, match="declined"):
        requests._measure(engine, "x", [Request(Document("", "python"), Refactor("make it faster"))])

"""Which shapes are captured, kept and warmed, and what is put in place for a replay. Without a GPU nothing is captured:
the references run at the rounded shape, over inputs at fixed addresses."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from model.backends import graphs
from model.backends.gpu import GpuBackend
from model.backends.graphs import Graphs, Step, captures, eager, packed, rounded
from model.backends.interface import Pass, Shape
from model.likely import of_own
from model.tokenizer import EOS, MASK
from tests.model.test_gpu_backend import CONFIGS, PLAIN, both, conversation, ids, same

SIZE = 9472
CPU = torch.device("cpu")


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[Shape]:
    """The shapes that have been captured: a replay computes again over what the inputs hold."""
    shapes: list[Shape] = []

    def capture(step: Step, *_: Any) -> None:
        shapes.append(step.shape)
        step.idle()
        step._host = torch.empty_like(step._integers)
        step._found = step._compute()
        step._graph = SimpleNamespace(replay=lambda: step._found.copy_(step._compute()))  # type: ignore[assignment]

    monkeypatch.setattr(Step, "capture", capture)
    return shapes


@pytest.mark.parametrize(
    ("needed", "found"),
    [
        (Shape(1, 32, 32, 400), Shape(1, 32, 32, 512)),
        (Shape(1, 3, 1, 513), Shape(1, 8, 8, 1024)),
        (Shape(3, 20, 5, 3000), Shape(4, 32, 32, 4096)),
        (Shape(8, 64, 256, 5000), Shape(8, 64, 256, 8192)),
        (Shape(2, 200, 40, 9000), Shape(2, 256, 64, SIZE)),
        (Shape(1, 512, 1, 512), Shape(1, 512, 32, 512)),
        (Shape(1, 513, 1, 600), None),
        (Shape(8, 65, 8, 600), None),
        (Shape(5, 100, 8, 600), None),
    ],
)
def test_shapes_are_rounded_up(needed: Shape, found: Shape | None) -> None:
    assert rounded(needed, SIZE) == found


def test_few_shapes_serve_all_steps() -> None:
    assert len({rounded(Shape(1, 32, wanted, 700), SIZE) for wanted in range(1, 33)}) == 1
    steps = product((1,), range(1, 65), (1, 8, 20, 32), range(1, SIZE, 100))
    assert len({rounded(Shape(*step), SIZE) for step in steps}) <= 4 * 6


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
def test_no_shape_is_smaller_than_what_is_needed(batch: int) -> None:
    for rows, wanted, keys in product((1, 9, 33, 64), (1, 30, 64), (1, 512, 4097, SIZE)):
        shape = rounded(Shape(batch, rows, min(wanted, batch * rows), keys), SIZE)
        assert shape is not None
        assert shape.batch >= batch
        assert shape.rows >= rows
        assert batch * rows >= min(wanted, batch * rows) <= shape.wanted <= shape.batch * shape.rows
        assert keys <= shape.keys <= SIZE


@pytest.mark.parametrize(
    ("needed", "found"),
    [
        (Shape(1, 513, 1, 600), Shape(1, 576, 32, 1024)),
        (Shape(3, 1000, 40, 5000), Shape(3, 1024, 64, 8192)),
        (Shape(1, 1024, 1, 9000), Shape(1, 1024, 32, SIZE)),
    ],
)
def test_what_no_graph_is_for_is_rounded_too(needed: Shape, found: Shape) -> None:
    assert rounded(needed, SIZE) is None
    assert eager(needed, SIZE) == found


@pytest.mark.parametrize("batch", range(1, 9))
def test_every_part_of_the_integers_begins_at_16_bytes(batch: int, monkeypatch) -> None:
    """As the device sees them, in a forward that graphs are for and in one that they are not for."""
    _, backend = both(replace(PLAIN, context=2048), CPU)
    begins: list[int] = []
    network = backend._network

    def note(rows: Any, *others: Any) -> torch.Tensor:
        begins.extend(tensor.storage_offset() for tensor in vars(rows).values())
        return network(rows, *others)

    note.table_VC, note.head_VC = network.table_VC, network.head_VC  # type: ignore[attr-defined]
    size = backend._pool.size
    for shape in (rounded(Shape(batch, 3, 2, 40), size), eager(Shape(batch, 70, 2, 80), size)):
        assert shape is not None
        step = Step(note, backend._pool, shape)  # type: ignore[arg-type]
        step.idle()
        caches = [backend.new_cache(100) for _ in range(batch)]
        allowed = backend.allow([EOS])
        passes = [Pass(cache, (), [MASK] * 3, [0], allowed) for cache in caches]
        integers = packed(passes, shape, size)
        assert len(integers) == len(step._integers)
        assert integers[-shape.wanted :].tolist()[:batch] == [b * shape.rows for b in range(batch)]
        assert (len(integers) - shape.wanted) % 4 == 0
    assert len(begins) == 16
    assert all(begin % 4 == 0 for begin in begins)


def test_the_graphs_used_longest_ago_are_dropped(captured: list[Shape], monkeypatch) -> None:
    monkeypatch.setattr(graphs, "_KEPT", 3)
    _, backend = both(PLAIN, CPU)
    held = Graphs(backend._network, backend._pool)
    shapes = [Shape(1, 8 << i, 8, 384) for i in range(4)]
    first = held.step(shapes[0])
    for shape in (*shapes[1:3], shapes[0], shapes[3]):
        held.step(shape)
    assert held.shapes == [shapes[2], shapes[0], shapes[3]]
    assert held.step(shapes[0]) is first
    assert captured == shapes, "each was captured once"


def test_graphs_share_a_stream_of_their_device_and_memory(monkeypatch) -> None:
    device, made, given = torch.device("cuda:1"), list[Any](), list[tuple[Any, Any]]()
    handles = iter(range(100))
    monkeypatch.setattr(torch.cuda, "Stream", lambda of: made.append(of) or f"stream of {of}")
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: next(handles))
    monkeypatch.setattr(Step, "capture", lambda self, *place: given.append(place))
    network: Any = SimpleNamespace(table_VC=SimpleNamespace(device=device))
    held = Graphs(network, None)  # type: ignore[arg-type]
    for rows in (8, 16):
        held.step(Shape(1, rows, 8, 512))
    assert made == [device]
    assert given == [("stream of cuda:1", 0)] * 2
    held.clear()
    held.step(Shape(1, 8, 8, 512))
    assert given[-1] == ("stream of cuda:1", 1), "a memory without graphs is not taken again"


@pytest.mark.parametrize("name", ["tri-mode", "blocks of 4", "experts"])
def test_a_rounded_forward_says_the_same(name: str, captured: list[Shape]) -> None:
    config = replace(CONFIGS[name], context=1024)
    plain, fused = both(config, CPU, uses_graphs=True)
    block = max(4, config.clean_block)
    for found, wanted in zip(conversation(fused, block), conversation(plain, block), strict=True):
        same(found, wanted)
    assert captured
    assert all(shape.rows % 8 == 0 and shape.keys == 512 for shape in captured)


def test_a_cache_that_grows_beyond_a_bucket_is_seen_whole(captured: list[Shape]) -> None:
    said = []
    for backend in both(replace(PLAIN, context=2048), CPU, uses_graphs=True):
        cache, allowed = backend.new_cache(1100), backend.allow([EOS])
        for seed in range(2):
            backend.forward([Pass(cache, ids(510, seed), (), (), allowed)])
        said.append(backend.forward([Pass(cache, (), [MASK] * 8, range(8), allowed)]))
    same(said[1], said[0])
    assert [shape.keys for shape in captured] == [512, 1024, 2048]
    assert captured[-1] == Shape(1, 8, 8, 2048)


def test_each_sequence_of_a_replay_has_its_own_bias(captured: list[Shape]) -> None:
    """Also where the one before at that place had another, or there was none."""
    said = []
    for backend in both(PLAIN, CPU, uses_graphs=True):
        caches = [backend.new_cache(40) for _ in range(4)]
        some = [backend.only(range(40 + i, 60 + i)) for i in range(3)]
        orders = ([0, 1, 2], [0, 2, 2, 1], [1, 2, 0], [2, 2, 2])
        for order in orders:
            passes = [
                Pass(cache, (), [MASK] * 8, [0, 5], some[i]) for cache, i in zip(caches, order, strict=False)
            ]
            said.append(backend.forward(passes))
    for wanted, found in zip(said[:4], said[4:], strict=True):
        same(found, wanted)
    assert captured == [Shape(4, 8, 32, 384)]


def test_what_was_warmed_is_not_captured_again(captured: list[Shape]) -> None:
    _, backend = both(replace(PLAIN, context=1024, block=16), CPU, uses_graphs=True)
    heard: list[float] = []
    shapes = of_own(backend.config)
    backend.warm(heard.append, shapes)
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == (0.0, 1.0)
    warmed = list(captured)
    assert warmed == captures(shapes, backend._pool.size)
    cache, allowed = backend.new_cache(100), backend.allow([EOS])
    backend.forward([Pass(cache, ids(16, 1), [MASK] * 16, range(16, 32), allowed)])
    backend.forward([Pass(cache, (), [MASK] * 16, [3, 5], allowed)])
    assert captured == warmed


def test_without_graphs_there_is_nothing_to_warm() -> None:
    _, backend = both(PLAIN, CPU)
    backend.warm(lambda _: pytest.fail("nothing is done"))


def test_many_biases_leave_the_shared_ones_on_the_device() -> None:
    _, backend = both(PLAIN, CPU)
    shared = backend.allow([EOS])
    first = backend._uploaded(shared)
    for i in range(100):
        backend._uploaded(backend.only([30 + i % 60]))
        assert backend._uploaded(shared) is first
    assert len(backend._biases) <= 32
    assert np.shares_memory(first.numpy(), shared)


def test_long_prompts_go_in_few_forwards_on_a_gpu(monkeypatch) -> None:
    plain, fused = both(PLAIN, CPU)
    assert (plain.chunk, fused.chunk) == (256, 256)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "H100")
    network: Any = SimpleNamespace(
        config=PLAIN, table_VC=SimpleNamespace(device=torch.device("cuda:1"), dtype=torch.bfloat16)
    )
    monkeypatch.setattr("model.backends.gpu.Pool", lambda *_: SimpleNamespace(count=16, slot_bytes=1))
    backend = GpuBackend(network)
    assert backend.chunk == 1024
    assert backend.prompt_bytes == 4


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["tri-mode", "blocks of 4", "experts"])
def test_what_a_gpu_replays_says_the_same(name: str, cuda: torch.device) -> None:
    """Captured while loading or now, replayed over other rows, and a prompt that no graph is for."""
    config = replace(CONFIGS[name], context=1024)
    plain, fused = both(config, cuda)
    shapes = [Shape(1, 16, 8, 512), Shape(2, 16, 16, 512)]
    fused.warm(lambda _: None, shapes)
    warmed = captures(shapes, fused._pool.size)
    assert fused._graphs.shapes == warmed
    block = max(4, config.clean_block)
    for _ in range(2):
        for found, wanted in zip(conversation(fused, block), conversation(plain, block), strict=True):
            same(found, wanted)
    held = fused._graphs.shapes
    assert len(held) > len(warmed)
    for rows in (600, 640):
        said = []
        for backend in (plain, fused):
            cache, allowed = backend.new_cache(700), backend.allow([EOS])
            said.append(
                backend.forward([Pass(cache, ids(rows, 1), [MASK] * 4, range(rows, rows + 4), allowed)])
            )
        same(said[1], said[0])
    assert fused._graphs.shapes == held

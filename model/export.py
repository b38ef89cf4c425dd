"""The ONNX graph of a checkpoint: one graph for prefill, denoising and committing; the mask is an input.

Weights stay in `model.safetensors` as int8; the graph's initialisers point into it. How they are multiplied depends on
the network's size (LOG.md has the figures). A small one's products are not bound by memory: its weights are widened to
float32 when the graph is loaded. A larger one's stay int8 for `MatMulNBits`, which quantises activations row by row at
run time: a row's result does not depend on its batch. All else is float32. Of the last layer only keys and values are
computed for every row. Needs `onnx`, which only the extra `train` installs.

Shape names: B batch, T new rows, P past rows, S = P + T, R wanted rows, L layers, G key/value heads, D head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.backends.interface import TOP_K
from model.checkpoint import read_header
from model.config import ModelConfig
from model.quantize import ZERO_POINT
from model.tokenizer import FIRST_TEXT_ID

_DTYPES = {"F32": TensorProto.FLOAT, "U8": TensorProto.UINT8}
_BLOCK = 32
"""Columns that `MatMulNBits` takes together; all of a row's blocks share its scale."""


class _Graph:
    """Nodes and initialisers being collected; a value is the name of a tensor."""

    def __init__(self, weights: Path, is_small: bool) -> None:
        self.is_small = is_small
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self._location = weights.name
        self._begin, self._header = read_header(weights)
        self._count = 0
        self._known: dict[str, str] = {}
        self.wanted_rows = self.op("Unsqueeze", "wanted", self.ints(-1))

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        self._count += 1
        names = [f"{kind}_{self._count}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        array = np.asarray(value, dtype)
        key = f"constant_{array.dtype}_{array.shape}_{array.tobytes().hex()}"
        if key not in self._known:
            self._known[key] = f"constant_{len(self._known)}"
            self.initialisers.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def weight(self, name: str) -> str:
        if name not in self._known:
            info = self._header[name]
            start, end = info["data_offsets"]
            tensor = TensorProto(name=name, data_type=_DTYPES[info["dtype"]], dims=info["shape"])
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (
                ("location", self._location),
                ("offset", str(self._begin + start)),
                ("length", str(end - start)),
            ):
                tensor.external_data.add(key=key, value=value)
            self.initialisers.append(tensor)
            self._known[name] = name
        return name

    def rows(self, weight: str) -> int:
        return int(self._header[weight]["shape"][0])

    def widened(self, weight: str, scale: str) -> str:
        """A matrix of bytes `[out, in]` as float32; all of its inputs are known, so that this is done at loading."""
        wide = self.op(
            "Sub", self.op("Cast", self.weight(weight), to=TensorProto.FLOAT), self.constant(ZERO_POINT)
        )
        return self.op("Mul", wide, self.reshape(self.weight(scale), self.rows(weight), 1))

    def linear(self, x: str, *names: str) -> str:
        """`x @ weight.T` for the weights `name.weight` of bytes `[out, in]` stacked, each row with a scale."""
        pairs = [(f"{name}.weight", f"{name}.scale") for name in names]
        if self.is_small:
            stacked = self.joined([self.widened(*pair) for pair in pairs])
            return self.op("MatMul", x, self.op("Transpose", stacked, perm=[1, 0]))
        return self.int8_product(x, pairs)

    def int8_product(self, x: str, pairs: Sequence[tuple[str, str]]) -> str:
        columns = int(self._header[pairs[0][0]]["shape"][1])
        if columns % _BLOCK:
            raise ValueError(f"{pairs[0][0]} has {columns} columns; the graph needs a multiple of {_BLOCK}")
        blocks, rows = columns // _BLOCK, sum(self.rows(weight) for weight, _ in pairs)
        packed = self.joined([self.weight(weight) for weight, _ in pairs])
        scales = self.joined([self.reshape(self.weight(scale), -1, 1) for _, scale in pairs])
        wide = self.op("Expand", scales, self.ints(rows, blocks))
        return self.op(
            "MatMulNBits",
            x,
            self.reshape(packed, rows, blocks, _BLOCK),
            self.reshape(wide, rows * blocks),
            domain="com.microsoft",
            K=columns,
            N=rows,
            bits=8,
            block_size=_BLOCK,
            accuracy_level=4,
        )

    def joined(self, values: Sequence[str], axis: int = 0) -> str:
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def biased(self, x: str, biases: Sequence[str]) -> str:
        """`x` plus biases of float32, where the checkpoint has them."""
        found = [self.weight(bias) for bias in biases if bias in self._header]
        return self.op("Add", x, self.joined(found)) if found else x

    def norm(self, x: str, eps: float, name: str | None, size: int) -> str:
        weight = self.constant(np.ones(size)) if name is None else self.weight(f"{name}.weight")
        return self.op("RMSNormalization", x, weight, axis=-1, epsilon=eps)

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape; 0 keeps a dimension, -1 is inferred."""
        return self.op("Reshape", x, self.ints(*shape))

    def wanted(self, x_BTX: str) -> str:
        """The wanted rows of `x`, `[B, R, ...]`."""
        return self.op("GatherND", x_BTX, self.wanted_rows, batch_dims=1)


def require_exportable(config: ModelConfig) -> None:
    """Raises ValueError where the graph's int8 products cannot have this network's shape, or the graph its parts."""
    _require_plain(config)
    columns = {"width": config.width, "heads x head size": config.heads * config.head_size, "ff": config.ff}
    if wrong := [f"{name} is {size}" for name, size in columns.items() if size % _BLOCK]:
        raise ValueError(f"int8 inference needs sizes that are multiples of {_BLOCK}: {', '.join(wrong)}")


def _require_plain(config: ModelConfig) -> None:
    """What foreign networks have more, neither the graph nor the back end that lays out its inputs can do."""
    more = {
        "experts": config.experts,
        "partly turned heads": config.rotary_size,
        "stretched positions": config.rope_scaling,
        "clean tokens that are not causal": config.clean_block != 1,
        "shifted rows": config.shifted,
    }
    if found := [name for name, value in more.items() if value]:
        raise ValueError(
            f"the ONNX graph has no {', '.join(found)}; run this network with the PyTorch back end"
        )


def export_onnx(config: ModelConfig, weights: Path, path: Path, widen: bool | None = None) -> None:
    """Write the graph beside `weights` (the same folder: the reference to it is relative). `widen` says whether it
    multiplies in float32; None: where the network is small. Raises ValueError for what only foreign networks have."""
    _require_plain(config)
    g = _Graph(weights, config.is_small if widen is None else widen)
    table = _table(g, "table") if g.is_small else ""
    x = _embed(g, config, table)
    if config.embedding_norm:
        x = g.norm(x, config.norm_eps, None, config.width)
    rotary = _rotary(g, config)
    mask = g.op("Where", "sees", g.constant(0.0), g.constant(-1e9))
    new: list[str] = []
    for i in range(config.layers):
        is_last = i == config.layers - 1
        x, k, v = _layer(g, config, i, x, rotary, mask, is_last)
        new += [g.op("Unsqueeze", each, g.ints(1, 2)) for each in (k, v)]
    layers = [g.op("Concat", new[2 * i], new[2 * i + 1], axis=2) for i in range(config.layers)]
    _name(g, g.joined(layers, axis=1), "new")
    head = table if config.tied or not g.is_small else _table(g, "head")
    _head(g, config, g.norm(x, config.norm_eps, "norm", config.width), head)
    graph = helper.make_graph(g.nodes, config.name, _inputs(config), _outputs(config), g.initialisers)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=11, producer_name="redraft")
    path.write_bytes(model.SerializeToString())


def _inputs(config: ModelConfig) -> list[onnx.ValueInfoProto]:
    make = helper.make_tensor_value_info
    return [
        make("ids", TensorProto.INT64, ["B", "T"]),
        make("positions", TensorProto.INT64, ["B", "T"]),
        make("is_canvas", TensorProto.BOOL, ["B", "T"]),
        make("sees", TensorProto.BOOL, ["B", "T", "S"]),
        make("past", TensorProto.FLOAT, ["B", *_cached(config, "P")]),
        make("wanted", TensorProto.INT64, ["B", "R"]),
        make("allowed", TensorProto.FLOAT, ["B", config.vocab]),
    ]


def _outputs(config: ModelConfig) -> list[onnx.ValueInfoProto]:
    make = helper.make_tensor_value_info
    return [
        make("top_ids", TensorProto.INT64, ["B", "R", TOP_K]),
        make("top_logp", TensorProto.FLOAT, ["B", "R", TOP_K]),
        make("entropy", TensorProto.FLOAT, ["B", "R"]),
        make("new", TensorProto.FLOAT, ["B", *_cached(config, "T")]),
    ]


def _cached(config: ModelConfig, rows: str) -> list[int | str]:
    """The shape of one sequence's keys and values."""
    return [config.layers, 2, config.kv_heads, rows, config.head_size]


def _name(g: _Graph, value: str, name: str) -> None:
    g.nodes.append(helper.make_node("Identity", [value], [name]))


def _table(g: _Graph, name: str) -> str:
    """All rows of an embedding or a head as float32 `[V, C]`, control rows first."""
    return g.joined([g.weight(f"{name}.control"), g.widened(f"{name}.text", f"{name}.text_scale")])


def _embed(g: _Graph, config: ModelConfig, table: str) -> str:
    """A row of the table for each id, plus the canvas embedding on noisy ones."""
    x = g.op("Gather", table, "ids") if table else _embed_int8(g)
    noisy = g.op("Unsqueeze", g.op("Cast", "is_canvas", to=TensorProto.FLOAT), g.ints(-1))
    return g.op("Add", x, g.op("Mul", noisy, g.weight("canvas")))


def _embed_int8(g: _Graph) -> str:
    """Control rows from the float32 table, text rows from the int8 one."""
    first = g.constant(FIRST_TEXT_ID, np.int64)
    is_control = g.op("Unsqueeze", g.op("Less", "ids", first), g.ints(-1))
    last_control = g.constant(FIRST_TEXT_ID - 1, np.int64)
    control = g.op("Gather", g.weight("table.control"), g.op("Min", "ids", last_control))
    index = g.op("Max", g.op("Sub", "ids", first), g.constant(0, np.int64))
    rows = g.op("Cast", g.op("Gather", g.weight("table.text"), index), to=TensorProto.FLOAT)
    rows = g.op("Sub", rows, g.constant(ZERO_POINT))
    scale = g.op("Unsqueeze", g.op("Gather", g.weight("table.text_scale"), index), g.ints(-1))
    return g.op("Where", is_control, control, g.op("Mul", rows, scale))


def _rotary(g: _Graph, config: ModelConfig) -> tuple[str, str]:
    """Cosines and sines `[B, T, D/2]`."""
    steps = np.arange(0, config.head_size, 2, dtype=np.float64) / config.head_size
    position = g.op("Unsqueeze", g.op("Cast", "positions", to=TensorProto.FLOAT), g.ints(-1))
    angles = g.op("Mul", position, g.constant(config.rope_theta**-steps))
    return g.op("Cos", angles), g.op("Sin", angles)


def _heads(g: _Graph, config: ModelConfig, x_BTX: str, heads: int, norm: str | None) -> str:
    """`[B, T, heads x D]` as `[B, heads, T, D]`, normalised where the network does that."""
    x = g.reshape(x_BTX, 0, 0, heads, config.head_size)
    if norm is not None and config.qk_norm:
        x = g.norm(x, config.norm_eps, norm, config.head_size)
    return g.op("Transpose", x, perm=[0, 2, 1, 3])


def _queries_keys_values(
    g: _Graph, config: ModelConfig, name: str, h: str, is_last: bool
) -> tuple[str, str, str]:
    """`[B, T, heads x D]` each; of the last layer only the wanted rows' queries."""
    d, q, kv = config.head_size, f"{name}.q", f"{name}.kv"
    sizes = [config.kv_heads * d] * 2
    if is_last:
        queries = g.biased(g.linear(g.wanted(h), q), [f"{q}.bias"])
        keys, values = g.op(
            "Split", g.biased(g.linear(h, kv), [f"{kv}.bias"]), g.ints(*sizes), outputs=2, axis=-1
        )
        return queries, keys, values
    joined = g.biased(g.linear(h, q, kv), [f"{q}.bias", f"{kv}.bias"])
    queries, keys, values = g.op("Split", joined, g.ints(config.heads * d, *sizes), outputs=3, axis=-1)
    return queries, keys, values


def _layer(
    g: _Graph, config: ModelConfig, i: int, x: str, rotary: tuple[str, str], mask_BTS: str, is_last: bool
) -> tuple[str, str, str]:
    """Rows `[B, T, C]` (of the last layer only the wanted ones), and the keys and values of all."""
    c, name = config, f"layers.{i}"
    h = g.norm(x, c.norm_eps, f"{name}.attention_norm", c.width)
    q, k, v = _queries_keys_values(g, c, name, h, is_last)
    k = g.op("RotaryEmbedding", _heads(g, c, k, c.kv_heads, f"{name}.k_norm"), *rotary)
    v = _heads(g, c, v, c.kv_heads, None)
    if is_last:
        x, mask_BTS, rotary = g.wanted(x), g.wanted(mask_BTS), (g.wanted(rotary[0]), g.wanted(rotary[1]))
    q = g.op("RotaryEmbedding", _heads(g, c, q, c.heads, f"{name}.q_norm"), *rotary)
    past = g.op("Gather", "past", g.constant(i, np.int64), axis=1)
    past_k, past_v = (g.op("Gather", past, g.constant(j, np.int64), axis=1) for j in (0, 1))
    keys, values = g.op("Concat", past_k, k, axis=2), g.op("Concat", past_v, v, axis=2)
    mixed = g.op("Attention", q, keys, values, g.op("Unsqueeze", mask_BTS, g.ints(1)))
    joined = g.reshape(g.op("Transpose", mixed, perm=[0, 2, 1, 3]), 0, 0, c.heads * c.head_size)
    x = g.op("Add", x, g.linear(joined, f"{name}.out"))
    up = g.linear(g.norm(x, c.norm_eps, f"{name}.mlp_norm", c.width), f"{name}.gate_up")
    gate, up = g.op("Split", up, outputs=2, axis=-1, num_outputs=2)
    active = g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)
    return g.op("Add", x, g.linear(active, f"{name}.down")), k, v


def _head(g: _Graph, config: ModelConfig, rows_BRC: str, table: str) -> None:
    if table:
        logits = g.op("MatMul", rows_BRC, g.op("Transpose", table, perm=[1, 0]))
    else:
        name = "table" if config.tied else "head"
        control = g.op("MatMul", rows_BRC, g.op("Transpose", g.weight(f"{name}.control"), perm=[1, 0]))
        text = g.int8_product(rows_BRC, [(f"{name}.text", f"{name}.text_scale")])
        logits = g.op("Concat", control, text, axis=-1)
    logits = g.op("Add", logits, g.op("Unsqueeze", "allowed", g.ints(1)))
    logp = g.op("LogSoftmax", logits, axis=-1)
    values, ids = g.op("TopK", logp, g.ints(TOP_K), outputs=2, axis=-1, largest=1, sorted=1)
    _name(g, values, "top_logp")
    _name(g, ids, "top_ids")
    # A forbidden id's score is finite, so that zero times it is zero.
    total = g.op("ReduceSum", g.op("Mul", g.op("Exp", logp), logp), g.ints(-1), keepdims=0)
    _name(g, g.op("Neg", total), "entropy")

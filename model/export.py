"""The ONNX graph of a checkpoint: one graph for prefill, denoising and committing; the mask is an input.

Weights stay in `model.safetensors`; the graph's initialisers point into it. Int8 matrices are multiplied by
`MatMulNBits`, which quantises activations row by row at run time: a row's result does not depend on its batch.
Norms, rotary positions, softmax, residuals and control-token rows stay float32. Needs `onnx`, which only the extra
`train` installs.

Shape names: B batch, T new rows, P past rows, S = P + T, R wanted rows.
"""

from __future__ import annotations

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

    def __init__(self, weights: Path) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self._location = weights.name
        self._begin, self._header = read_header(weights)
        self._count = 0
        self._known: dict[str, str] = {}

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

    def linear(self, x: str, weight: str, scale: str) -> str:
        """`x @ weight.T` with a weight of bytes `[out, in]` and one scale for each output row."""
        rows, columns = self._header[weight]["shape"]
        if columns % _BLOCK:
            raise ValueError(f"{weight} has {columns} columns; the graph needs a multiple of {_BLOCK}")
        blocks = columns // _BLOCK
        packed = self.reshape(self.weight(weight), rows, blocks, _BLOCK)
        scales = self.op("Expand", self.reshape(self.weight(scale), rows, 1), self.ints(rows, blocks))
        return self.op(
            "MatMulNBits",
            x,
            packed,
            self.reshape(scales, rows * blocks),
            domain="com.microsoft",
            K=columns,
            N=rows,
            bits=8,
            block_size=_BLOCK,
            accuracy_level=4,
        )

    def biased(self, x: str, bias: str) -> str:
        """`x` plus a bias of float32, where the checkpoint has it."""
        return self.op("Add", x, self.weight(bias)) if bias in self._header else x

    def norm(self, x: str, eps: float, name: str | None) -> str:
        mean = self.op("ReduceMean", self.op("Mul", x, x), self.ints(-1), keepdims=1)
        y = self.op("Div", x, self.op("Sqrt", self.op("Add", mean, self.constant(eps))))
        return y if name is None else self.op("Mul", y, self.weight(f"{name}.weight"))

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape; 0 keeps a dimension, -1 is inferred."""
        return self.op("Reshape", x, self.ints(*shape))

    def cut(self, x: str, axis: int, start: int, end: int) -> str:
        return self.op("Slice", x, self.ints(start), self.ints(end), self.ints(axis))


def require_exportable(config: ModelConfig) -> None:
    """Raises ValueError where the graph's int8 products cannot have this network's shape."""
    columns = {"width": config.width, "heads x head size": config.heads * config.head_size, "ff": config.ff}
    if wrong := [f"{name} is {size}" for name, size in columns.items() if size % _BLOCK]:
        raise ValueError(f"int8 inference needs sizes that are multiples of {_BLOCK}: {', '.join(wrong)}")


def export_onnx(config: ModelConfig, weights: Path, path: Path) -> None:
    """Write the graph beside `weights` (the same folder: the reference to it is relative)."""
    g = _Graph(weights)
    x = _embed(g, config)
    if config.embedding_norm:
        x = g.norm(x, config.norm_eps, None)
    rotary = _rotary(g, config)
    hidden_mask = g.op("Where", "sees", g.constant(0.0), g.constant(-1e9))
    mask_B11TS = g.op("Unsqueeze", hidden_mask, g.ints(1, 2))
    new: list[str] = []
    for i in range(config.layers):
        x, kv = _layer(g, config, i, x, rotary, mask_B11TS)
        new.append(g.op("Unsqueeze", kv, g.ints(2)))
    _name(g, g.op("Concat", *new, axis=2), "new")
    _head(g, config, g.norm(x, config.norm_eps, "norm"))
    graph = helper.make_graph(g.nodes, config.name, _inputs(config), _outputs(config), g.initialisers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="redraft")
    path.write_bytes(model.SerializeToString())


def _inputs(config: ModelConfig) -> list[onnx.ValueInfoProto]:
    kv = [config.layers, 2, config.kv_heads, config.head_size]
    make = helper.make_tensor_value_info
    return [
        make("ids", TensorProto.INT64, ["B", "T"]),
        make("positions", TensorProto.INT64, ["B", "T"]),
        make("is_canvas", TensorProto.BOOL, ["B", "T"]),
        make("sees", TensorProto.BOOL, ["B", "T", "S"]),
        make("past", TensorProto.FLOAT, ["B", "P", *kv]),
        make("wanted", TensorProto.INT64, ["B", "R"]),
        make("allowed", TensorProto.FLOAT, ["B", config.vocab]),
    ]


def _outputs(config: ModelConfig) -> list[onnx.ValueInfoProto]:
    make = helper.make_tensor_value_info
    return [
        make("top_ids", TensorProto.INT64, ["B", "R", TOP_K]),
        make("top_logp", TensorProto.FLOAT, ["B", "R", TOP_K]),
        make("entropy", TensorProto.FLOAT, ["B", "R"]),
        make("new", TensorProto.FLOAT, ["B", "T", config.layers, 2, config.kv_heads, config.head_size]),
    ]


def _name(g: _Graph, value: str, name: str) -> None:
    g.nodes.append(helper.make_node("Identity", [value], [name]))


def _embed(g: _Graph, config: ModelConfig) -> str:
    """Control rows from the float32 table, text rows from the int8 one, plus the canvas embedding."""
    first = g.constant(FIRST_TEXT_ID, np.int64)
    is_control = g.op("Unsqueeze", g.op("Less", "ids", first), g.ints(-1))
    control = g.op(
        "Gather", g.weight("table.control"), g.op("Min", "ids", g.constant(FIRST_TEXT_ID - 1, np.int64))
    )
    index = g.op("Max", g.op("Sub", "ids", first), g.constant(0, np.int64))
    rows = g.op("Cast", g.op("Gather", g.weight("table.text"), index), to=TensorProto.FLOAT)
    rows = g.op("Sub", rows, g.constant(ZERO_POINT))
    scale = g.op("Unsqueeze", g.op("Gather", g.weight("table.text_scale"), index), g.ints(-1))
    x = g.op("Where", is_control, control, g.op("Mul", rows, scale))
    noisy = g.op("Unsqueeze", g.op("Cast", "is_canvas", to=TensorProto.FLOAT), g.ints(-1))
    return g.op("Add", x, g.op("Mul", noisy, g.weight("canvas")))


def _rotary(g: _Graph, config: ModelConfig) -> tuple[str, str]:
    """Cosines and sines `[B, T, 1, D/2]`."""
    steps = np.arange(0, config.head_size, 2, dtype=np.float64) / config.head_size
    position = g.op("Unsqueeze", g.op("Cast", "positions", to=TensorProto.FLOAT), g.ints(-1))
    angles = g.op("Unsqueeze", g.op("Mul", position, g.constant(config.rope_theta**-steps)), g.ints(2))
    return g.op("Cos", angles), g.op("Sin", angles)


def _rotate(g: _Graph, x_BTHD: str, rotary: tuple[str, str]) -> str:
    cos, sin = rotary
    a, b = g.op("Split", x_BTHD, outputs=2, axis=-1, num_outputs=2)
    left = g.op("Sub", g.op("Mul", a, cos), g.op("Mul", b, sin))
    right = g.op("Add", g.op("Mul", b, cos), g.op("Mul", a, sin))
    return g.op("Concat", left, right, axis=-1)


def _head_norm(g: _Graph, config: ModelConfig, x_BTHD: str, name: str) -> str:
    return g.norm(x_BTHD, config.norm_eps, name) if config.qk_norm else x_BTHD


def _layer(
    g: _Graph, config: ModelConfig, i: int, x: str, rotary: tuple[str, str], mask_B11TS: str
) -> tuple[str, str]:
    c, d, groups, share = config, config.head_size, config.kv_heads, config.heads // config.kv_heads
    name = f"layers.{i}"
    h = g.norm(x, c.norm_eps, f"{name}.attention_norm")
    q = g.biased(g.linear(h, f"{name}.q.weight", f"{name}.q.scale"), f"{name}.q.bias")
    q = _head_norm(g, c, g.reshape(q, 0, 0, c.heads, d), f"{name}.q_norm")
    q = g.op("Transpose", _rotate(g, q, rotary), perm=[0, 2, 1, 3])
    q = g.reshape(q, 0, groups, -1, d)  # [B, G, (H/G) T, D]
    kv = g.biased(g.linear(h, f"{name}.kv.weight", f"{name}.kv.scale"), f"{name}.kv.bias")
    kv = g.reshape(kv, 0, 0, 2, groups, d)
    k, v = (g.op("Squeeze", g.cut(kv, 2, j, j + 1), g.ints(2)) for j in (0, 1))
    k = _rotate(g, _head_norm(g, c, k, f"{name}.k_norm"), rotary)
    new = g.op("Concat", g.op("Unsqueeze", k, g.ints(2)), g.op("Unsqueeze", v, g.ints(2)), axis=2)
    past = g.op("Squeeze", g.cut("past", 2, i, i + 1), g.ints(2))  # [B, P, 2, G, D]
    rows = g.op("Concat", past, new, axis=1)
    keys, values = (g.op("Squeeze", g.cut(rows, 2, j, j + 1), g.ints(2)) for j in (0, 1))
    scores = g.op("MatMul", q, g.op("Transpose", keys, perm=[0, 2, 3, 1]))
    scores = g.op("Mul", scores, g.constant(d**-0.5))
    shape_BGHTS = g.op(
        "Concat",
        g.ints(0, groups, share),
        g.op("Shape", "sees", start=1, end=3),
        axis=0,
    )
    wide = g.op("Add", g.op("Reshape", scores, shape_BGHTS), mask_B11TS)
    weights = g.op("Reshape", g.op("Softmax", wide, axis=-1), g.op("Shape", scores))
    mixed = g.op("MatMul", weights, g.op("Transpose", values, perm=[0, 2, 1, 3]))
    heads_BHTD = g.op(
        "Reshape",
        mixed,
        g.op("Concat", g.ints(0, c.heads), g.op("Shape", "ids", start=1, end=2), g.ints(d), axis=0),
    )
    joined = g.reshape(g.op("Transpose", heads_BHTD, perm=[0, 2, 1, 3]), 0, 0, c.heads * d)
    x = g.op("Add", x, g.linear(joined, f"{name}.out.weight", f"{name}.out.scale"))
    gate, up = g.op(
        "Split",
        g.linear(
            g.norm(x, c.norm_eps, f"{name}.mlp_norm"), f"{name}.gate_up.weight", f"{name}.gate_up.scale"
        ),
        outputs=2,
        axis=-1,
        num_outputs=2,
    )
    active = g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)
    return g.op("Add", x, g.linear(active, f"{name}.down.weight", f"{name}.down.scale")), new


def _head(g: _Graph, config: ModelConfig, hidden_BTC: str) -> None:
    rows = g.op("GatherND", hidden_BTC, g.op("Unsqueeze", "wanted", g.ints(-1)), batch_dims=1)
    table = "table" if config.tied else "head"
    control = g.op("MatMul", rows, g.op("Transpose", g.weight(f"{table}.control"), perm=[1, 0]))
    text = g.linear(rows, f"{table}.text", f"{table}.text_scale")
    logits = g.op("Concat", control, text, axis=-1)
    logits = g.op("Add", logits, g.op("Unsqueeze", "allowed", g.ints(1)))
    logp = g.op("LogSoftmax", logits, axis=-1)
    values, ids = g.op("TopK", logp, g.ints(TOP_K), outputs=2, axis=-1, largest=1, sorted=1)
    _name(g, values, "top_logp")
    _name(g, ids, "top_ids")
    clipped = g.op("Max", logp, g.constant(-1e4))
    total = g.op("ReduceSum", g.op("Mul", g.op("Exp", logp), clipped), g.ints(-1), keepdims=0)
    _name(g, g.op("Neg", total), "entropy")

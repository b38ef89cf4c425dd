"""Int8 weights: symmetric, one scale for each output row; and back to float.

Linear weights are stored `[out, in]`, the table `[ids, width]` once for both of its uses (an untied head beside it
in the same way), its control rows in float32; bytes are unsigned with zero at 128, as the ONNX graph's `MatMulNBits`
reads them. Norms, biases and the canvas embedding stay float32.
"""

from __future__ import annotations

import torch

from model.config import ModelConfig
from model.tokenizer import FIRST_TEXT_ID
from model.transformer import state_names

ZERO_POINT = 128
LINEARS = ("q", "kv", "out", "gate_up", "down")
_TABLES = {"table.weight": "table", "head.weight": "head"}
"""Matrices with a row for each id: their text rows and control rows are kept apart."""


def quantize(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of an int8 checkpoint from a network's state."""
    result: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        value = value.detach().float().cpu()
        if table := _TABLES.get(name):
            result[f"{table}.control"] = value[:FIRST_TEXT_ID].contiguous()
            rows, scale = quantize_rows(value[FIRST_TEXT_ID:])
            result[f"{table}.text"], result[f"{table}.text_scale"] = _to_unsigned(rows), scale
        elif _is_linear(name):
            rows, scale = quantize_rows(value)
            result[name] = _to_unsigned(rows)
            result[name.replace(".weight", ".scale")] = scale
        else:
            result[name] = value
    return result


def dequantize(tensors: dict[str, torch.Tensor], config: ModelConfig) -> dict[str, torch.Tensor]:
    """A network's float32 state from int8 tensors; raises ValueError naming what is missing or misshapen."""
    state: dict[str, torch.Tensor] = {}
    for name, shape in state_names(config).items():
        try:
            if table := _TABLES.get(name):
                text = _to_signed(tensors[f"{table}.text"]) * tensors[f"{table}.text_scale"][:, None]
                value = torch.cat((tensors[f"{table}.control"], text))
            elif _is_linear(name):
                value = _to_signed(tensors[name]) * tensors[name.replace(".weight", ".scale")][:, None]
            else:
                value = tensors[name]
        except KeyError as error:
            raise ValueError(f"the checkpoint lacks {error}") from error
        if tuple(value.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(value.shape)}, the config says {shape}")
        state[name] = value
    return state


def _to_unsigned(rows: torch.Tensor) -> torch.Tensor:
    """As `MatMulNBits` reads them: `[out, in]`, zero at 128."""
    return (rows.to(torch.int16) + ZERO_POINT).to(torch.uint8)


def _to_signed(rows: torch.Tensor) -> torch.Tensor:
    return rows.float() - ZERO_POINT


def quantize_rows(weight_OI: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`(int8 [O, I], float32 scale [O])`; of several clipping points the one with the least square error."""
    peak = weight_OI.abs().amax(dim=1).clamp(min=1e-12)
    best_scale, best_error = peak / 127, torch.full_like(peak, float("inf"))
    for share in (1.0, 0.95, 0.9, 0.85, 0.8):
        scale = peak * share / 127
        rounded = (weight_OI / scale[:, None]).round().clamp(-127, 127) * scale[:, None]
        error = (rounded - weight_OI).square().sum(dim=1)
        best_scale = torch.where(error < best_error, scale, best_scale)
        best_error = torch.minimum(error, best_error)
    rows = (weight_OI / best_scale[:, None]).round().clamp(-127, 127).to(torch.int8)
    return rows, best_scale


def _is_linear(name: str) -> bool:
    return name.endswith(".weight") and name.split(".")[-2] in LINEARS

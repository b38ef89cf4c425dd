"""The same network as a GGUF file, for llama.cpp. The package `gguf` knows the format's names; no tokenizer goes in.

llama.cpp's `qwen3` is our causal mode with QK-norm, `qwen2` without it; both rotate halves as we do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import gguf

from model.bench.peers.stock import stock_weights
from model.config import ModelConfig
from model.transformer import Transformer

Kind = Literal["f32", "f16", "q8_0"]
_TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}


def write_gguf(network: Transformer, path: Path, kind: Kind) -> None:
    """Write a network's causal mode; matrices in `kind`, norms and biases in float32."""
    config = network.config
    arch = gguf.MODEL_ARCH.QWEN3 if config.qk_norm else gguf.MODEL_ARCH.QWEN2
    matrix, file_type = _TYPES[kind]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    _describe(writer, config)
    writer.add_file_type(file_type)
    names = gguf.get_tensor_name_map(arch, config.layers)
    for theirs, weight in stock_weights(network).items():
        name = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
        assert name is not None, theirs
        dtype = matrix if weight.ndim > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(weight.float().numpy(), dtype), raw_dtype=dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter, config: ModelConfig) -> None:
    writer.add_name(config.name)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ff)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_size)
    writer.add_value_length(config.head_size)
    writer.add_rope_dimension_count(config.head_size)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_vocab_size(config.vocab)
    writer.add_tokenizer_model("no_vocab")

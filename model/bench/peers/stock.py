"""The same network as a stock class of transformers, timed as people use that class.

With QK-norm our causal mode is a Qwen3, without it a Qwen2. What neither has is our normalised embedding: its rows are
normalised once here, and a tied head then becomes one of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F

from model.bench.peers.contender import CACHED, COMPLETED, PREFILLS, ROOM, Contender, Setting, text_ids
from model.config import ModelConfig
from model.transformer import Transformer


def is_tied(config: ModelConfig) -> bool:
    """Whether the stock network's head is its embedding."""
    return config.tied and not config.embedding_norm


def stock_weights(network: Transformer) -> dict[str, torch.Tensor]:
    """The weights of a network's causal mode by Hugging Face's names: all but the canvas embedding."""
    config, table = network.config, network.table.weight
    weights = {"model.embed_tokens.weight": table, "model.norm.weight": network.norm.weight}
    if config.embedding_norm:
        weights["model.embed_tokens.weight"] = F.rms_norm(table, (config.width,), None, config.norm_eps)
    if not is_tied(config):
        weights["lm_head.weight"] = network.output_table
    state = network.state_dict()
    for i in range(config.layers):
        prefix = f"layers.{i}."
        layer = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        weights |= {f"model.{prefix}{name}": value for name, value in _layer(config, layer).items()}
    return {name: value.detach().contiguous() for name, value in weights.items()}


def _layer(config: ModelConfig, ours: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    gate, up = ours["gate_up.weight"].chunk(2)
    layer = {
        "input_layernorm.weight": ours["attention_norm.weight"],
        "post_attention_layernorm.weight": ours["mlp_norm.weight"],
        "self_attn.o_proj.weight": ours["out.weight"],
        "mlp.gate_proj.weight": gate,
        "mlp.up_proj.weight": up,
        "mlp.down_proj.weight": ours["down.weight"],
    }
    for kind in ("weight", "bias") if config.qkv_bias else ("weight",):
        key, value = ours[f"kv.{kind}"].chunk(2)
        named = {"q": ours[f"q.{kind}"], "k": key, "v": value}
        layer |= {f"self_attn.{name}_proj.{kind}": each for name, each in named.items()}
    if config.qk_norm:
        layer |= {f"self_attn.{name}_norm.weight": ours[f"{name}_norm.weight"] for name in "qk"}
    return layer


def stock_network(network: Transformer) -> Any:
    """The stock class with a network's weights; raises ValueError for a network that it cannot be, ImportError without
    transformers."""
    transformers: Any = import_module("transformers")
    c = network.config
    if c.qk_norm == c.qkv_bias:
        raise ValueError("no stock class has both or neither of QK-norm and biases")
    if not c.qk_norm and c.head_size * c.heads != c.width:
        raise ValueError("a Qwen2's heads are as wide as the network")
    family = "Qwen3" if c.qk_norm else "Qwen2"
    config = getattr(transformers, f"{family}Config")(
        vocab_size=c.vocab,
        hidden_size=c.width,
        intermediate_size=c.ff,
        num_hidden_layers=c.layers,
        num_attention_heads=c.heads,
        num_key_value_heads=c.kv_heads,
        rms_norm_eps=c.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
        max_position_embeddings=max(c.context, ROOM),
        tie_word_embeddings=is_tied(c),
        head_dim=c.head_size,
    )
    with torch.device("meta"):
        stock = getattr(transformers, f"{family}ForCausalLM")(config)
    rotary = type(stock.model.rotary_emb)(config)  # its frequencies are no weights
    stock.load_state_dict(stock_weights(network), strict=not is_tied(c), assign=True)
    stock.tie_weights()
    stock.model.rotary_emb = rotary
    return stock.eval().requires_grad_(False)


class Stock(Contender):
    """`generate` of transformers, greedy, with its key-value cache."""

    def __init__(self, network: Transformer, threads: Sequence[int]) -> None:
        self.name, self.settings = "transformers", [Setting(count) for count in threads]
        self._network = stock_network(network)
        self._text = torch.tensor([text_ids(network.config.vocab, ROOM)])
        self._new_cache: Any = import_module("transformers").DynamicCache
        self._cache = self._new_cache()
        self._network.generation_config.eos_token_id = None
        self._network.generation_config.pad_token_id = 0

    def use(self, setting: Setting) -> None:
        torch.set_num_threads(setting.threads)

    @torch.inference_mode()
    def prefill(self, tokens: int) -> None:
        assert tokens in PREFILLS
        self._cache = self._new_cache()
        self._network(self._text[:, :tokens], past_key_values=self._cache, logits_to_keep=1)

    @torch.inference_mode()
    def block(self, rows: int) -> None:
        self._network(self._text[:, CACHED : CACHED + rows], past_key_values=self._cache)
        self._forget()

    @torch.inference_mode()
    def complete(self) -> list[int]:
        prompt = self._text[:, : CACHED + 1]
        answer = self._network.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            past_key_values=self._cache,
            max_new_tokens=COMPLETED,
            do_sample=False,
        )
        self._forget()
        return answer[0, CACHED + 1 :].tolist()

    def _forget(self) -> None:
        self._cache.crop(CACHED - self._cache.get_seq_length())

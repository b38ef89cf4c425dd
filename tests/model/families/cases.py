"""Every family's `config.json`, field by field, and the tensors under its names."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.model.families.checkpoints import LLAMA, Case, llada2_tensors, llada_tensors, llama_tensors

qwen2, qwen3 = partial(llama_tensors, bias=True), partial(llama_tensors, qk_norm=True)
nemotron = partial(llama_tensors, prefix="encoder.", head="diffusion_head.weight")
_QWEN = {
    **LLAMA,
    "rope_theta": 1e6,
    "use_sliding_window": False,
    "sliding_window": None,
    "rope_scaling": None,
}
_MOE = {
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "moe_intermediate_size": 48,
    "norm_topk_prob": True,
    "num_experts": 8,
    "num_experts_per_tok": 3,
}
_YARN = {
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "factor": 16.0,
    "llama_4_scaling_beta": 0.1,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "original_max_position_embeddings": 8,
    "rope_theta": 1e6,
    "rope_type": "yarn",
}
_LLAMA3 = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 64,
    "rope_type": "llama3",
}


def _named(architecture: str, model_type: str, **more: Any) -> dict[str, Any]:
    return {"architectures": [architecture], "model_type": model_type, **more}


STOCK = (
    Case(
        "stable-diffcoder",
        {**LLAMA, **_named("StableDiffcoderForCausalLM", "llama")},
        llama_tensors,
        4,
        "Llama",
    ),
    Case(
        "sdar", {**_QWEN, **_named("SDARForCausalLM", "sdar", head_dim=32, block_size=4)}, qwen3, 4, "Qwen3"
    ),
    Case(
        "sdar-b8",
        {**_QWEN, **_named("SDARForCausalLM", "sdar", head_dim=16, block_size=8)},
        qwen3,
        8,
        "Qwen3",
    ),
    Case(
        "sdar-moe",
        {**_QWEN, **_MOE, **_named("SDARMoeForCausalLM", "sdar_moe", head_dim=32)},
        qwen3,
        4,
        "Qwen3Moe",
    ),
    Case(
        "fast-dllm-v2",
        {
            **_QWEN,
            **_named("Fast_dLLM_QwenForCausalLM", "Fast_dLLM_Qwen", bd_size=8, tie_word_embeddings=True),
        },
        qwen2,
        8,
        "Qwen2",
        shifted=True,
    ),
    Case("dream", {**_QWEN, **_named("DreamModel", "Dream")}, qwen2, 0, "Qwen2", shifted=True),
    Case(
        "dreamon",
        {**_QWEN, **_named("DreamModel", "Dream", expand_token_id=3)},
        qwen2,
        0,
        "Qwen2",
        shifted=True,
    ),
    Case(
        "coda", {**_QWEN, **_named("CoDALanguageModel", "CoDA", head_dim=16)}, qwen3, 0, "Qwen3", shifted=True
    ),
    Case("open-dcoder", {**_QWEN, **_named("Qwen2ForCausalLM", "qwen2")}, qwen2, 0, "Qwen2", shifted=True),
    Case(
        "a2d-qwen3",
        {**_QWEN, **_named("A2DQwen3LMHeadModel", "a2d-qwen3", head_dim=32, tie_word_embeddings=True)},
        qwen3,
        0,
        "Qwen3",
    ),
    Case(
        "a2d-qwen2", {**_QWEN, **_named("A2DQwen2LMHeadModel", "a2d-qwen2", block_size=8)}, qwen2, 8, "Qwen2"
    ),
    Case(
        "a2d-llama",
        {**LLAMA, **_named("A2DLlamaLMHeadModel", "a2d-llama", rope_scaling=_LLAMA3)},
        llama_tensors,
        0,
        "Llama",
    ),
    Case(
        "nemotron-labs-diffusion",
        {
            **LLAMA,
            **_named(
                "NemotronLabsDiffusionModel",
                "nemotron_labs_diffusion",
                head_dim=32,
                block_size=8,
                rope_parameters=_YARN,
            ),
        },
        nemotron,
        1,
        "Ministral3",
    ),
)
LLADA = Case(
    "llada",
    {
        **_named("LLaDAModelLM", "llada"),
        "activation_type": "silu",
        "alibi": False,
        "attention_layer_norm": False,
        "bias_for_layer_norm": False,
        "block_group_size": 1,
        "block_type": "llama",
        "d_model": 64,
        "include_bias": False,
        "include_qkv_bias": False,
        "input_emb_norm": False,
        "layer_norm_type": "rms",
        "max_sequence_length": 1024,
        "mlp_hidden_size": 96,
        "n_heads": 4,
        "n_kv_heads": 4,
        "n_layers": 2,
        "rms_norm_eps": 1e-5,
        "rope": True,
        "rope_theta": 5e5,
        "scale_logits": False,
        "weight_tying": False,
    },
    llada_tensors,
    0,
    vocab_field="embedding_size",
)
LLADA2 = Case(
    "llada2.0",
    {
        **{**LLAMA, "head_dim": 32, "num_hidden_layers": 3},
        **_named("LLaDA2MoeModelLM", "llada2_moe"),
        "first_k_dense_replace": 1,
        "moe_intermediate_size": 48,
        "n_group": 4,
        "norm_topk_prob": True,
        "num_experts": 16,
        "num_experts_per_tok": 3,
        "num_shared_experts": 1,
        "partial_rotary_factor": 0.5,
        "routed_scaling_factor": 2.5,
        "score_function": "sigmoid",
        "topk_group": 2,
        "use_bias": False,
        "use_qk_norm": True,
        "use_qkv_bias": False,
    },
    llada2_tensors,
    32,
)

"""Published checkpoints of each family on the Hugging Face Hub, to begin with: names alone."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "stable-diffcoder": (
        "ByteDance-Seed/Stable-DiffCoder-8B-Instruct",
        "ByteDance-Seed/Stable-DiffCoder-8B-Base",
    ),
    "sdar": ("JetLM/SDAR-1.7B-Chat", "JetLM/SDAR-4B-Chat", "JetLM/SDAR-8B-Chat-b32"),
    "sdar-moe": ("JetLM/SDAR-30B-A3B-Chat",),
    "fast-dllm-v2": ("Efficient-Large-Model/Fast_dLLM_v2_1.5B", "Efficient-Large-Model/Fast_dLLM_v2_7B"),
    "dreamon": ("Dream-org/DreamOn-v0-7B",),
    "dream": ("Dream-org/Dream-Coder-v0-Instruct-7B", "apple/DiffuCoder-7B-Instruct"),
    "coda": ("Salesforce/CoDA-v0-Instruct", "Salesforce/CoDA-v0-Base"),
    "open-dcoder": ("fredzzp/open-dcoder-0.5B",),
    "a2d-qwen3": (
        "dllm-hub/Qwen3-0.6B-diffusion-mdlm-v0.1",
        "dllm-hub/Qwen3-0.6B-diffusion-bd3lm-v0.1",
    ),
    "a2d-qwen2": ("dllm-hub/Qwen2.5-Coder-0.5B-Instruct-diffusion-mdlm-v0.1",),
    "llada": ("GSAI-ML/LLaDA-8B-Instruct", "GSAI-ML/LLaDA-1.5"),
    "llada2.2": ("inclusionAI/LLaDA2.2-mini", "inclusionAI/LLaDA2.2-flash"),
    "llada2.1": ("inclusionAI/LLaDA2.1-mini",),
    "llada2.0": ("inclusionAI/LLaDA2.0-mini",),
    "nemotron-labs-diffusion": (
        "nvidia/Nemotron-Labs-Diffusion-3B",
        "nvidia/Nemotron-Labs-Diffusion-8B",
    ),
}

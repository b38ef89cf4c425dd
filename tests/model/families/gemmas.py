"""A small random DiffusionGemma in a folder, made by `transformers` from its config classes, with a tokenizer of the
real one's kind: SentencePiece's BPE with bytes, some text among the added tokens, a chat template."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import (
    DiffusionGemmaConfig,
    DiffusionGemmaForBlockDiffusion,
    Gemma4VisionConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.diffusion_gemma import DiffusionGemmaTextConfig
from transformers.utils import logging

SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>")
MARK = "<|think|>"
"""Not said to be special, but written by the template."""
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|turn>{{ m.role }}\n{{ m.content | trim }}<turn|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn>model\n{% endif %}{% if false %}<|think|>{% endif %}"
)
CANVAS = 16
STEPS = 3
WORDS = ("de", "def", "re", "ret", "retu", "retur", "return", "ad", "add", "▁▁", "▁▁▁▁")


def fast_tokenizer(template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    letters = [ch for ch in string.printable if ch not in " \t\n\r\x0b\x0c"]
    names = [*SPECIALS, *(f"<0x{i:02X}>" for i in range(256)), *letters, "▁", "\n", *WORDS, "\n\n", MARK]
    merges = [
        ("d", "e"), ("de", "f"), ("r", "e"), ("re", "t"), ("ret", "u"), ("retu", "r"), ("retur", "n"),
        ("a", "d"), ("ad", "d"), ("▁", "▁"), ("▁▁", "▁▁"),
    ]  # fmt: skip
    bpe = Tokenizer(
        models.BPE({name: i for i, name in enumerate(names)}, merges, unk_token="<unk>", byte_fallback=True)
    )
    bpe.normalizer = normalizers.Replace(" ", "▁")
    bpe.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    bpe.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in SPECIALS])
    bpe.add_tokens([AddedToken(name, normalized=False, special=False) for name in ("\n\n", MARK)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>"
    )
    fast.chat_template = template
    return fast


def write_gemma(path: Path, template: str | None = TEMPLATE) -> Path:
    """A folder as the hub has them."""
    logging.disable_progress_bar()
    fast = fast_tokenizer(template)
    text: dict[str, Any] = {
        "vocab_size": len(fast) + 5, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "global_head_dim": 16,
        "max_position_embeddings": 8192, "sliding_window": 64, "num_experts": 2, "top_k_experts": 1,
        "moe_intermediate_size": 16, "layer_types": ["sliding_attention", "full_attention"],
    }  # fmt: skip
    vision = Gemma4VisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1, head_dim=16, position_embedding_size=16,
    )  # fmt: skip
    config = DiffusionGemmaConfig(
        text_config=DiffusionGemmaTextConfig(**text),
        vision_config=vision,
        canvas_length=CANVAS,
        image_token_id=len(fast),
        boi_token_id=len(fast) + 1,
        eoi_token_id=len(fast) + 2,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        network = DiffusionGemmaForBlockDiffusion(config)
        for weight in network.parameters():  # so that logits differ
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.3)
    network.generation_config.max_denoising_steps = STEPS
    network.generation_config.eos_token_id = [1, SPECIALS.index("<turn|>")]
    network.save_pretrained(path)
    fast.save_pretrained(path)
    return path

"""CoDA 1.7B (Salesforce): Qwen3 with full attention, rows still shifted."""

from __future__ import annotations

from model.config import ModelConfig
from model.families.dense import read_dense
from model.families.family import Family
from model.families.folder import Folder


def _read(folder: Folder) -> ModelConfig:
    return read_dense(folder, qk_norm=True, clean_block=0, shifted=True)


CODA = Family(
    name="coda",
    title="CoDA",
    architectures=("CoDALanguageModel",),
    model_types=("CoDA",),
    read=_read,
    masks=("<|mask|>",),
    ends=("<|im_end|>", "<|endoftext|>"),
    # Its time schedule, but the surest first: its own order is random.
    decoding={"policy": "schedule", "steps": 10, "temperature": 0.2},
)

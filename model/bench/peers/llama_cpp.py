"""llama.cpp as a contender, through the C interface that llama-cpp-python loads: tokens in, scores out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from model.bench.peers.contender import CACHED, COMPLETED, ROOM, Contender, Setting, text_ids

FLASH, PLAIN, PLAIN_F32 = "flash attention", "no flash attention", "no flash attention, f32 cache"
"""Which is fastest depends on shape and rows: of heads of 32 it is the plain ones, by half."""


class LlamaCpp(Contender):
    """A GGUF file in llama.cpp, with three ways of attention. Raises ImportError without llama-cpp-python, ValueError
    for a file that cannot be loaded."""

    def __init__(self, name: str, path: Path, vocab: int, threads: Sequence[int]) -> None:
        self.name, self._vocab = name, vocab
        self.settings = [Setting(count, way) for way in (FLASH, PLAIN, PLAIN_F32) for count in threads]
        logging.getLogger("llama-cpp-python").setLevel(logging.CRITICAL)  # it takes warnings for errors
        self._library: Any = import_module("llama_cpp")
        self._text = text_ids(vocab, ROOM)
        self._model = self._library.llama_model_load_from_file(
            str(path).encode(), self._library.llama_model_default_params()
        )
        if not self._model:
            raise ValueError(f"llama.cpp cannot load {path}")
        self._contexts = {way: self._new_context(way) for way in (FLASH, PLAIN, PLAIN_F32)}
        self._batch = self._library.llama_batch_init(CACHED, 0, 1)
        self.use(self.settings[0])

    def _new_context(self, way: str) -> Any:
        parameters = self._library.llama_context_default_params()
        parameters.n_ctx = ROOM
        parameters.n_batch = parameters.n_ubatch = CACHED
        if way != FLASH:
            parameters.flash_attn_type = self._library.LLAMA_FLASH_ATTN_TYPE_DISABLED
        if way == PLAIN_F32:
            parameters.type_k = parameters.type_v = self._library.GGML_TYPE_F32
        if not (context := self._library.llama_init_from_model(self._model, parameters)):
            raise ValueError(f"llama.cpp cannot run {self.name} with {way}")
        return context

    def close(self) -> None:
        self._library.llama_batch_free(self._batch)
        for context in self._contexts.values():
            self._library.llama_free(context)
        self._library.llama_model_free(self._model)

    def use(self, setting: Setting) -> None:
        self._context = self._contexts[setting.other]
        self._memory = self._library.llama_get_memory(self._context)
        self._length = self._library.llama_memory_seq_pos_max(self._memory, 0) + 1
        self._library.llama_set_n_threads(self._context, setting.threads, setting.threads)

    def prefill(self, tokens: int) -> None:
        self._truncate(0)
        self._decode(self._text[:tokens], every_row=False)

    def block(self, rows: int) -> None:
        self._decode(self._text[CACHED : CACHED + rows])
        self._truncate(CACHED)

    def complete(self) -> list[int]:
        token, answer = self._text[CACHED], list[int]()
        for _ in range(COMPLETED):
            token = int(self._decode([token])[0].argmax())
            answer.append(token)
        self._truncate(CACHED)
        return answer

    def scores(self, tokens: Sequence[int]) -> np.ndarray:
        """The logits `[tokens, vocab]` of a text."""
        self._truncate(0)
        return self._decode(tokens).copy()

    def _decode(self, tokens: Sequence[int], every_row: bool = True) -> np.ndarray:
        """Append tokens to the cache; the logits of each, or of the last, in memory that the next call writes again."""
        batch, last = self._batch, len(tokens) - 1
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i] = token, self._length + i
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
            batch.logits[i] = every_row or i == last
        if status := self._library.llama_decode(self._context, batch):
            raise ValueError(f"llama.cpp stopped with status {status}")
        self._length += len(tokens)
        pointer = self._library.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, (len(tokens) if every_row else 1, self._vocab))

    def _truncate(self, length: int) -> None:
        self._library.llama_memory_seq_rm(self._memory, 0, length, -1)
        self._length = length

"""Engines whose network answers what a test says, and how to ask them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.asking import Native
from model.checkpoint import Decoding
from model.config import ModelConfig
from model.editing.edit import apply
from model.editing.region import EditRegion
from model.editing.source import Span
from model.editing.syntax import SyntaxTree
from model.engine import DiffusionEngine, Mode
from model.questions import Question, Reader
from model.request import Document, Proposal, Request, Task
from model.tokenizer import MID, NEW, OLD, REST, Tokenizer

DEFAULTS = Decoding()
Rewrite = Callable[[str], str]
BROKEN = "import os\n\n\ndef total(items)\n    s = 0\n    for i in items:\n        s += i\n    return s\n\n\nx = 1\n"
GOOD = BROKEN.replace("items)\n", "items):\n")
TWO = "def a(x):\n    return x == None\n\n\ndef b(y):\n    return y != 1\n\n\nclass C:\n    z = 3\n"


class Built:
    """Builds engines whose network rewrites a region, or writes a completion, as a test says."""

    def __init__(self, oracle, tokenizer: Tokenizer, config: ModelConfig) -> None:
        self.oracle, self.tokenizer, self.config = oracle, tokenizer, config

    def __call__(
        self,
        rewrite: Rewrite = lambda old: old,
        complete: str | Callable[[str], str] = "",
        mode: Mode = "diffusion",
        decoding: Decoding = DEFAULTS,
        config: ModelConfig | None = None,
        **oracle,
    ) -> DiffusionEngine:
        leads: dict[tuple[int, ...], str] = {}

        def answer(prompt: Sequence[int]) -> list[int]:
            prompt = list(prompt)
            if prompt[-1] == MID:
                rest = self.tokenizer.decode(prompt[prompt.index(REST) + 1 :])
                text = complete(rest) if callable(complete) else complete
                return self.tokenizer.encode(leads.get(tuple(prompt), "") + text)
            assert prompt[-1] == NEW
            return self.tokenizer.encode(rewrite(self.tokenizer.decode(prompt[prompt.index(OLD) + 1 :])))

        backend = self.oracle(config or self.config, answer, **oracle)
        engine = DiffusionEngine(backend, self.tokenizer, decoding, mode)
        engine.reader = Noting(self.tokenizer, backend.config, decoding, Native(self.tokenizer), leads)
        return engine


@dataclass(frozen=True)
class Noting(Reader):
    """Notes what the answer to each prompt has to begin with, which the prompt does not say."""

    leads: dict[tuple[int, ...], str]

    def question(
        self, request: Request, region: EditRegion, tree: SyntaxTree | None = None
    ) -> Question | None:
        found = super().question(request, region, tree)
        if found is not None:
            self.leads[tuple(found.asked.prompt)] = found.lead_text
        return found


def ask(engine: DiffusionEngine, text: str, task: Task, language: str | None = "python") -> Proposal:
    return engine.propose(Request(Document(text, language), task))


def at(text: str, needle: str) -> Span:
    offset = text.index(needle)
    return Span(offset, offset)


def outcome(proposal: Proposal, text: str) -> str:
    assert proposal.status == "offered", proposal
    assert proposal.message == ""
    return apply(proposal.edits, text)

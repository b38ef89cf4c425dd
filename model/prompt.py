"""How a question is written for the network: one place for training and for the engine.

    fill      <doc> (<file> section)* <suf> S <pre> P <rest> r <mid>             canvas: masks
    fix       <doc> (<file> section)* <suf> S <pre> P <diag> message <old> R <new>    canvas: R <eor>
    refactor  <doc> (<file> section)* <suf> S <pre> P <instr> text <old> R <new>      canvas: R <eor>

P is the text before the cursor or region, S what follows from the next line on, r the rest of the cursor's line.
The suffix comes first so that typing changes only the prompt's tail. All parts are token ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.tokenizer import DIAG, DOC, FILE, INSTR, MID, NEW, OLD, PRE, REST, SUF

Ids = Sequence[int]


@dataclass(frozen=True)
class Context:
    """The text around a hole or region, as token ids; `sections` are other files' snippets."""

    prefix: Ids
    suffix: Ids
    sections: tuple[Ids, ...] = ()

    def head(self) -> list[int]:
        ids = [DOC]
        for section in self.sections:
            ids += [FILE, *section]
        return [*ids, SUF, *self.suffix, PRE, *self.prefix]


def fill_prompt(context: Context, rest: Ids) -> list[int]:
    return [*context.head(), REST, *rest, MID]


def fix_prompt(context: Context, region: Ids, message: Ids = ()) -> list[int]:
    return [*context.head(), DIAG, *message, OLD, *region, NEW]


def refactor_prompt(context: Context, region: Ids, instruction: Ids) -> list[int]:
    return [*context.head(), INSTR, *instruction, OLD, *region, NEW]

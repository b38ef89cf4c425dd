"""The manners of suggestions: each can be switched off.

One class is both the setting and the value that travels with a request. Knows nothing of how each is kept
(`model/editing/trim.py`, `style.py`, the engine, the server).
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Manners:
    """What suggestions take care of. The first six shape every suggestion; the last four decide whether one comes
    unasked, and do not bind a request that somebody made.

    `trim_overlap`: what already stands behind the cursor is not written again, nor are the lines above or below.
    `keep_indentation`: it ends before a line that would leave the cursor's block, and its lines are indented by what
    indents the file, tabs or spaces.
    `match_quotes`: strings have the quotes that the file uses.
    `balance_brackets`: it ends before a bracket that closes nothing.
    `stop_repetition`: of a loop the first round is kept.
    `blocks_only`: it has several lines only where a block or a bracket is open.
    `line_ends_only`: it comes only where nothing but a few closers follows on the line.
    `code_only`: it comes in no comment or string, and in no file of prose.
    `confident_only`: it comes only above the checkpoint's calibrated confidence.
    `respect_deletions`: what was just deleted does not come back."""

    trim_overlap: bool = True
    keep_indentation: bool = True
    match_quotes: bool = True
    balance_brackets: bool = True
    stop_repetition: bool = True
    blocks_only: bool = True
    line_ends_only: bool = True
    code_only: bool = True
    confident_only: bool = True
    respect_deletions: bool = True


EVERY = Manners()

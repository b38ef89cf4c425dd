"""What the user has just deleted and where, so that no suggestion brings it back. Values alone; knows no LSP."""

from __future__ import annotations

from dataclasses import dataclass

from model.editing.edit import Edit

_LONGEST = 2_000
"""Characters of a deletion that are kept track of: who deletes more reorganises."""
_FEWEST = 2
"""Characters besides white space that make a decision: one is a slip of the finger."""


@dataclass(frozen=True)
class Deletion:
    """`removed` stood at `start`, and its beginning `typed` has been written there since."""

    start: int
    removed: str
    typed: str = ""

    @property
    def cursor(self) -> int:
        """Where the user is."""
        return self.start + len(self.typed)

    def is_undone_by(self, insert: str, cursor: int) -> bool:
        """Whether `insert` at `cursor` would write again what was deleted: all of it, or a part and nothing else."""
        if cursor != self.cursor or len("".join(self.removed.split())) < _FEWEST:
            return False
        written = (self.typed + insert).rstrip()
        return bool(insert.strip()) and (_begins(written, self.removed) or _begins(self.removed, written))


def _begins(text: str, start: str) -> bool:
    """Whether `text` begins with `start` and a word does not go on behind it."""
    behind = text[len(start) : len(start) + 1]
    return text.startswith(start) and not (_is_word(start[-1:]) and _is_word(behind))


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def deleted(last: Deletion | None, edit: Edit, removed: str) -> Deletion | None:
    """What counts as just deleted after `edit`, which replaced the text `removed`: repeated deletions at one place are
    one, typing its beginning goes on behind it, and any other change ends it."""
    found = None if last is None else _continued(last, edit, removed)
    if found is None and removed:
        found = Deletion(edit.start, removed, edit.new)
    if found is None or len(found.removed) > _LONGEST:
        return None
    is_begun = len(found.typed) < len(found.removed) and found.removed.startswith(found.typed)
    return found if is_begun else None


def _continued(last: Deletion, edit: Edit, removed: str) -> Deletion | None:
    if not removed:
        is_typed = edit.start == last.cursor
        return Deletion(last.start, last.removed, last.typed + edit.new) if is_typed else None
    if edit.new:
        return None
    if edit.end == last.cursor and edit.start >= last.start:  # back over what has been typed since
        return Deletion(last.start, last.removed, last.typed[: edit.start - last.start])
    if not last.typed and edit.end == last.start:  # backspace goes on
        return Deletion(edit.start, removed + last.removed)
    if not last.typed and edit.start == last.start:  # delete goes on
        return Deletion(last.start, last.removed + removed)
    return None

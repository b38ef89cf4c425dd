"""The open documents: immutable snapshots, and the changes between them.

Replaces pygls's own workspace, which splits lines at form feeds and U+2028 and then edits the wrong line. A
`Snapshot` is a value that any thread may keep; `Documents` is touched by the event loop only. Knows LSP
positions, no features and no worker.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from sys import getsizeof
from typing import cast
from urllib.parse import unquote, urlsplit

from lsprotocol import types

from lsp_server.deletions import Deletion, deleted
from model.editing.edit import Edit, apply, changed_part
from model.editing.source import Encoding, LineIndex, Span
from model.editing.syntax import SyntaxTree, language_of, try_parse
from model.request import Document, Snippet

HISTORY = 200  # changes kept per document, for moving late results over them
HISTORY_BYTES = 4_000_000
RECENT = 8  # places remembered as context for other documents
RECENT_LINES = 12  # lines kept around each of them


class UnknownDocumentError(LookupError):
    """A request names a document that the client has not opened."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri} is not open: the client must send textDocument/didOpen first.")


@dataclass(frozen=True)
class Touched:
    """The one range that covers everything changed since a tree was made: `start..old_end` became
    `start..new_end`."""

    start: int
    old_end: int
    new_end: int

    def then(self, edit: Edit) -> Touched:
        """This range, widened by a further edit of the new text."""
        start = min(self.start, edit.start)
        beyond = max(0, edit.end - self.new_end)
        return Touched(start, self.old_end + beyond, self.new_end + beyond + len(edit.new) - len(edit.span))


@dataclass(frozen=True)
class About:
    """What decides whether the model may see a document. `size` is in bytes."""

    path: str
    language_id: str
    size: int
    binary: bool


@dataclass(frozen=True)
class Snapshot:
    """A document at one version. `base` is the newest tree of an earlier text, `touched` what changed
    since; `deletion` is what the user has just deleted, if that was the last thing done."""

    uri: str
    version: int
    text: str
    language_id: str = ""
    encoding: Encoding = "utf-16"
    base: SyntaxTree | None = field(default=None, compare=False, repr=False)
    touched: Touched | None = field(default=None, compare=False, repr=False)
    deletion: Deletion | None = field(default=None, compare=False, repr=False)

    @cached_property
    def lines(self) -> LineIndex:
        return LineIndex(self.text)

    @property
    def path(self) -> str:
        """The path in the URI, for people and for ignore rules; it need not exist. Undecodable bytes show
        as U+FFFD."""
        return path_of(self.uri)

    @property
    def about(self) -> About:
        return About(self.path, self.language_id, self.size, "\0" in self.text)

    @cached_property
    def size(self) -> int:
        """Bytes of the text in UTF-8."""
        return len(self.text) if self.text.isascii() else len(self.text.encode("utf-8", "surrogatepass"))

    @property
    def language(self) -> str | None:
        """The grammar's name, None where there is none."""
        return language_of(self.path, self.language_id)

    @cached_property
    def tree(self) -> SyntaxTree | None:
        """The syntax tree, made at the first use; None without a grammar or for a huge text."""
        if self.base is None:
            return try_parse(self.text, self.language)
        if self.touched is None:
            return self.base
        new = self.text[self.touched.start : self.touched.new_end]
        return self.base.edited([Edit(self.touched.start, self.touched.old_end, new)])

    def changed(self, edit: Edit, version: int) -> Snapshot:
        """The snapshot after one edit. A tree that somebody has asked for is handed on, to be moved when
        needed."""
        tree = cast("SyntaxTree | None", self.__dict__.get("tree"))
        touched = self.touched if tree is None else None
        base = tree or self.base
        if base is not None:
            touched = (touched or Touched(edit.start, edit.start, edit.start)).then(edit)
        text = self.text[: edit.start] + edit.new + self.text[edit.end :]
        deletion = deleted(self.deletion, edit, self.text[edit.start : edit.end])
        later = replace(self, version=version, text=text, base=base, touched=touched, deletion=deletion)
        if "lines" in self.__dict__:
            later.__dict__["lines"] = self.lines.edited(edit.start, edit.end, text)
        return later

    def renumbered(self, version: int) -> Snapshot:
        """The same text as another version; what has been made of it is kept."""
        later = replace(self, version=version)
        later.__dict__.update(
            {name: made for name, made in self.__dict__.items() if name in ("lines", "tree")}
        )
        return later

    @property
    def document(self) -> Document:
        """The engine's view of it."""
        return Document(self.text, self.language, self.path, self.tree)

    def offset(self, position: types.Position) -> int:
        return self.lines.offset(position.line, position.character, self.encoding)

    def span(self, range_: types.Range) -> Span:
        """The span of an LSP range; a reversed range is read the right way round."""
        a, b = self.offset(range_.start), self.offset(range_.end)
        return Span(min(a, b), max(a, b))

    def position(self, offset: int) -> types.Position:
        return types.Position(*self.lines.position(offset, self.encoding))

    def range(self, start: int, end: int) -> types.Range:
        return types.Range(self.position(start), self.position(end))


def path_of(uri: str) -> str:
    """The path part of a URI as text, also of `untitled:` ones."""
    try:
        path = urlsplit(uri).path
    except ValueError:
        path = uri
    path = unquote(path, errors="replace")
    return path[1:] if path[:1] == "/" and path[2:3] == ":" else path  # /c:/x is c:/x


@dataclass(frozen=True)
class Recent:
    """Lines around the last change of a document, and what the whole of it was then."""

    uri: str
    about: About
    text: str


@dataclass
class OpenDocument:
    """The newest snapshot of a document, and how it came from earlier ones: each change with the version it
    belongs to. Changes of one version apply one after the other, each to the text that the last one left."""

    snapshot: Snapshot
    changes: deque[tuple[int, Edit]] = field(default_factory=lambda: deque[tuple[int, Edit]]())
    oldest: int = 0  # changes since any version from here on are known
    kept_bytes: int = 0

    def note(self, version: int, edit: Edit) -> None:
        """Remember a change, and forget the oldest where that is too many or too much."""
        self.changes.append((version, edit))
        self.kept_bytes += getsizeof(edit.new)
        while self.changes and (len(self.changes) > HISTORY or self.kept_bytes > HISTORY_BYTES):
            self.oldest, gone = self.changes.popleft()
            self.kept_bytes -= getsizeof(gone.new)


class Documents:
    """All open documents of one client, by URI, and a short memory of where it has been working."""

    def __init__(self) -> None:
        self._open: dict[str, OpenDocument] = {}
        self._recent: OrderedDict[str, Recent] = OrderedDict()

    def __contains__(self, uri: str) -> bool:
        return uri in self._open

    def open(self, item: types.TextDocumentItem, encoding: Encoding) -> None:
        snapshot = Snapshot(item.uri, item.version, item.text, item.language_id, encoding)
        self._open[item.uri] = OpenDocument(snapshot, oldest=item.version)

    def close(self, uri: str) -> None:
        self._open.pop(uri, None)

    def get(self, uri: str) -> Snapshot:
        """The newest snapshot. Raises UnknownDocumentError."""
        try:
            return self._open[uri].snapshot
        except KeyError:
            raise UnknownDocumentError(uri) from None

    def change(
        self, uri: str, version: int, changes: Sequence[types.TextDocumentContentChangeEvent]
    ) -> Snapshot:
        """Apply a notification's changes in order. Raises UnknownDocumentError."""
        snapshot = self.get(uri)
        document = self._open[uri]
        touched: int | None = None
        for change in changes:
            edit = _read_change(snapshot, change)
            if edit.new or edit.start < edit.end:
                snapshot = snapshot.changed(edit, version)
                document.note(version, edit)
                touched = edit.start
        document.snapshot = snapshot if touched is not None else snapshot.renumbered(version)
        if touched is not None:
            self._remember(document.snapshot, touched)
        return document.snapshot

    def changes_since(self, snapshot: Snapshot) -> tuple[Edit, ...] | None:
        """The edits that led from `snapshot` to now, one after the other; None if that is no longer known
        (the document was closed, or changed too much)."""
        document = self._open.get(snapshot.uri)
        if document is None or snapshot.version < document.oldest:
            return None
        edits = tuple(edit for version, edit in document.changes if version > snapshot.version)
        return edits if _replay(edits, snapshot.text) == document.snapshot.text else None

    def snippets(self, uri: str) -> tuple[Snippet, ...]:
        """Recently edited places in documents other than `uri`, the newest first."""
        return tuple(Snippet(r.about.path, r.text) for r in self.recent() if r.uri != uri)

    def recent(self) -> tuple[Recent, ...]:
        """Recently edited places, the newest first."""
        return tuple(reversed(self._recent.values()))

    def forget(self, uri: str) -> None:
        """Offer a document's text to no other one any more."""
        self._recent.pop(uri, None)

    def _remember(self, snapshot: Snapshot, offset: int) -> None:
        lines = snapshot.lines
        line = lines.line_at(offset)
        first = max(0, line - RECENT_LINES // 2)
        last = min(lines.line_count - 1, line + RECENT_LINES // 2)
        text = snapshot.text[lines.line(first).start : lines.line(last).end]
        self._recent.pop(snapshot.uri, None)
        self._recent[snapshot.uri] = Recent(snapshot.uri, snapshot.about, text)
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)


def _read_change(snapshot: Snapshot, change: types.TextDocumentContentChangeEvent) -> Edit:
    if isinstance(change, types.TextDocumentContentChangePartial):
        span = snapshot.span(change.range)
        return Edit(span.start, span.end, change.text)
    return changed_part(snapshot.text, change.text)


def _replay(edits: Sequence[Edit], text: str) -> str | None:
    for edit in edits:
        if edit.end > len(text):
            return None
        text = apply([edit], text)
    return text

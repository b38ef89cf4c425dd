"""The one argument object of a command, read strictly: what is wrong is said, nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from lsprotocol import types

from lsp_server.documents import Snapshot
from lsp_server.protocol import RequestFailedError
from model.editing.source import Span

KNOWN = frozenset({"uri", "version", "range", "position", "message", "instruction", "cost"})
WATCHED = frozenset({"token", "uri", "version", "task", "policy", "workDoneToken"})
TASKS = {
    "fill": WATCHED | {"ranges"},
    "fix": WATCHED | {"range", "position", "message"},
    "refactor": WATCHED | {"range", "instruction"},
}
"""What each task takes."""
T = TypeVar("T")


@dataclass(frozen=True)
class Arguments:
    """`range` may also be given as a `position`, which is an empty range."""

    uri: str = ""
    version: int | None = None
    range: types.Range | None = None
    message: str = ""
    instruction: str = ""

    @classmethod
    def read(cls, params: types.ExecuteCommandParams) -> Arguments:
        """Raises RequestFailedError that names the command and what is wrong with its argument."""
        given = list(params.arguments or ())
        if len(given) > 1 or (given and not isinstance(given[0], dict)):
            raise RequestFailedError(f"{params.command} takes one object, such as {{'uri': ...}}.")
        raw = cast("dict[str, Any]", given[0]) if given else {}
        return _read(params.command, raw, KNOWN, lambda: cls(*_common(raw)))

    def uri_given(self) -> str:
        if not self.uri:
            raise RequestFailedError("The argument needs a `uri`.")
        return self.uri

    def instruction_given(self) -> str:
        if not self.instruction.strip():
            raise RequestFailedError("The argument needs an `instruction`, such as 'add type annotations'.")
        return self.instruction

    def span(self, snapshot: Snapshot) -> Span:
        if self.range is None:
            raise RequestFailedError("The argument needs a `range` or a `position`.")
        return snapshot.span(self.range)


@dataclass(frozen=True)
class WatchArguments(Arguments):
    """The parameters of `redraft/watch`; `token` is the client's name for the stream."""

    token: str = ""
    task: str = ""
    policy: str = ""
    ranges: tuple[types.Range, ...] = ()
    work_done_token: types.ProgressToken | None = None

    @classmethod
    def of(cls, method: str, params: Any) -> WatchArguments:
        """Raises RequestFailedError that says what is wrong."""
        raw = _plain(params)
        if not isinstance(raw, dict):
            raise RequestFailedError(f"{method} takes an object.")
        fields = cast("dict[str, Any]", raw)
        known = TASKS.get(fields.get("task", ""))
        if known is None:
            raise RequestFailedError(f"{method}: `task` is one of {', '.join(TASKS)}.")
        found = _read(
            f"{method} ({fields['task']})", fields, known, lambda: cls(*_common(fields), *_watched(fields))
        )
        if not found.token:
            raise RequestFailedError(f"{method} needs a `token`, a name for the stream.")
        return found


def _read(name: str, raw: dict[str, Any], known: frozenset[str], make: Callable[[], T]) -> T:
    """What `make` makes of the fields; raises RequestFailedError that names those that are wrong."""
    if unknown := sorted(raw.keys() - known):
        raise RequestFailedError(
            f"{name} does not know {', '.join(unknown)}; known: {', '.join(sorted(known))}."
        )
    try:
        return make()
    except (TypeError, KeyError) as error:
        raise RequestFailedError(f"{name}: {error} is missing or of the wrong type.") from None


def _common(raw: dict[str, Any]) -> tuple[str, int | None, types.Range | None, str, str]:
    return (
        _text(raw, "uri"),
        _number(raw, "version"),
        _range(raw),
        _text(raw, "message"),
        _text(raw, "instruction"),
    )


def _watched(
    raw: dict[str, Any],
) -> tuple[str, str, str, tuple[types.Range, ...], types.ProgressToken | None]:
    given: Any = raw.get("ranges", [])
    if not isinstance(given, list):
        raise TypeError("`ranges`")
    found = [_range({"range": each}) for each in cast("list[Any]", given)]
    if None in found:
        raise TypeError("`ranges`")
    ranges = tuple(each for each in found if each is not None)
    work_done = raw.get("workDoneToken")
    if work_done is not None and (not isinstance(work_done, str | int) or isinstance(work_done, bool)):
        raise TypeError("`workDoneToken`")
    return _text(raw, "token"), _text(raw, "task"), _text(raw, "policy"), ranges, work_done


def _plain(value: Any) -> Any:
    """The JSON of parameters of a method that pygls does not know: it makes named tuples of objects."""
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast("list[Any]", value)]
    return value


def _text(raw: dict[str, Any], key: str) -> str:
    value = raw.get(key, "")
    if not isinstance(value, str):
        raise TypeError(f"`{key}`")
    return value


def _number(raw: dict[str, Any], key: str) -> int | None:
    value = raw.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise TypeError(f"`{key}`")
    return value


def _range(raw: dict[str, Any]) -> types.Range | None:
    if "position" in raw and "range" in raw:
        raise TypeError("`range` beside `position`")
    if "position" in raw:
        at = _position(raw["position"])
        return types.Range(at, at)
    given = raw.get("range")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise TypeError("`range`")
    ends = cast("dict[str, Any]", given)
    return types.Range(_position(ends["start"]), _position(ends["end"]))


def _position(raw: Any) -> types.Position:
    if not isinstance(raw, dict):
        raise TypeError("`position`")
    at = cast("dict[str, Any]", raw)
    line, character = at["line"], at["character"]
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (line, character)):
        raise TypeError("`line` or `character`")
    return types.Position(line, character)

"""A chat template rendered: a program of its own, since a template is one, and came with somebody's weights.

Reads `{"template", "values"}` as JSON from its standard input, writes `{"text"}` or `{"error"}`. What a template finds
is what `transformers` gives it: Jinja's sandbox, `break` and `continue`, `generation` blocks, `tojson`, `strftime_now`,
`raise_exception`. Run by its path, it imports nothing of Redraft. `chat_template.py` runs it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

_NO_JINJA = 69
"""The exit code `chat_template.py` knows: whatever else ends this program is the template's doing."""

try:
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError as error:
    sys.stderr.write(str(error))
    raise SystemExit(_NO_JINJA) from error

LONGEST = 1 << 16
"""Characters of what a template may write around one question."""
_MEMORY = 1 << 30
_SECONDS = 5


class _Generation(Extension):
    """`{% generation %}`: marks what training would learn from. What is in it is written as it is."""

    tags = {"generation"}  # noqa: RUF012  # Jinja's own declaration

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_kept"), [], [], body).set_lineno(line)

    def _kept(self, caller: Callable[[], str]) -> str:
        return caller()


def render(template: str, values: dict[str, Any]) -> str:
    """Raises what the template raises, ValueError where it writes too much."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    parts: list[str] = []
    size = 0
    for part in environment.from_string(template).generate(values):
        parts.append(part)
        size += len(part)
        if size > LONGEST:
            raise ValueError(f"it writes more than {LONGEST} characters around a question")
    return "".join(parts)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own would write `<` and `&` as HTML wants them."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _limit() -> None:
    """Memory and time, where the system knows such limits; `chat_template.py` has a clock of its own."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def main() -> None:
    asked = json.load(sys.stdin)
    _limit()
    try:
        said = {"text": render(asked["template"], asked["values"])}
    except Exception as error:  # the template is anybody's program
        said = {"error": str(error) or type(error).__name__}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()

"""A chat template rendered: a program of its own, since a template is one, and came with somebody's weights.

Reads `{"template", "values"}` as JSON from its standard input, writes `{"text"}` or `{"error"}`. What a template finds
is what `transformers` gives it: Jinja's sandbox, `break` and `continue`, `generation` blocks, `tojson`, `strftime_now`,
`raise_exception`. Run by its path, it imports nothing of Redraft. `chat_template.py` runs it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from functools import wraps
from string import Formatter
from typing import Any

_NO_JINJA = 69
"""The exit code `chat_template.py` knows: whatever else ends this program is the template's doing."""

try:
    from jinja2 import TemplateError, nodes
    from jinja2.compiler import CodeGenerator, Frame
    from jinja2.ext import Extension
    from jinja2.parser import Parser
    from jinja2.runtime import Context
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError as error:
    sys.stderr.write(str(error))
    raise SystemExit(_NO_JINJA) from error

LONGEST = 1 << 16
"""Characters of what a template may write around one question, and of each text it makes on the way."""
_PADDING = frozenset({"center", "expandtabs", "generate_lorem_ipsum", "ljust", "rjust", "to_bytes", "zfill"})
_PADDING_FILTERS = frozenset(
    {"batch", "center", "indent", "round", "slice", "tojson", "truncate", "wordwrap"}
)
"""What makes, of a number, a text or a list of that length."""
_WIDTHS = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+))?")
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


class _Generator(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.short(")
        super().visit_Concat(node, frame)
        self.write(")")


class Sandbox(ImmutableSandboxedEnvironment):
    """Makes no text, list or number that is long, so that little memory is asked for where the system limits none."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    code_generator_class = _Generator

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        self.filters["tojson"] = _to_json
        self.filters |= {
            name: _short_filter(made, name in _PADDING_FILTERS) for name, made in self.filters.items()
        }

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            _check(max(_size(left) * _count(right), _size(right) * _count(left)))
            _check(_bits(left) + _bits(right))
        elif operator == "**":
            _check(_bits(left) * _count(right))
        elif operator == "%" and isinstance(left, str):
            _check_widths(left)
        return self.short(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  # as Jinja's
        if getattr(__obj, "__name__", None) in _PADDING:
            _check(*map(_count, (*args, *kwargs.values())))
        _check_fields(getattr(__obj, "__wrapped__", __obj))
        return __self.short(super().call(__context, __obj, *args, **kwargs))

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """What a macro or a block that is set is put together with."""
        return Sandbox.short("".join(parts))

    @staticmethod
    def short(made: Any) -> Any:
        _check(_size(made))
        return made


def _short_filter(made: Callable[..., Any], pads: bool) -> Callable[..., Any]:
    name = getattr(made, "__name__", "")

    @wraps(made)
    def short(*args: Any, **kwargs: Any) -> Any:
        if pads:
            _check(*map(_count, (*args[1:], *kwargs.values())))
        elif name == "do_format":
            _check_widths(str(args[0]))
        return Sandbox.short(made(*args, **kwargs))

    return short


def _check(*sizes: int) -> None:
    if max(sizes, default=0) > LONGEST:
        raise ValueError(f"it makes something of more than {LONGEST} characters, items or bits")


def _check_widths(form: str) -> None:
    widths = [width for found in _WIDTHS.findall(form) for width in found if width]
    _check(*(LONGEST + 1 if width == "*" else int(width[:20]) for width in widths))


def _check_fields(method: Any) -> None:
    """The widths in a text whose `format` is called; one that is itself filled in could be any."""
    form = getattr(method, "__self__", None)
    if isinstance(form, str) and getattr(method, "__name__", None) in ("format", "format_map"):
        for _, _, spec, _ in Formatter().parse(form):
            _check(*(int(width[:20]) for width in re.findall(r"\d+", spec or "")))
            _check(LONGEST + 1 if "{" in (spec or "") else 0)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple) else 0


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


def render(template: str, values: dict[str, Any]) -> str:
    """Raises what the template raises, ValueError where it writes too much."""
    environment = Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
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

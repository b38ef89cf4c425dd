"""From the worker's thread to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def call_in(loop: asyncio.AbstractEventLoop, function: Callable[[T], object], value: T) -> None:
    """Call `function` on the event loop from the worker's thread; a loop that has ended needs no news."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, value)

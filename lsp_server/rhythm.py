"""How fast the user types, and so how long to wait before suggesting something unasked.

A request for every key would keep the model busy with questions that nobody waits for; a fixed delay is too
long for some and too short for others. Knows no LSP; times are monotonic seconds.
"""

from __future__ import annotations

LEAST, MOST = 0.1, 0.4  # seconds
PAUSE = 1.5  # a longer gap is thinking, not typing
FACTOR = 1.5  # how many usual gaps make a rest
WEIGHT = 0.25  # of the newest gap in the average


class Rhythm:
    """The rhythm of one client's typing, in whatever document."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._gap: float | None = None

    def key(self, now: float) -> None:
        """Something was typed."""
        gap = now - self._last if self._last is not None else PAUSE
        self._last = now
        if gap < PAUSE:
            self._gap = gap if self._gap is None else self._gap + WEIGHT * (gap - self._gap)

    @property
    def delay(self) -> float:
        """How long nothing must have been typed for the user to be at rest."""
        return LEAST if self._gap is None else min(MOST, max(LEAST, FACTOR * self._gap))

    def left(self, now: float, delay: float | None = None) -> float:
        """How much of the delay (by default that of the rhythm) is left to wait."""
        wait = self.delay if delay is None else delay
        return wait if self._last is None else max(0.0, wait - (now - self._last))

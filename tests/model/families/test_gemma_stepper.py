"""Work on a thread of its own, let through stretch by stretch."""

from __future__ import annotations

from typing import Any

from model.gemma.stepper import Stepper


def test_a_stepper_passes_on_every_end() -> None:
    seen: list[str] = []
    stepper = Stepper(lambda pause: (pause(), seen.append("on"), pause()), "redraft-gemma")
    assert [stepper.step() for _ in range(4)] == [True, True, False, False]
    assert seen == ["on"]

    def stubborn(pause: Any) -> None:
        try:
            pause()
        except Exception:
            seen.append("caught")
            pause()

    stepper = Stepper(stubborn, "redraft-gemma")
    assert stepper.step()
    stepper.close()
    assert seen == ["on"]

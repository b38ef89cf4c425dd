"""Decoding policies by name: `threshold:0.9` to a way to decode.

Fills take any policy; changes of existing code have two thresholds and the modes. `POLICIES` is the one table. Behind a
`+` stands what a network with full attention keeps of a block's first step for the later ones: `threshold:0.9+dual`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from model.checkpoint import Decoding
from model.infill import Reuse
from model.policies import (
    Credit,
    Dynamic,
    EntropyBound,
    Factor,
    FixedSteps,
    Hierarchy,
    Policy,
    Scheduled,
    Threshold,
    TokenEditing,
)

Mode = Literal["diffusion", "autoregressive", "speculative", "prompt-lookup"]


@dataclass(frozen=True)
class Kind:
    """How many numbers a policy takes, an example for people, and how it is made."""

    numbers: int
    example: str
    make: Callable[..., Policy]


def _fixed(steps: float) -> Policy:
    if steps < 1 or steps != int(steps):
        raise ValueError("steps are a whole number from 1 on")
    return FixedSteps(int(steps))


def _scheduled(steps: float) -> Policy:
    _fixed(steps)
    return Scheduled(int(steps))


def _share(make: Callable[..., Policy]) -> Callable[..., Policy]:
    def checked(*values: float) -> Policy:
        if not all(0 <= v <= 1 for v in values):
            raise ValueError("probabilities lie between 0 and 1")
        return make(*values)

    return checked


def _positive(make: Callable[..., Policy]) -> Callable[..., Policy]:
    def checked(value: float) -> Policy:
        if value <= 0:
            raise ValueError("the value must be above 0")
        return make(value)

    return checked


POLICIES: dict[str, Kind] = {
    "fixed": Kind(1, "fixed:8", _fixed),
    "threshold": Kind(1, "threshold:0.9", _share(Threshold)),
    "factor": Kind(1, "factor:1.0", _positive(Factor)),
    "entropy": Kind(1, "entropy:0.1", _positive(EntropyBound)),
    "token-editing": Kind(2, "token-editing:0.5,0.9", _share(TokenEditing)),
    "dynamic": Kind(1, "dynamic:0.85", _share(Dynamic)),
    "hierarchy": Kind(2, "hierarchy:0.9,0.4", _share(Hierarchy)),
    "credit": Kind(1, "credit:0.9", _share(Credit)),
    "scheduled": Kind(1, "scheduled:32", _scheduled),
    "one-token": Kind(0, "one-token", lambda: FixedSteps(1 << 30)),
}
MODES: dict[str, Mode] = {mode: mode for mode in get_args(Mode) if mode != "diffusion"}


@dataclass(frozen=True)
class Style:
    """How to decode: the mode, the policy of fills (None: the checkpoint's threshold), thresholds of edits, and which
    keys and values a network with full attention reuses (None: as its family does)."""

    mode: Mode
    fill: Policy | None
    decoding: Decoding
    reuse: Reuse | None = None


def style(policy: str, decoding: Decoding, edits: bool) -> Style:
    """The named policy for fills, or for changes of existing code where `edits`; raises ValueError where there is
    none, naming those that there are. `default` is what the checkpoint's thresholds say."""
    plain, plus, reuse = policy.partition("+")
    if plus:
        if reuse not in get_args(Reuse):
            raise ValueError(f"policy {policy!r}: behind + stands one of {', '.join(get_args(Reuse))}")
        return replace(style(plain, decoding, edits), reuse=reuse)
    name, _, words = policy.partition(":")
    if name in MODES and not words:
        return Style(MODES[name], None, decoding)
    if name == "default" and not words:
        return Style("diffusion", None, decoding)
    values = _numbers(policy, words)
    if edits:
        return Style("diffusion", None, _edit_decoding(decoding, policy, name, values))
    kind = POLICIES.get(name)
    if kind is None:
        raise ValueError(f"unknown policy {policy!r}; {described()}")
    if len(values) != kind.numbers:
        raise ValueError(f"policy {policy!r}: {name} is written as in {kind.example}")
    return Style("diffusion", _made(policy, lambda: kind.make(*values)), decoding)


def described() -> str:
    """The valid policies, for people."""
    return (
        "valid are default, "
        + ", ".join([*(kind.example for kind in POLICIES.values()), *MODES])
        + ("; with full attention also with +none, +prefix or +dual behind it")
    )


def _numbers(policy: str, words: str) -> list[float]:
    try:
        return [float(word) for word in words.split(",")] if words else []
    except ValueError as error:
        raise ValueError(f"policy {policy!r} has something other than numbers; {described()}") from error


def _made(policy: str, make: Callable[[], Policy]) -> Policy:
    try:
        return make()
    except ValueError as error:
        raise ValueError(f"policy {policy!r}: {error}") from error


def _edit_decoding(decoding: Decoding, policy: str, name: str, values: list[float]) -> Decoding:
    """For changes of code: `threshold:T` (labels), `token-editing:M,T` (masks and labels)."""
    if (name, len(values)) not in (("threshold", 1), ("token-editing", 2)):
        valid = ", ".join(["default", "threshold:0.9", "token-editing:0.5,0.9", *MODES])
        raise ValueError(f"policy {policy!r} does not change existing code; valid for that are {valid}")
    if not all(0 <= v <= 1 for v in values):
        raise ValueError(f"policy {policy!r}: probabilities lie between 0 and 1")
    tau = values[-1]
    known = tuple(replace(each, tau=tau) for each in decoding.instructions)
    decoding = replace(decoding, tau_edit=tau, tau_refactor=tau, instructions=known)
    return decoding if name == "threshold" else replace(decoding, tau_edit_mask=values[0])

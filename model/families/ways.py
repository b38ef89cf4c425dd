"""How other people's checkpoints decode: which loop, by which policy, with the published defaults.

All decide by the best ids: the published temperatures are not used, since an editor's suggestion must not change from
one request to the next. Knows decoders and policies, no weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from model.backends.interface import Shape
from model.blockwise import Grid, blockwise
from model.cache import KVCache
from model.causal import speculate
from model.config import ModelConfig
from model.decoders import Decoder, Job, fill
from model.indel import Joint, by_insertion_and_deletion
from model.infill import Reuse, Whole, expanding, in_place, of_unknown_length
from model.likely import of_blocks, of_drafts, of_texts
from model.policies import Dynamic, FixedSteps, Policy, Scheduled, Threshold, TokenEditing
from model.sampler import Start

_ALL = 1 << 20
"""A block that no canvas fills."""
Values = Mapping[str, float | str]
"""Published defaults by name (`Family.decoding`)."""


@dataclass(frozen=True)
class Way:
    """`start` decodes as published; `by` decodes by another policy, where a family's loop takes one; `reusing` is the
    same way with another of Fast-dLLM's caches, where there is full attention. `shapes` are those of the forwards that
    it will need, the likeliest first."""

    start: Start
    by: Callable[[Policy], Start] | None = None
    reusing: Callable[[Reuse], Way] | None = None
    shapes: tuple[Shape, ...] = ()


def way_of(config: ModelConfig, values: Values, marks: Mapping[str, int]) -> Way:
    """Of a network with those ways to see, defaults, and ids with a meaning of their own."""
    if "expand" in marks:
        return Way(partial(expanding, opened=int(values.get("first_masks", 4))), shapes=of_texts(Whole()))
    if config.clean_block == 0:
        reuse = cast(Reuse, values.get("reuse", "none"))
        return _full(_policy(values), Whole(int(values.get("block", _ALL)), reuse, config.shifted))
    if config.clean_block == 1:
        return Way(speculate, lambda policy: partial(fill, policy=policy), shapes=of_drafts(config.block))
    grid = Grid(config.clean_block, int(values.get("sub_block", 0)), config.shifted)
    shapes = of_blocks(grid.size, not grid.shifted)  # shifted, a block is committed by a forward of its own
    if "delete" in marks:
        joint = Joint(float(values["fast_threshold"]), float(values["fast_edit_threshold"]))
        return Way(partial(by_insertion_and_deletion, joint=joint, grid=grid), shapes=shapes)
    policy = _policy(values)
    if isinstance(
        policy, Threshold
    ):  # those that decode by blocks ask for more than the threshold, not as much
        policy = Dynamic(policy.tau)

    def by_blocks(policy: Policy) -> Start:
        shared = replace(policy, of=grid.size) if isinstance(policy, FixedSteps) else policy
        return partial(blockwise, policy=shared, grid=grid)

    return Way(by_blocks(policy), by_blocks, shapes=shapes)


def _full(policy: Policy, whole: Whole) -> Way:
    """Of full attention."""

    def by(policy: Policy) -> Start:
        return partial(_infilled, policy=policy, whole=whole)

    def reusing(reuse: Reuse) -> Way:
        block = whole.block if reuse == "none" else min(whole.block, Whole.block)
        return _full(policy, replace(whole, reuse=reuse, block=block))

    return Way(by(policy), by, reusing, of_texts(whole))


def _infilled(job: Job, cache: KVCache, policy: Policy, whole: Whole) -> Decoder:
    """In place where something follows, its length found first; else as many masks as the answer may have."""
    decode = of_unknown_length if job.after else in_place
    return (yield from decode(job, cache, policy, whole))


def _policy(values: Values) -> Policy:
    """The published policy; raises ValueError where the name is unknown."""
    name = values["policy"]
    if name == "threshold":
        return Threshold(float(values["threshold"]))
    if name == "entropy":
        return Scheduled(int(values.get("steps", 0)))
    if name == "schedule":
        return Scheduled(int(values["steps"]), "confidence")
    if name == "fixed":
        return FixedSteps(int(values["steps"]))
    if name == "editing":
        return TokenEditing(float(values["threshold"]), float(values["edit_threshold"]))
    raise ValueError(f"unknown policy {name!r}")


def published(values: Values) -> str:
    """The defaults, for people."""
    return ", ".join(f"{name} {value}" for name, value in values.items() if name != "temperature")

"""How a foreign config says its rotary positions: `rope_theta` and `rope_scaling`, or newer `rope_parameters`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from model.config import ORIGINAL
from model.families.errors import FamilyError
from model.families.folder import Fields

Scaling = tuple[tuple[str, float], ...]
KINDS = ("default", "llama3", "yarn")


def read_rope(fields: Fields, kinds: tuple[str, ...] = KINDS) -> tuple[float, Scaling]:
    """`(theta, scaling)` as `ModelConfig` has them; raises FamilyError for a kind of scaling that is not in `kinds`."""
    parameters: Mapping[str, Any] = {}
    for name in ("rope_scaling", "rope_parameters"):
        found = fields.get(name, {})
        if not isinstance(found, Mapping):
            raise FamilyError(f"{fields.path}: {name} = {found!r} is no table")
        kind = found.get("rope_type", found.get("type", "default"))
        if kind not in kinds:
            raise FamilyError(
                f"{fields.path}: {name} {kind!r} is not supported; {', '.join(kinds)} "
                f"{'is' if len(kinds) == 1 else 'are'}"
            )
        parameters = {**parameters, **found, "kind": kind} if found else parameters
    theta = parameters.get("rope_theta", fields.get("rope_theta", 10_000.0))
    read = {"llama3": _llama3, "yarn": _yarn}.get(parameters.get("kind", "default"))
    try:
        scaling = read(parameters, fields) if read else {}
        if beta := parameters.get("llama_4_scaling_beta"):
            scaling |= {"llama_4_scaling_beta": beta, ORIGINAL: parameters[ORIGINAL]}
        return float(theta), tuple((name, float(value)) for name, value in scaling.items())
    except KeyError as error:
        raise FamilyError(f"{fields.path}: the scaling of its positions lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise FamilyError(f"{fields.path}: the scaling of its positions is damaged: {error}") from error


def rotary_part(fields: Fields) -> float:
    """The part of each head that is turned."""
    parameters = fields.get("rope_parameters")
    if not isinstance(parameters, Mapping):
        return fields.number("partial_rotary_factor", 1.0)
    return float(parameters.get("partial_rotary_factor", fields.number("partial_rotary_factor", 1.0)))


def _llama3(found: Mapping[str, Any], fields: Fields) -> dict[str, float]:
    return {name: found[name] for name in ("factor", "low_freq_factor", "high_freq_factor", ORIGINAL)}


def _yarn(found: Mapping[str, Any], fields: Fields) -> dict[str, float]:
    original = found.get(ORIGINAL) or fields.integer("max_position_embeddings")
    factor = found.get("factor") or fields.integer("max_position_embeddings") / original
    attention = found.get("attention_factor")
    if attention is None:
        over, under = found.get("mscale"), found.get("mscale_all_dim")
        attention = _mscale(factor, over) / _mscale(factor, under) if over and under else _mscale(factor, 1)
    return {
        "factor": factor,
        "beta_fast": found.get("beta_fast") or 32,
        "beta_slow": found.get("beta_slow") or 1,
        ORIGINAL: original,
        "attention_factor": attention,
        "truncate": found.get("truncate", True),
    }


def _mscale(factor: float, weight: float) -> float:
    return 0.1 * weight * math.log(factor) + 1 if factor > 1 else 1.0

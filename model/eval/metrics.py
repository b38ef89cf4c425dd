"""Figures with their uncertainty: bootstrap intervals over problems, edit similarity, same code, validity.

Pure functions of texts and numbers; knows neither the engine nor the benchmarks.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

_RESAMPLES = 1000
_LEVEL = 95.0


@dataclass(frozen=True)
class Metric:
    """A figure over `n` problems and its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float
    n: int


def _resamples(n: int, seed: int) -> np.ndarray:
    """`[resamples, n]` indices of problems drawn with replacement."""
    return np.random.default_rng(seed).integers(n, size=(_RESAMPLES, n))


def _metric(value: float, drawn: np.ndarray, n: int) -> Metric:
    low, high = np.percentile(drawn, [50 - _LEVEL / 2, 50 + _LEVEL / 2])
    # With few problems the percentiles of a median may miss it.
    return Metric(round(value, 4), round(float(min(low, value)), 4), round(float(max(high, value)), 4), n)


def mean(values: Sequence[float], seed: int = 0) -> Metric | None:
    """None without values, as for the others."""
    if not len(values):
        return None
    x = np.asarray(values, float)
    return _metric(float(x.mean()), x[_resamples(len(x), seed)].mean(axis=1), len(x))


def percentile(values: Sequence[float], percent: float, seed: int = 0) -> Metric | None:
    if not len(values):
        return None
    x = np.asarray(values, float)
    drawn = np.percentile(x[_resamples(len(x), seed)], percent, axis=1)
    return _metric(float(np.percentile(x, percent)), drawn, len(x))


def ratio(above: Sequence[float], below: Sequence[float], seed: int = 0) -> Metric | None:
    """The sum of `above` over the sum of `below`, problems resampled in pairs; None where `below` sums to zero."""
    a, b = np.asarray(above, float), np.asarray(below, float)
    if not len(b) or not b.sum():
        return None
    rows = _resamples(len(a), seed)
    sums = b[rows].sum(axis=1)
    drawn = a[rows].sum(axis=1)[sums > 0] / sums[sums > 0]
    return _metric(float(a.sum() / b.sum()), drawn, len(a))


def edit_similarity(a: str, b: str) -> float:
    """1 less Levenshtein's distance over the longer text's length: 1 for equal texts, 0 for nothing in common."""
    return Levenshtein.normalized_similarity(a, b)


def differing(texts: Sequence[str]) -> list[str]:
    """Each text without the lines, above and below, that are the same in all: files are long, changes short."""
    lines = [text.split("\n") for text in texts]
    shortest = min(map(len, lines))
    above = next((i for i in range(shortest) if len({each[i] for each in lines}) > 1), shortest)
    room = shortest - above
    below = next((i for i in range(room) if len({each[-1 - i] for each in lines}) > 1), room)
    return ["\n".join(each[above : len(each) - below]) for each in lines]


def is_same_text(a: str, b: str) -> bool:
    """Equal up to spaces at line ends and blank lines around."""
    return _stripped(a) == _stripped(b)


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def is_same_code(a: str, b: str) -> bool:
    """Equal as text, or as Python with comments, layout and free-standing strings aside."""
    if is_same_text(a, b):
        return True
    left, right = _code(a), _code(b)
    return left is not None and left == right


def _code(text: str) -> list[str] | None:
    tree = parsed(text)
    if tree is None:
        return None
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            setattr(node, "body", [each for each in body if not _is_string(each)])  # noqa: B010
    return [ast.dump(each) for each in tree.body]


def _is_string(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_valid(text: str) -> bool:
    """Whether Python can read it."""
    return parsed(text) is not None


def parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None

"""Near duplicates and benchmark overlap."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.train.dedup import Benchmarks, NearDuplicates, ngram_hashes

TEXTS = st.text(st.sampled_from("abc de\n().é_1"), max_size=120)


def words(seed: int, count: int = 400) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(5000)}" for _ in range(count)]


@given(TEXTS)
def test_a_text_is_seen_once_it_came(text: str) -> None:
    near = NearDuplicates()
    assert not near.seen(text)
    assert near.seen(text)


def test_layout_and_punctuation_make_no_difference() -> None:
    near = NearDuplicates()
    assert not near.seen(" ".join(words(1)))
    assert near.seen("\n".join(words(1)).replace("\n", ",\n    "))


def test_small_changes_are_found_and_other_texts_are_not() -> None:
    near, rng = NearDuplicates(), random.Random(0)
    bases = [words(seed) for seed in range(30)]
    assert not any(near.seen(" ".join(base)) for base in bases)
    changed = [list(base) for base in bases]
    for each in changed:
        for _ in range(4):
            each[rng.randrange(len(each))] = "changed"
    assert sum(near.seen(" ".join(each)) for each in changed) >= 29


def test_half_a_text_is_another_one() -> None:
    near = NearDuplicates()
    base = words(3)
    near.seen(" ".join(base))
    assert not near.seen(" ".join(base[:200] + words(4, 200)))


def test_texts_of_less_than_five_words() -> None:
    near = NearDuplicates()
    assert [near.seen(t) for t in ("a b", "a c", "", "a b", "")] == [False, False, False, True, True]


@given(TEXTS, st.integers(1, 5))
def test_there_is_one_hash_for_each_run_of_words(text: str, n: int) -> None:
    import re

    found = re.findall(r"\w+", text)
    runs = [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]
    hashes = ngram_hashes(text, n)
    assert hashes.dtype == np.uint64
    assert len(hashes) == len(runs)
    assert len(set(hashes.tolist())) == len(set(runs))


def test_hashes_are_equal_in_every_process() -> None:
    code = "from model.train.dedup import ngram_hashes as h; print(h('a b c d e', 2).tolist())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == str(ngram_hashes("a b c d e", 2).tolist())


def test_thirteen_shared_words_are_an_overlap_and_twelve_are_not() -> None:
    problem = words(5, 60)
    known = Benchmarks([" ".join(problem)])
    assert known
    assert known.overlaps("x y " + " ".join(problem[20:33]) + " z")
    assert not known.overlaps("x y " + " ".join(problem[20:32]) + " z")
    assert not Benchmarks([])
    assert not Benchmarks(["short"])

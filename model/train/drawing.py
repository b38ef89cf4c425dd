"""Draws one instructed refactoring: which, in which words, and the code before and after.

Kinds are drawn first, then a pair of that kind, so that none dominates. The instruction has to matter: many
regions hold code that another refactoring would change too and that must stay, and some instructions name a
refactoring of which there is nothing in the region. Knows no tokens.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.editing.source import Span
from model.editing.syntax import parse
from model.instructions import is_alike
from model.train.refactorings.catalogue import REFACTORINGS
from model.train.refactorings.codemods import CODEMODS
from model.train.refactorings.pairs import PlacedPair
from model.train.refactorings.refactoring import Refactoring, Rewriting
from model.train.refactorings.signs import SIGNS
from model.train.scenery import Scenery
from model.train.slips.scene import Scene

_DECLINED = 0.2
"""Share of instructions that name something else than what could be done."""
_CONTRASTING = 0.35
"""Share of pairs chosen among regions where another refactoring would find something too."""
_INJECTED = 0.3
"""Share of regions that get further old-style code, which must stay."""
_UNTAUGHT = 0.4
"""Share of declined instructions that name what is not taught, where something is not."""
_MANY = 150
"""Pairs from which a refactoring is drawn as often as one that is made without end."""
_OFTEN = {
    "rename": 3.0,
    **dict.fromkeys(("f_strings", "modern_typing", "comprehensions", "early_return", "context_manager"), 2.0),
    **dict.fromkeys(("docstring_removed", "hints_removed", "unused_variables", "unreachable_code"), 2.0),
}
"""What people ask for most, relative to others."""
_RESTORED = 0.25
"""How often a refactoring that no text determines is drawn, relative to others."""
_ABSENT = {name: re.compile(sign) for name, sign in SIGNS.items()}


@dataclass(frozen=True)
class Instructed:
    """`before` stands at `span` of `text`, whatever that holds there, and becomes `after` as instructed.
    `declined` is the refactoring that is named in vain."""

    kind: str
    instruction: str
    text: str
    span: Span
    before: str
    after: str
    declined: str = ""


class RefactoringDrawer:
    """Draws from pairs of a corpus and from what can be made of a scenery; deterministic for a generator."""

    def __init__(
        self,
        pairs: Mapping[str, Sequence[PlacedPair]] | None = None,
        taught: Sequence[str] = (),
        names_others: bool = True,
    ) -> None:
        """`taught` names the refactorings that are done (none: all); the others are named only in vain, or not at
        all. Raises ValueError for a name that the catalogue lacks."""
        if unknown := sorted({*taught} - {*REFACTORINGS}):
            raise ValueError(f"there are no refactorings {', '.join(unknown)}")
        known = {*taught} or {*REFACTORINGS}
        self._untaught = _others(known) if names_others else []
        self._absent_signs = {name: sign for name, sign in _ABSENT.items() if name in known}
        self._pairs = {name: each for name, each in (pairs or {}).items() if name in known}
        self._contrasting = {name: [p for p in each if p.pair.others] for name, each in self._pairs.items()}
        self.kinds = [
            r
            for r in REFACTORINGS.values()
            if r.name in known and (r.make is not None or r.name in self._pairs)
        ]
        weights = np.array([self._weight(r) for r in self.kinds])
        self._shares = weights / weights.sum()

    def draw(self, scenery: Scenery, rng: np.random.Generator, longest: int) -> Instructed | None:
        """One refactoring of a region of at most `longest` characters, from the scenery or from a pair."""
        refactoring = self.kinds[int(rng.choice(len(self.kinds), p=self._shares))]
        found = self.of_kind(refactoring, scenery, rng, longest)
        if found is None and self._pairs:
            paired = sorted(self._pairs)
            found = self._paired(REFACTORINGS[paired[int(rng.integers(len(paired)))]], rng, longest)
        if found is None:
            return None
        return self.declined(found, rng) if rng.random() < _DECLINED else found

    def of_kind(
        self, refactoring: Refactoring, scenery: Scenery, rng: np.random.Generator, longest: int
    ) -> Instructed | None:
        """One of a kind that does what is asked for; None where neither scenery nor pairs have any."""
        makes = refactoring.make is not None and (refactoring.name not in self._pairs or rng.random() < 0.5)
        if makes and (made := self._made(refactoring, scenery, rng, longest)) is not None:
            return made
        return self._paired(refactoring, rng, longest)

    def _weight(self, refactoring: Refactoring) -> float:
        if not refactoring.instructed:
            return _RESTORED
        often = _OFTEN.get(refactoring.name, 1.0)
        if refactoring.make is not None:
            return often
        return often * min(1.0, len(self._pairs[refactoring.name]) / _MANY) ** 0.5

    def _paired(self, refactoring: Refactoring, rng: np.random.Generator, longest: int) -> Instructed | None:
        pairs = self._pairs.get(refactoring.name, [])
        contrasting = self._contrasting.get(refactoring.name, [])
        if contrasting and rng.random() < _CONTRASTING:
            pairs = contrasting
        for _ in range(6 if pairs else 0):
            placed = pairs[int(rng.integers(len(pairs)))]
            if max(len(placed.before), len(placed.pair.after)) <= longest:
                rewriting = Rewriting(placed.before, placed.pair.after)
                if rng.random() < _INJECTED:
                    rewriting = _with_old_style(rewriting, refactoring.name, rng)
                words = refactoring.instruction(rng)
                return Instructed(
                    refactoring.name, words, placed.text, placed.span, rewriting.before, rewriting.after
                )
        return None

    def _made(
        self, refactoring: Refactoring, scenery: Scenery, rng: np.random.Generator, longest: int
    ) -> Instructed | None:
        assert refactoring.make is not None
        fitting = [s for s in scenery.regions if len(s) <= longest]
        for i in rng.permutation(len(fitting))[:3]:
            scene = scenery.scene(fitting[i])
            made = refactoring.make(scene, rng)
            if made is None or made.before == made.after:
                continue
            if rng.random() < _INJECTED:
                made = _with_old_style(made, refactoring.name, rng)
            words = refactoring.instruction(rng, made.words)
            return Instructed(refactoring.name, words, scenery.text, scene.span, made.before, made.after)
        return None

    def declined(self, found: Instructed, rng: np.random.Generator) -> Instructed:
        """The same region with an instruction that asks for nothing that is there: the code stays. As it was where
        everything could be there."""
        if found.declined:
            return found
        if REFACTORINGS[found.kind].rules and rng.random() < 0.25:
            code, named = found.after, found.kind  # it has been done
        else:
            code, named = found.before, self._absent(found.before, rng)
        if named is None:
            return found
        words = REFACTORINGS[named].instruction(rng)
        return Instructed("intact", words, found.text, found.span, code, code, declined=named)

    def needless(self, text: str, span: Span, rng: np.random.Generator) -> Instructed | None:
        """A region as it stands, with an instruction that asks for nothing that is there."""
        named = self._absent(span.of(text), rng)
        if named is None:
            return None
        words, code = REFACTORINGS[named].instruction(rng), span.of(text)
        return Instructed("intact", words, text, span, code, code, declined=named)

    def _absent(self, code: str, rng: np.random.Generator) -> str | None:
        if self._untaught and rng.random() < _UNTAUGHT:
            return self._untaught[int(rng.integers(len(self._untaught)))]
        absent = [name for name, sign in self._absent_signs.items() if not sign.search(code)]
        return absent[int(rng.integers(len(absent)))] if absent else None


def without_examples(paired: Collection[str], taught: Sequence[str]) -> list[str]:
    """Of the refactorings that are to be `taught` (none: all) those that nothing can be drawn of: there is no maker,
    and they are not among the `paired` ones."""
    return [name for name in taught or REFACTORINGS if REFACTORINGS[name].make is None and name not in paired]


def _others(known: Collection[str]) -> list[str]:
    """Instructed refactorings that are not `known` and are not asked for in the words of one that is."""
    phrases = [phrase for name in known for phrase in REFACTORINGS[name].phrasings]
    return [
        r.name
        for r in REFACTORINGS.values()
        if r.name not in known
        and r.instructed
        and not any("{" in p or is_alike(p, phrase) for p in r.phrasings for phrase in phrases)
    ]


def _with_old_style(rewriting: Rewriting, kind: str, rng: np.random.Generator) -> Rewriting:
    """Both sides with the same further old-style code, where there is a place for it that the pair leaves alone."""
    codemod = CODEMODS[int(rng.integers(len(CODEMODS)))]
    if codemod.name == kind:
        return rewriting
    sides: list[tuple[int, str]] = []
    for text in (rewriting.before, rewriting.after):
        scene = Scene(text, Span(0, len(text)), list(parse(text, "python").nodes()))
        edits = codemod.backward(scene)
        sides.append((len(edits), scene.rewritten(edits)))
    (before, old), (after, new) = sides
    return Rewriting(old, new, rewriting.words) if before == after and old != new else rewriting

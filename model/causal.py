"""The autoregressive ways to decode with the same weights: plain, by self-speculation, by prompt lookup.

All three emit the greedy autoregressive answer; they differ in who drafts the tokens that a causal pass verifies.
Generators as in `model/decoders.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.backends.interface import Candidates
from model.cache import KVCache
from model.canvas import Canvas, before_end
from model.decoders import Decoder, Forward, Job, begin, has_enough
from model.tokenizer import FIRST_TEXT_ID, MASK

_LONGEST_MATCH, _DRAFT = 3, 10
"""Of prompt lookup: tokens that must recur, and how many of those that followed are drafted."""


def autoregress(job: Job, cache: KVCache) -> Decoder:
    """Greedy, one token a step, from the causal rows."""
    pending: Sequence[int]
    pending, lead = yield from begin(job, cache)
    tokens, logp = list(lead.settled), lead.logp
    limit = job.limit + len(tokens)
    while len(tokens) < limit and not has_enough(job, tokens):
        state = Canvas(tuple(tokens), (), logp)
        found = yield Forward("causal", pending, (), [len(pending) - 1], state, "causal")
        token = int(found.best[0])
        logp += float(found.logp_RK[0, 0])
        if token == job.end:
            break
        tokens.append(token)
        pending = [token]
    else:
        return Canvas(tuple(tokens), (), logp, is_cut=True)
    return Canvas(tuple(tokens), (), logp)


def speculate(job: Job, cache: KVCache, draft_steps: int = 1) -> Decoder:
    """Self-speculation (Nemotron-Labs-Diffusion, section 3): a block drafted in `draft_steps` denoising steps,
    verified by its own causal pass.

    Emits exactly the greedy autoregressive answer: a draft token counts only where the causal row before it
    has the same best id; the row at the first mismatch gives the correcting token.
    """
    pending, lead = yield from begin(job, cache)
    tokens, logp = list(lead.settled), lead.logp
    limit = job.limit + len(tokens)
    while len(tokens) < limit and not has_enough(job, tokens):
        # `pending` ends with the last token known for sure; its causal row predicts the block's first.
        size = min(job.block, limit - len(tokens))
        ids: list[int] = [MASK] * size
        before: Candidates | None = None
        for step in range(draft_steps):
            state = Canvas(tuple(tokens), tuple(ids), logp)
            rows = [*([len(pending) - 1] if pending else []), *(len(pending) + i for i in range(size))]
            found = yield Forward("denoise", pending, ids, rows, state, "causal")
            drafts = found.rows(slice(1, None)) if pending else found
            if pending:
                before, pending = found.rows(slice(1)), []
            keep = size if step == draft_steps - 1 else -(-size * (step + 1) // draft_steps)
            ids = _surest(ids, drafts, keep)
        assert before is not None, "a draft always starts behind a clean token"
        draft = before_end(ids) + ([job.end] if job.end in ids else [])
        base = cache.length
        state = Canvas(tuple(tokens), tuple(ids), logp)
        found = yield Forward("verify", draft, (), range(len(draft)), state, "causal")
        truth = [int(before.best[0]), *found.best.tolist()]
        sureness = [float(before.logp_RK[0, 0]), *found.logp_RK[:, 0].tolist()]
        agreed = next((i for i, token in enumerate(draft) if token != truth[i]), len(draft))
        # The correcting token, or after a full draft the one that follows it, comes from the causal row.
        accepted = [*draft[:agreed], truth[agreed]][: limit - len(tokens)]
        if job.end in accepted:
            accepted = accepted[: accepted.index(job.end)]
            return Canvas((*tokens, *accepted), (), logp + sum(sureness[: len(accepted) + 1]))
        tokens += accepted
        logp += sum(sureness[: len(accepted)])
        cache.truncate(base + min(agreed, len(accepted)))
        pending = [accepted[-1]] if len(accepted) > agreed else []
    return Canvas(tuple(tokens), (), logp, is_cut=True)


def _surest(ids: Sequence[int], drafts: Candidates, keep: int) -> list[int]:
    """Masks replaced by their best ids, the `keep` most confident positions of all."""
    order = np.argsort(-drafts.confidence, kind="stable")[:keep].tolist()
    return [int(drafts.best[i]) if i in order and t == MASK else t for i, t in enumerate(ids)]


def look_up(job: Job, cache: KVCache) -> Decoder:
    """Prompt lookup (Saxena 2023), the autoregressive rival for edits: what followed the last few tokens where
    they stood before, in the prompt with its region or in the answer, is the draft that a causal pass verifies."""
    pending: Sequence[int]
    pending, lead = yield from begin(job, cache)
    tokens, logp = list(lead.settled), lead.logp
    limit = job.limit + len(tokens)
    while len(tokens) < limit and not has_enough(job, tokens):
        drafted = _recurring(job, tokens)[: limit - len(tokens) - 1]
        known = cache.length + len(pending)
        rows = range(len(pending) - 1, len(pending) + len(drafted))
        state = Canvas(tuple(tokens), (), logp)
        found = yield Forward("verify", [*pending, *drafted], (), rows, state, "causal")
        truth, sureness = found.best.tolist(), found.logp_RK[:, 0].tolist()
        agreed = next((i for i, token in enumerate(drafted) if token != truth[i]), len(drafted))
        accepted = truth[: agreed + 1]
        if job.end in accepted:
            accepted = accepted[: accepted.index(job.end)]
            return Canvas((*tokens, *accepted), (), logp + sum(sureness[: len(accepted) + 1]))
        tokens += accepted
        logp += sum(sureness[: len(accepted)])
        cache.truncate(known + agreed)
        pending = [accepted[-1]]
    return Canvas(tuple(tokens), (), logp, is_cut=True)


def _recurring(job: Job, tokens: Sequence[int]) -> list[int]:
    """What followed the latest earlier place of the last tokens, three of them if possible; a region's own
    beginning at first."""
    if not tokens and job.source:
        return list(job.source[:_DRAFT])
    text = [*job.prompt, *tokens]
    for size in range(min(_LONGEST_MATCH, len(text) - 1), 0, -1):
        last = text[-size:]
        for at in range(len(text) - size - 1, -1, -1):
            if text[at : at + size] == last:
                found = text[at + size : at + size + _DRAFT]
                # A prompt's control tokens are never part of an answer.
                return found[: next((i for i, t in enumerate(found) if t < FIRST_TEXT_ID), len(found))]
    return []

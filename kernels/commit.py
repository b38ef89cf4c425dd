"""The commit of a denoising step, on the device: which positions of a canvas take their best id now.

Two rules. Without `tau_edit`, a masked position commits at p >= tau (Fast-dLLM, arXiv 2505.22618). With it, at
p > tau, and a visible one is replaced where its best id is another one at p > tau_edit (token editing, LLaDA2.1).
Under both the most confident masked position of a sequence, of equals the first, commits in any case, so that a
canvas is never stuck. p is exp(logp) in float32, and it is p that is compared: of two log-probabilities whose p is
the same, the first wins. A GPU's exponential may differ from a processor's in its last bits.

New ids are written in place and the counts that a loop needs stay on the device: nothing waits for the host.
Shapes: B sequences, T positions of a canvas.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from kernels import dispatch
from kernels.dispatch import Choice, constexpr, jit, power_of_two, require, require_shape, tl

LONGEST = 16384
"""A canvas is held in registers."""


class Progress(NamedTuple):
    """Of each sequence (int32): positions whose id was set, masks that are left, and the first position that holds
    the end of the sequence (T where none does)."""

    commits_B: torch.Tensor
    masks_B: torch.Tensor
    end_B: torch.Tensor


def commit_reference(
    ids_BT: torch.Tensor,
    best_BT: torch.Tensor,
    logp_BT: torch.Tensor,
    rows_B: torch.Tensor,
    tau_B: torch.Tensor,
    tau_edit_B: torch.Tensor | None,
    mask: int,
    end: int,
) -> Progress:
    """What `commit` does, written out."""
    t = ids_BT.shape[1]
    place_T = torch.arange(t, device=ids_BT.device)
    real_BT = place_T < rows_B[:, None]
    masked_BT = (ids_BT == mask) & real_BT
    p_BT = logp_BT.exp()
    fill_BT = p_BT >= tau_B[:, None] if tau_edit_B is None else p_BT > tau_B[:, None]
    surest_B = p_BT.masked_fill(~masked_BT, -1).amax(1, keepdim=True)
    first_B = place_T.masked_fill(~(masked_BT & (p_BT == surest_B)), t).amin(1, keepdim=True)
    chosen_BT = masked_BT & (fill_BT | (place_T == first_B))
    if tau_edit_B is not None:
        chosen_BT |= real_BT & ~masked_BT & (best_BT != ids_BT) & (p_BT > tau_edit_B[:, None])
    ids_BT.copy_(torch.where(chosen_BT, best_BT.to(ids_BT.dtype), ids_BT))
    left_BT, end_BT = real_BT & (ids_BT == mask), real_BT & (ids_BT == end)
    first_end_B = place_T.masked_fill(~end_BT, t).amin(1)
    return Progress(chosen_BT.sum(1).int(), left_BT.sum(1).int(), first_end_B.int())


def commit(
    ids_BT: torch.Tensor,
    best_BT: torch.Tensor,
    logp_BT: torch.Tensor,
    rows_B: torch.Tensor,
    tau_B: torch.Tensor,
    *,
    mask: int,
    end: int,
    tau_edit_B: torch.Tensor | None = None,
    backend: Choice = None,
) -> Progress:
    """Write the best ids of the positions that commit into `ids`, by the rule of the module's docstring.

    Ids and best ids are integers, log-probabilities and thresholds float32; all may have any strides, so that column
    0 of the head's candidates will do. `rows` (int32) says how many positions of each sequence are real: the others
    are neither read nor counted. Raises ValueError for shapes or dtypes that don't fit.
    """
    _check(ids_BT, best_BT, logp_BT, {"rows": rows_B, "tau": tau_B, "tau_edit": tau_edit_B})
    b, t = ids_BT.shape
    obstacle = None if t <= LONGEST else f"a canvas of {t} is longer than {LONGEST}"
    tensors = (logp_BT, ids_BT, best_BT, rows_B, tau_B, tau_edit_B)
    if not dispatch.use_triton(backend, tensors, obstacle):
        return commit_reference(ids_BT, best_BT, logp_BT, rows_B, tau_B, tau_edit_B, mask, end)
    progress = Progress(*torch.empty(3, b, dtype=torch.int32, device=ids_BT.device))
    tensors = (ids_BT, best_BT, logp_BT, rows_B, tau_B, tau_B if tau_edit_B is None else tau_edit_B)
    strides = (*ids_BT.stride(), *best_BT.stride(), *logp_BT.stride())
    meta = {"EDITS": tau_edit_B is not None, "BLOCK_T": power_of_two(t)}
    meta |= {"num_warps": min(max(meta["BLOCK_T"] // 256, 1), 8)}
    dispatch.launch(_commit_kernel, (b,), *tensors, *progress, *strides, t, mask, end, **meta)
    return progress


def _check(
    ids: torch.Tensor, best: torch.Tensor, logp: torch.Tensor, counts: dict[str, torch.Tensor | None]
) -> None:
    b, t = ids.shape
    require(t > 0, "a canvas has at least one position")
    for name, given in (("best", best), ("logp", logp)):
        require_shape(name, given, (b, t))
    for name, given in (("ids", ids), ("best", best)):
        whole = given.dtype in (torch.int32, torch.int64)
        require(whole, f"{name} must be int32 or int64, not {given.dtype}")
    require(logp.dtype == torch.float32, f"logp must be float32, not {logp.dtype}")
    for name, given in counts.items():
        if given is not None:
            require_shape(name, given, (b,))
            require(given.stride(0) == 1 or b <= 1, f"{name} must be contiguous")
            wanted = torch.int32 if name == "rows" else torch.float32
            require(given.dtype == wanted, f"{name} must be {wanted}, not {given.dtype}")


@jit
def _commit_kernel(
    ids, best, logp, rows_B, tau_B, tau_edit_B, commits_B, masks_B, end_B,
    ids_b, ids_t, best_b, best_t, logp_b, logp_t, T, mask, end,
    EDITS: constexpr, BLOCK_T: constexpr,
):  # fmt: skip
    """One sequence."""
    b, t = tl.program_id(0), tl.arange(0, BLOCK_T)
    b64 = b.to(tl.int64)
    real_T = t < tl.minimum(tl.load(rows_B + b), T)
    id_T = tl.load(ids + b64 * ids_b + t * ids_t, mask=real_T, other=0).to(tl.int64)
    best_T = tl.load(best + b64 * best_b + t * best_t, mask=real_T, other=0).to(tl.int64)
    p_T = tl.exp(tl.load(logp + b64 * logp_b + t * logp_t, mask=real_T, other=float("-inf")))
    tau = tl.load(tau_B + b)
    masked_T = real_T & (id_T == mask)
    sure_T = p_T >= tau
    if EDITS:
        sure_T = p_T > tau
    surest = tl.max(tl.where(masked_T, p_T, -1.0), 0)
    first = tl.min(tl.where(masked_T & (p_T == surest), t, T), 0)
    chosen_T = masked_T & (sure_T | (t == first))
    if EDITS:
        chosen_T = chosen_T | (real_T & (id_T != mask) & (best_T != id_T) & (p_T > tl.load(tau_edit_B + b)))
    new_T = tl.where(chosen_T, best_T, id_T)
    tl.store(ids + b64 * ids_b + t * ids_t, new_T.to(ids.dtype.element_ty), mask=chosen_T)
    tl.store(commits_B + b, tl.sum(chosen_T.to(tl.int32), 0))
    tl.store(masks_B + b, tl.sum((real_T & (new_T == mask)).to(tl.int32), 0))
    tl.store(end_B + b, tl.min(tl.where(real_T & (new_T == end), t, T), 0))

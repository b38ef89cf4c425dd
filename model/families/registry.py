"""All families that are known, and which of them a folder is of."""

from __future__ import annotations

from model.families.a2d import A2D_LLAMA, A2D_QWEN2, A2D_QWEN3
from model.families.coda import CODA
from model.families.diffcoder import STABLE_DIFFCODER
from model.families.dream import DREAM, DREAMON
from model.families.errors import FamilyError
from model.families.family import Family
from model.families.fast_dllm import FAST_DLLM
from model.families.folder import Folder
from model.families.gemma import DIFFUSION_GEMMA
from model.families.llada import LLADA
from model.families.llada2 import LLADA_2_0, LLADA_2_1, LLADA_2_2
from model.families.nemotron import NEMOTRON
from model.families.open_dcoder import OPEN_DCODER
from model.families.sdar import SDAR, SDAR_MOE

FAMILIES = (
    STABLE_DIFFCODER,
    SDAR,
    SDAR_MOE,
    FAST_DLLM,
    DREAMON,
    DREAM,
    CODA,
    OPEN_DCODER,
    A2D_QWEN3,
    A2D_QWEN2,
    A2D_LLAMA,
    LLADA,
    LLADA_2_2,
    LLADA_2_1,
    LLADA_2_0,
    NEMOTRON,
    DIFFUSION_GEMMA,
)
"""Of families with one architecture, those with a sign of their own come first."""
_AUTOREGRESSIVE = ("LlamaForCausalLM", "Qwen2ForCausalLM")


def recognise(folder: Folder) -> Family:
    """Raises FamilyError that lists what is supported."""
    for family in FAMILIES:
        if family.recognises(folder):
            return family
    config = folder.config
    listed = config.get("architectures", [])
    found = ", ".join(map(str, listed)) or config.get("model_type")
    if set(listed) & set(_AUTOREGRESSIVE):
        raise FamilyError(
            f"{config.path}: {found} without a mask token is an autoregressive model; "
            "`redraft train adapt --from` makes one that Redraft can use of it"
        )
    known = ", ".join(sorted({f"{f.title} ({f.architectures[0]})" for f in FAMILIES}))
    raise FamilyError(f"{config.path}: the architecture {found!r} is not supported; these are: {known}")

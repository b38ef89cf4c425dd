"""Loading DiffusionGemma with `transformers`: its own classes, from the folder alone, safetensors only. No code of the
folder is run: the classes are named here, and neither a config nor a tokenizer may choose others."""

from __future__ import annotations

from typing import Any

import torch
from safetensors import SafetensorError
from transformers import DiffusionGemmaForBlockDiffusion, PreTrainedTokenizerFast
from transformers.utils import logging

from model.backends.device import choose_device
from model.checkpoint import Decoding, ModelError
from model.families.errors import FamilyError
from model.families.load import SMALLER, default_dtype, require_room
from model.gemma.engine import GemmaEngine
from model.gemma.folder import GemmaFolder
from model.gemma.network import TransformersNetwork
from model.gemma.tokens import GemmaTokenizer, chat_of, specials_of
from model.questions import Reader
from model.tokenizer import FIRST_TEXT_ID


def load_gemma(opened: GemmaFolder, device: str, budgets: Decoding) -> GemmaEngine:
    """Raises ModelError where it does not fit or cannot be read."""
    chosen = choose_device(device)
    dtype = default_dtype(chosen)
    check_fits(opened, chosen, dtype)
    logging.disable_progress_bar()
    fast = _tokenizer(opened)
    specials = specials_of(fast)
    tokenizer = GemmaTokenizer(fast.backend_tokenizer.to_str(), specials, opened.config.vocab - FIRST_TEXT_ID)
    reader = Reader(tokenizer, opened.config, budgets, chat_of(fast, tokenizer, specials))
    network = TransformersNetwork(_network(opened, chosen, dtype))
    return GemmaEngine(network, reader, opened.title, opened.weights, opened.ends)


def check_fits(opened: GemmaFolder, device: torch.device, dtype: torch.dtype) -> None:
    """Raises ModelError with both sizes. On their way to a GPU the weights pass through the machine's memory."""
    needs = {device: opened.bytes(dtype.itemsize)}
    if device.type != "cpu":
        needs[torch.device("cpu")] = dtype.itemsize * opened.weights
    for place, needed in needs.items():
        require_room(opened.path, place, needed)


def _tokenizer(opened: GemmaFolder) -> Any:
    try:
        return PreTrainedTokenizerFast.from_pretrained(opened.path, local_files_only=True)
    except Exception as error:  # `tokenizers` raises bare Exception on a malformed file
        raise FamilyError(
            f"{opened.path} has no tokenizer that can be read: {_first_line(error)}; fetch the model again"
        ) from error


def _network(opened: GemmaFolder, device: torch.device, dtype: torch.dtype) -> Any:
    try:
        loaded: Any = DiffusionGemmaForBlockDiffusion.from_pretrained(
            opened.path,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            attn_implementation="sdpa",  # else a config may name one that would be fetched
            output_loading_info=True,
        )
        network, told = loaded
        _check(opened, told)
        return network.to(device).eval().requires_grad_(False)
    except ModelError:
        raise
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{opened.path} does not fit on {device}: {_first_line(error)}; {SMALLER}"
        ) from error
    except (
        OSError,
        RuntimeError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        SafetensorError,
    ) as error:
        raise FamilyError(
            f"{opened.path} cannot be read by transformers: {_first_line(error)}; fetch the model again"
        ) from error


def _check(opened: GemmaFolder, told: Any) -> None:
    """What a folder lacks would be made up of random numbers."""
    for what in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if found := sorted(map(str, told[what])):
            raise FamilyError(
                f"{opened.path}: {what.removesuffix('_keys')} tensors: {', '.join(found[:3])} ({len(found)} in all); "
                "fetch the plain model again"
            )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

"""What an error of a device means: that memory ran out, which may pass, or that the device has failed for good.

PyTorch has a type for the first and one for many of the second; the libraries below it and Triton only say it in
words.
"""

from __future__ import annotations

import torch

from model.backends.interface import BackendError

_FULL = (
    "out of memory",
    "can't allocate memory",
    "cublas_status_alloc_failed",
    "cublas_status_not_initialized",  # its handle is made at the first product, and is the first to find no memory
)
_LOST = (
    "illegal memory access",
    "illegal instruction",
    "illegal address",
    "misaligned address",
    "unspecified launch failure",
    "launch timed out",
    "device-side assert",
    "hardware stack error",
    "invalid program counter",
    "uncorrectable",
    "xid",
)


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _says(error, _FULL)


def is_lost(error: BaseException, device: torch.device) -> bool:
    """Whether nothing can be run on the device any more by this process."""
    if is_out_of_memory(error):
        return False
    return _says(error, _LOST) or (isinstance(error, torch.AcceleratorError) and not _answers(device))


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    said = str(error).lower()
    # A BackendError has been judged before.
    return (
        isinstance(error, RuntimeError)
        and not isinstance(error, BackendError)
        and any(each in said for each in words)
    )


def _answers(device: torch.device) -> bool:
    """An error that lasts is reported by every later call too."""
    try:
        torch.cuda.synchronize(device)
    except (RuntimeError, AssertionError):
        return False
    return True


def first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def loss(error: BaseException) -> str:
    """What is said of a device that has failed, now and to every later request."""
    return f"the GPU has failed ({first_line(error)}); restart the language server"


def shortage(error: BaseException) -> str:
    return (
        f"the GPU is out of memory ({first_line(error)}); close what else uses it, ask for less at once, or choose a "
        "smaller model"
    )

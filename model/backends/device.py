"""Which device a network goes to, what is free there, and what to do where there is none."""

from __future__ import annotations

import psutil
import torch

from model.checkpoint import ModelError

_GPU = 1 << 30


def choose_device(name: str = "auto") -> torch.device:
    """`auto`: a GPU if there is one. Raises ModelError where the device is unknown, missing, or its driver too old."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "cuda":
            torch.cuda.init()
            torch.cuda.get_device_properties(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"the device {name!r} cannot be used: {_advice(str(error))}") from error
    return device


def _advice(reason: str) -> str:
    """PyTorch's own words, turned into what to do."""
    said = reason.splitlines()[0] if reason else "no reason was given"
    if "too old" in reason:
        todo = "update the NVIDIA driver, or install a PyTorch that was built for an older CUDA"
    elif "not compiled with CUDA" in reason:
        todo = "this PyTorch was built without CUDA; install one that has it (redraft[gpu])"
    elif "no NVIDIA driver" in reason.replace("Found ", "") or "No CUDA GPUs" in reason:
        todo = "there is no NVIDIA GPU, or no driver for it"
    elif "ordinal" in reason or "device id" in reason.lower():
        todo = f"this machine has {torch.cuda.device_count()} GPUs, counted from cuda:0"
    else:
        todo = "choose auto, cpu, cuda or cuda:1"
    return f"{said}; {todo}, or choose device cpu"


def free_bytes(device: torch.device) -> int:
    """Memory that is free there now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def in_gib(count: int) -> str:
    return f"{count / _GPU:.1f} GiB"

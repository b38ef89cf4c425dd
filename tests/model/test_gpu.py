"""The GPU path against the CPU's: FlexAttention's mask, a training step, the back end."""

import pytest
import torch

from model.backends.interface import Pass
from model.backends.torch import TorchBackend
from model.config import NANO
from model.losses import RowBatch, dense_mask
from model.tokenizer import FIRST_TEXT_ID, MASK
from model.train import flex
from model.transformer import Transformer, masked


def two_streams() -> RowBatch:
    """Two documents: one with two noisy copies of an answer, one with one."""
    rows, length = 2, 128
    document = torch.full((rows, length), -1, dtype=torch.int32)
    block, start = document.clone(), torch.zeros_like(document)
    position = torch.zeros(rows, length, dtype=torch.int64)
    document[:, :56], document[:, 56:110] = 0, 1
    position[:, :40], position[:, 56:100] = torch.arange(40), torch.arange(44)
    for number, (begin, end, answer) in enumerate(((40, 48, 30), (48, 56, 30), (100, 110, 20))):
        block[:, begin:end], start[:, begin:end] = number, answer
        position[:, begin:end] = answer + torch.arange(end - begin)
    empty = torch.zeros(rows, length)
    return RowBatch(empty.long(), document, position, block, start, empty.long(), empty, empty.to(torch.int8))


def heads(device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, 4, 128, 16, generator=generator)
    k, v = (torch.randn(2, 2, 128, 16, generator=generator) for _ in range(2))
    return q.to(device), k.to(device), v.to(device)


@pytest.mark.filterwarnings("ignore")  # that it is not compiled
def test_flex_attention_follows_the_dense_mask(monkeypatch):
    """The rule written for FlexAttention is the dense mask's (not compiled: on CPU it may be slow)."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    monkeypatch.setattr(flex, "_flex", flex_attention)
    monkeypatch.setattr(flex, "_create", create_block_mask)
    batch = two_streams()
    found = flex.flex_attend(batch)(*heads("cpu"))
    wanted = masked(dense_mask(batch))(*heads("cpu"))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.gpu
def test_compiled_flex_attention_on_gpu(cuda):
    """Compiled, forward and backward, as training uses it."""
    batch = two_streams().to(cuda)
    found = [t.requires_grad_() for t in heads("cuda")]
    wanted = [t.detach().clone().requires_grad_() for t in found]
    a = flex.flex_attend(batch)(*found)
    b = masked(dense_mask(batch))(*wanted)
    torch.testing.assert_close(a, b, atol=2e-2, rtol=2e-2)
    a.square().sum().backward()
    b.square().sum().backward()
    for left, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(left.grad, right.grad, atol=5e-2, rtol=5e-2)


@pytest.mark.gpu
def test_the_back_end_agrees_with_the_cpu(cuda):
    """Float32 on both: the same best ids for prefill and canvas."""
    torch.manual_seed(0)
    network = Transformer(NANO)
    prompt = list(range(FIRST_TEXT_ID, FIRST_TEXT_ID + 50))
    results = []
    for device in ("cpu", cuda):
        backend = TorchBackend(network.to(device))
        each = Pass(backend.new_cache(100), prompt, [MASK] * 16, range(66), backend.allow([]))
        results.append(backend.forward([each])[0])
    assert (results[0].best == results[1].best).mean() > 0.95

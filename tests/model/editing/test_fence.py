"""Code out of replies."""

from __future__ import annotations

import pytest

from model.editing.fence import fenced


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("Here it is:\n\n```\nx = 1\ny = 2\n```\nThat is all.", "x = 1\ny = 2\n"),
        ("````md\n```\nx\n```\n````", "```\nx\n```\n"),
        ("~~~\nx\n~~~", "x\n"),
        ("```\nfirst\n```\n```\nsecond\n```", "first\n"),
        ("  ```py\n  x\n  ```", "  x\n"),
        ("```python\nx = 1\n", None),
        ("x = 1", None),
        ("", None),
        ("```x = 1```", None),
    ],
)
def test_the_first_closed_block_is_the_code(reply: str, code: str | None) -> None:
    assert fenced(reply) == code

"""In what the products of float32 matrices are computed on a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def matrix_products(precision: str) -> Iterator[None]:
    """Within it they are those of a run's precision; outside, what they were before.

    In ``tf32`` the factors have the 10 bits of TensorFloat-32 and sums are float32. The setting is
    one of the process, and the threads of the backward pass see it. Bfloat16 is autocast's to give.
    """
    before = torch.get_float32_matmul_precision()
    wanted = "high" if precision == "tf32" else "highest"
    if wanted == before:
        yield
        return
    torch.set_float32_matmul_precision(wanted)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)

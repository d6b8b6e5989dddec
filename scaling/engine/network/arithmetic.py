"""The precision of products of float32 matrices on a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def matrix_products(precision: str) -> Iterator[None]:
    """A context in which products have the precision of a run; afterwards as before.

    In ``tf32`` the factors have the 10 bits of TensorFloat-32 and sums are float32. The setting is
    one of the process, so the threads of the backward pass see it. Autocast sets bfloat16.
    """
    before = torch.get_float32_matmul_precision()
    setting = "high" if precision == "tf32" else "highest"
    if setting == before:
        yield
        return
    torch.set_float32_matmul_precision(setting)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)

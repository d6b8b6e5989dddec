"""Training whose bits are the same each time, on a GPU too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def determinism(is_wanted: bool) -> Iterator[None]:
    """A context in which torch uses algorithms that add up in one order; afterwards as before.

    An operation without such an algorithm raises `RuntimeError`, which names it. cuBLAS reads its
    setting when a process first uses it, so this must come before that.
    """
    if not is_wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    debugging: Any = torch.utils.deterministic  # its attributes come from C, and have no stubs
    before = torch.are_deterministic_algorithms_enabled()
    filled = debugging.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    debugging.fill_uninitialized_memory = False  # we read none: it is for debugging
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        debugging.fill_uninitialized_memory = filled

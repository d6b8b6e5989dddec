"""CUDA's streams and graphs without CUDA: a step is taped and played again, kernel by kernel."""

from __future__ import annotations

import contextlib
import types
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What a stream that is captured refuses: the host would have to wait for a value, or send one.
REFUSED = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "lift_fresh", "unique")


class Tape(TorchDispatchMode):
    """A graph: the kernels of a step in their order, with the tensors they read and wrote.

    As on a device all tensors keep their places, numbers of Python are part of the kernels, no
    Python runs when it is played, and what lay in memory before a capture does after it.
    """

    made: ClassVar[list[Tape]] = []

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[tuple[Any, tuple, dict, Any]] = []
        self._overwritten: list[tuple[Tensor, Tensor]] = []
        self.made.append(self)

    def __torch_dispatch__(self, kernel, types, arguments=(), named=None):
        name = kernel.overloadpacket.__name__
        if name in REFUSED:
            raise RuntimeError(
                f"CUDA error: operation not permitted when stream is capturing "
                f"({name})\nCompile with ..."
            )
        if kernel._schema.is_mutable:
            for place in (t for t in tree_leaves((arguments, named)) if isinstance(t, Tensor)):
                self._overwritten.append((place, place.detach().clone()))
        written = kernel(*arguments, **(named or {}))
        self.kernels.append((kernel, arguments, named or {}, written))
        return written

    def __exit__(self, *error):
        super().__exit__(*error)
        with torch.no_grad():
            for place, before in reversed(self._overwritten):
                place.copy_(before)
        self._overwritten.clear()

    @torch.no_grad()
    def replay(self) -> None:
        """Run the kernels again where they ran."""
        for kernel, arguments, named, written in self.kernels:
            schema = kernel._schema
            if kernel.is_view:
                continue  # another shape of what lies there
            again = kernel(*arguments, **named)
            if schema.is_mutable:
                continue
            for place, value in zip(tree_leaves(written), tree_leaves(again), strict=True):
                if isinstance(place, Tensor):
                    place.copy_(value)


@pytest.fixture
def uncompiled(monkeypatch):
    """What torch.compile is given it gives back."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


@pytest.fixture
def taped(monkeypatch, uncompiled):
    """Graphs of this test are tapes, whose class it gets; any device has them.

    Kernels are not fused: those could not be taped.
    """
    stream = types.SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(Tape, "made", [])
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda given: None)
    monkeypatch.setattr(torch.cuda, "stream", lambda given: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Tape)
    monkeypatch.setattr(torch.cuda, "graph", lambda tape, **_: tape)
    monkeypatch.setattr("scalinglab.scaling.engine.steps.captured.HAVE_GRAPHS", ("cuda", "cpu"))
    return Tape

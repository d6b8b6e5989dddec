"""Eager steps whose forward and backward pass ``torch.compile`` has fused."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch._functorch.config
from torch import Tensor

from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Backward, Ran

log = logging.getLogger(__name__)
# Kinds of devices on which elementwise updates are fused too. An update reads and writes the
# buffers a dozen times, fused twice; a CPU gains nothing (1.02 of the time at width 128).
FUSED_UPDATES = ("cuda",)
# Names of the exceptions which say that a function cannot be compiled for this device: torch's,
# inductor's, and Triton's (by name, as it need not be installed). Some are raised when a kernel is
# made, others when it is started.
NO_CODE = {
    "TorchDynamoException",
    "InductorError",
    "NoTritonConfigsError",
    "CppCompileError",
    "SubprocException",
    "OutOfResources",
    "CompilationError",
    "PTXASError",
}


class CompiledEngine(EagerEngine):
    """Steps of an ``EagerEngine``, compiled: equal to rounding; evaluation is the same.

    If nothing can be compiled, its steps are eager, and one line of the log says why.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._passes: Callable[..., Any] = super()._losses
        self._step: Callable[..., Any] = self._optimizer.step
        kind = self.module.weights.device.type
        self._unfused = no_compiler(kind)
        if self._unfused:
            say_unfused(self._unfused)
            return
        torch.compiler.reset()  # functions of earlier engines count against torch's limits
        self._passes = Fused(self._passes)
        if not self._optimizer.settings[0].whole and kind in FUSED_UPDATES:
            self._step = Fused(self._step, fullgraph=True, written=self._written)

    @property
    def ran(self) -> Ran:
        """See ``Engine.ran``."""
        why = self._passes.failed if isinstance(self._passes, Fused) else self._unfused
        if why:
            return Ran("eager", why)
        update = self._step.failed if isinstance(self._step, Fused) else None
        return Ran("compiled", update and f"the update is not: {update}")

    def _written(self) -> list[Tensor]:
        """The tensors that an update writes."""
        return [self.module.gradient, *(tensor for _, tensor in self._parts())]

    def _losses(self, tokens_kBT: Tensor, *keys_k: Tensor) -> tuple[Tensor, Tensor]:
        return self._passes(tokens_kBT, *keys_k)

    def _accumulate(self, tokens_kBT: Tensor, backward: Backward) -> Tensor:
        try:
            return super()._accumulate(tokens_kBT, backward)
        except Exception as error:  # some kernels fail when the backward pass starts them
            if not isinstance(self._passes, Fused) or not has_no_code(error):
                raise
            self._passes.give_up(error)
        self.reduce.drop()
        self.module.clear_gradient()
        return super()._accumulate(tokens_kBT, backward)

    def _update(self, lr_k: Tensor, count: int | Tensor) -> Tensor:
        # A tensor, as an int would be compiled into the step as a constant.
        if isinstance(self._step, Fused) and isinstance(count, int):
            count = torch.full((), count, dtype=torch.float64, device=lr_k.device)
        return self._step(self.module.weights, self.module.gradient, lr_k, count)


class Fused:
    """A function compiled by ``torch.compile``; as it is if that fails, with a line in the log.

    Parameters
    ----------
    function : callable
        It is compiled at the first call.
    fullgraph : bool
        Whether all of it must become one graph.
    written : callable
        Returns the tensors that it writes, which are restored if the first call fails half-way.

    Attributes
    ----------
    failed : str or None
        Why it is not compiled.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        fullgraph: bool = False,
        written: Callable[[], Iterable[Tensor]] = tuple,
    ) -> None:
        self._function, self._written, self._proven = function, written, False
        self.failed: str | None = None
        # Otherwise the backward pass is compiled at its first use, where no failure is caught.
        torch._functorch.config.force_non_lazy_backward_lowering = True
        self._compiled = torch.compile(function, dynamic=False, fullgraph=fullgraph)

    def __call__(self, *arguments: Any) -> Any:
        """The function, compiled if it can be."""
        if self.failed:
            return self._function(*arguments)
        written = [] if self._proven else list(self._written())
        saved = [tensor.to("cpu", copy=True) for tensor in written]  # a device may be full
        try:
            result = self._compiled(*arguments)
            self._proven = True
            return result
        except Exception as error:
            if not has_no_code(error):
                raise
            self.give_up(error)
        with torch.no_grad():
            for tensor, before in zip(written, saved, strict=True):
                tensor.copy_(before)
        return self._function(*arguments)

    def give_up(self, error: BaseException) -> None:
        """Call the function as it is from now on, and log why."""
        self.failed = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        say_unfused(self.failed)


def has_no_code(error: BaseException) -> bool:
    """Whether an error says that a function cannot be compiled here, by the names of its kinds.

    An error of memory does not: a smaller micro-batch may fit.
    """
    names = [{kind.__name__ for kind in type(e).__mro__} for e in causes(error)]
    return any(NO_CODE & n for n in names) and not any("OutOfMemoryError" in n for n in names)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what caused it, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def say_unfused(reason: str) -> None:
    """Log why the kernels of a step are those of eager steps."""
    log.warning(
        "torch.compile is not used, kernels are those of execution.engine = 'eager': %s", reason
    )


def no_compiler(device: str) -> str | None:
    """Why ``torch.compile`` cannot make code for a kind of device; None if it can."""
    if device == "cuda":
        return None if importlib.util.find_spec("triton") else "there is no triton"
    names = filter(None, (os.environ.get("CXX"), "g++", "clang++"))
    return None if any(map(shutil.which, names)) else "there is no C++ compiler"

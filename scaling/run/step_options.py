"""Options of a step: science, and options that trade time for memory."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.config import ExecutionConfig, RunConfig
from scalinglab.scaling.records.spec import RunSpec


@dataclass(frozen=True)
class StepOptions:
    """Options of the forward and backward pass.

    Attributes
    ----------
    precision : str
        ``fp32``; ``tf32``: products of matrices of float32 numbers in TensorFloat-32, on GPUs only;
        or ``bf16``: products of matrices in bfloat16, weights, residual stream, norms, softmax and
        loss in float32. Science.
    z_loss : float
        Coefficient of the mean squared log-normaliser in the objective (PaLM, arXiv 2204.02311:
        1e-4); losses are reported without it. Science.
    loss_chunk : int or None
        Tokens whose logits exist at once; None: all. Equal to rounding.
    recompute : bool
        Keep only the inputs of the blocks for the backward pass. Equal bit for bit.
    excluded : tuple of int
        Tokens that do not count as targets of the loss, such as separators of documents. They are
        part of the science of the data.
    """

    precision: str = "fp32"
    z_loss: float = 0.0
    loss_chunk: int | None = None
    recompute: bool = False
    excluded: tuple[int, ...] = ()

    @classmethod
    def of(cls, run: RunSpec | RunConfig, execution: ExecutionConfig) -> StepOptions:
        """The options of a run."""
        return cls(
            precision=run.precision,
            z_loss=run.z_loss,
            loss_chunk=execution.loss_chunk,
            recompute=execution.recompute,
            excluded=run.excluded if isinstance(run, RunSpec) else (),
        )

    @property
    def unpackable_reason(self) -> str | None:
        """Why packs cannot be trained with these options; None: they can.

        Recomputation cannot be batched over members: ``vmap`` does not support hooks on saved
        tensors.
        """
        if self.recompute:
            return "execution.recompute = True computes the blocks of one run again, not of a pack"
        if self.loss_chunk is not None:
            return (
                f"execution.loss_chunk = {self.loss_chunk} computes the logits of one run "
                "again, not of a pack"
            )
        return None


def unpackable_execution(execution: ExecutionConfig) -> str | None:
    """Why runs with this execution are not packable; None: they are."""
    return StepOptions(
        loss_chunk=execution.loss_chunk, recompute=execution.recompute
    ).unpackable_reason

"""The base of all optimizers: clipping, settings as columns, and rules for single tensors.

The parameters of k members lie in one buffer (k, P); settings are columns (k, 1), so members may
differ in each of them. One member's numbers never touch another's: no operation mixes rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.engine.optimizers.rehearsal import rehearse
from scalinglab.scaling.model.parametrization import TensorRule
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig, common_name
from scalinglab.scaling.registry import Registry, subclass_of

Moments = dict[str, Tensor | dict[str, Tensor]]


class Optimizer(ABC):
    """An optimizer of k members at once.

    Parameters
    ----------
    settings : sequence of OptimizerConfig
        One a member, all of the optimizer's own class.
    sizes : mapping
        Size of each tensor by name, in the order of the buffer.
    rules : mapping
        Role and multipliers of each tensor by name.
    device : str
        Where the buffers lie.

    Attributes
    ----------
    moments : dict
        What a checkpoint must hold beside the weights: buffers (k, P), or tensors (k, ...) by name.
    norm : callable
        Norms of the rows of a buffer (k, P), (k, 1), also where a row is shared by processes.
    """

    moments: Moments
    coupled = False  # whether decay is a part of the step, and so has the step's rate
    capturable = True  # whether every step runs the same kernels, and `count` may be a tensor

    def __init__(
        self,
        settings: Sequence[OptimizerConfig],
        sizes: Mapping[str, torch.Size],
        rules: Mapping[str, TensorRule],
        device: str = "cpu",
    ) -> None:
        self.settings, self.sizes, self.rules, self.device = settings, sizes, rules, device
        self.moments = {}
        self.norm: Callable[[Tensor], Tensor] = norms_here
        self.weight_decay = self.column("weight_decay")
        self.clip = self.column("clip").float()
        self._lr_P = self.multipliers({n: rules[n].lr for n in sizes})
        # Decoupled decay is lr * weight_decay, at each tensor's own rate, as in torch's groups.
        share = 0 if self.coupled else 1
        self._decay_P = self.multipliers(
            {n: rules[n].lr ** share * rules[n].weight_decay for n in sizes}
        )

    @torch.no_grad()
    def step(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int | Tensor) -> Tensor:
        """Clip, update `weights` in place, and return the gradient norms before clipping.

        Parameters
        ----------
        weights, gradient : Tensor
            (k, P) float32; the gradient is overwritten.
        lr : Tensor
            (k,) float64.
        count : int or Tensor
            Number of this update, from 1; a float64 scalar on the device if `capturable`.

        Returns
        -------
        Tensor
            (k,) gradient norms.
        """
        norms = self.norm(gradient)
        gradient.mul_((self.clip / (norms + 1e-6)).clamp(max=1.0))  # torch's clip_grad_norm_
        self.update(weights, gradient, lr[:, None], count)
        return norms[:, 0]

    def start(self, weights: Tensor) -> None:  # noqa: B027 - most have nothing to take
        """Take the initial weights (k, P), for moments that do not begin at zero."""

    @abstractmethod
    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: Any) -> None:
        """Update `weights` in place by a clipped gradient; `lr` is (k, 1) float64.

        `count` is as in `step`: a tensor for those that are `capturable`, else a whole number.
        """

    def evaluation_weights(self, weights: Tensor) -> Tensor:
        """The weights to measure validation with, (k, P): those that are trained."""
        return weights

    # ------------------------------------------------------------------ for the optimizers

    def column(self, key: str) -> Tensor:
        """A setting of all members, (k, 1); float64, so that it is rounded only once, when used."""
        column = [getattr(s, key) for s in self.settings]
        return torch.tensor(column, dtype=torch.float64, device=self.device)[:, None]

    def common(self, key: str) -> Any:
        """A setting in which members cannot differ.

        Raises
        ------
        ValueError
            If they do.
        """
        choices = {getattr(s, key) for s in self.settings}
        if len(choices) > 1:
            raise ValueError(
                f"optimizer.{key} = {', '.join(map(str, sorted(choices)))}: "
                "the members of a pack must agree in it"
            )
        return choices.pop()

    def zeros(self) -> Tensor:
        """A buffer (k, P)."""
        size = sum(n.numel() for n in self.sizes.values())
        return torch.zeros(len(self.settings), size, device=self.device)

    def multipliers(self, by_name: Mapping[str, float]) -> Tensor | None:
        """A factor for each weight, (P,); None if all are 1."""
        if all(factor == 1 for factor in by_name.values()):
            return None
        return torch.cat(
            [
                torch.full((self.sizes[name].numel(),), factor, device=self.device)
                for name, factor in by_name.items()
            ]
        )

    def decay(self, weights: Tensor, lr: Tensor) -> None:
        """Shrink the weights that decay by the share lr * weight_decay."""
        weights.addcmul_(scaled(weights, self._decay_P), -(lr * self.weight_decay).float())

    def move(self, weights: Tensor, direction: Tensor, size: Tensor) -> None:
        """Subtract `direction` times `size` (k, 1), each tensor at its own rate."""
        weights.addcmul_(scaled(direction, self._lr_P), -size.float())


# Optimizer -> its update; each is described in ``scalinglab.scaling.optimizers`` under its name.
UPDATES: Registry[type[Optimizer]] = Registry("optimizer.name", __package__, makes_numbers=True)
UPDATES.wants(subclass_of(Optimizer))


def build_optimizer(
    settings: Sequence[OptimizerConfig],
    sizes: Mapping[str, torch.Size],
    rules: Mapping[str, TensorRule],
    device: str,
) -> Optimizer:
    """The optimizer of the members' settings.

    Raises
    ------
    ValueError
        If they are settings of several optimizers.
    ConfigError
        If an optimizer that is not shipped would train wrongly: see `rehearse`.
    """
    name = common_name(settings)
    kind = UPDATES[name]
    if not UPDATES.is_shipped(name):
        rehearse(name, sizes, lambda k, small: kind([settings[0]] * k, small, rules, "cpu"))
    return kind(settings, sizes, rules, device)


def norms_here(buffer: Tensor) -> Tensor:
    """Norm of each row of a buffer (k, P), (k, 1)."""
    return torch.linalg.vector_norm(buffer, dim=1, keepdim=True)


def scaled(buffer: Tensor, factors: Tensor | None) -> Tensor:
    """A buffer (k, P) times `factors` (P,), if there are any."""
    return buffer if factors is None else buffer * factors

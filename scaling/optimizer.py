"""AdamW over all members of a pack at once.

The parameters of k members lie in one buffer (k, P); settings are columns (k, 1), so members may
differ in each of them. One member's numbers never touch another's: no operation mixes rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AdamWSettings:
    """Hyper-parameters of one member; `clip` is the largest gradient norm."""

    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    clip: float


class AdamW:
    """Decoupled weight decay Adam (arXiv 1711.05101), equal to ``torch.optim.AdamW`` per member.

    Parameters
    ----------
    settings : sequence of AdamWSettings
        One a member.
    decayed : Tensor
        (P,) 1.0 where weight decay acts (matrices of the blocks and the head), else 0.0.
    """

    def __init__(self, settings: Sequence[AdamWSettings], decayed: Tensor) -> None:
        k, device = len(settings), decayed.device
        self.first = torch.zeros(k, len(decayed), device=device)
        self.second = torch.zeros(k, len(decayed), device=device)
        self.decayed = decayed

        def column(name: str) -> Tensor:
            values = [getattr(s, name) for s in settings]
            return torch.tensor(values, dtype=torch.float64, device=device)[:, None]

        self.beta1, self.beta2 = column("beta1"), column("beta2")
        self.epsilon = column("epsilon").float()
        self.weight_decay = column("weight_decay")
        self.clip = column("clip").float()

    @torch.no_grad()
    def step(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> Tensor:
        """Clip, update `weights` in place, and return the gradient norms before clipping.

        Parameters
        ----------
        weights, gradient : Tensor
            (k, P) float32; the gradient is overwritten.
        lr : Tensor
            (k,) float64.
        count : int
            Number of this update, from 1.

        Returns
        -------
        Tensor
            (k,) gradient norms.
        """
        norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        gradient.mul_((self.clip / (norms + 1e-6)).clamp(max=1.0))
        # Scalars in float64, rounded once: what torch does with Python floats.
        lr = lr[:, None]
        shrink = (lr * self.weight_decay).float()
        step_size = (lr / (1 - self.beta1**count)).float()
        second_scale = (1 - self.beta2**count).sqrt().float()
        weights.addcmul_(weights * self.decayed, -shrink)
        self.first.lerp_(gradient, (1 - self.beta1).float())
        self.second.mul_(self.beta2.float())
        self.second.addcmul_(gradient * (1 - self.beta2).float(), gradient)
        scale = self.second.sqrt().div_(second_scale).add_(self.epsilon)
        weights.addcmul_(self.first / scale, -step_size)
        return norms[:, 0]

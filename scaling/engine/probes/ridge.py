"""Ridge regression of one set of features on another."""

from __future__ import annotations

import torch
from torch import Tensor


class AffineMap:
    """An affine map from features x to features y, the ridge regression of y on x.

    Parameters
    ----------
    x_ND : Tensor, shape (N, D)
    y_NK : Tensor, shape (N, K)
        What is to be mapped to.
    ridge : float
        Penalty, as a share of the mean variance of a feature of x.
    """

    def __init__(self, x_ND: Tensor, y_NK: Tensor, ridge: float) -> None:
        self.middle_D, self.offset_K = x_ND.mean(0), y_NK.mean(0)
        centred_ND = x_ND - self.middle_D
        gram_DD = centred_ND.T @ centred_ND
        size = float(gram_DD.diagonal().mean())
        gram_DD += (ridge * size if size > 0 else 1.0) * torch.eye(len(gram_DD), dtype=x_ND.dtype)
        self.weight_DK = torch.linalg.solve(gram_DD, centred_ND.T @ (y_NK - self.offset_K))

    def __call__(self, x_MD: Tensor) -> Tensor:
        """Where it maps features, (M, K)."""
        return (x_MD - self.middle_D) @ self.weight_DK + self.offset_K

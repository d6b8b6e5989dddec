"""What weight decay and learning rate make of the weights: the largest singular value of each.

In steady state the optimizer sets the size of a hidden matrix, sqrt(lr / weight decay) width^0.75
(arXiv 2510.15262): where a decay rule is right, the values of two widths match, sublayer by
sublayer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


@torch.no_grad()
def top_singular_values(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The spectral norm of each matrix of the blocks.

    Parameters
    ----------
    weights : mapping
        Parameters by the model's names, (rows, columns), or (k, rows, columns) of k members.

    Returns
    -------
    dict
        Name without ``.weight`` -> norm, () or (k,).
    """
    return {
        name.removesuffix(".weight"): torch.linalg.matrix_norm(weight, ord=2)
        for name, weight in weights.items()
        if name.startswith("blocks") and name.endswith(".weight")
    }

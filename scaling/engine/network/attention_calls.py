"""Logits and entropies of attention, from every call of torch's scaled dot product attention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class AttentionCalls(TorchFunctionMode):
    """Measures every call of scaled dot product attention; the calls of a pass are the layers.

    Attributes
    ----------
    logit_max : list of float
        Largest absolute logit of each layer.
    entropy : list of float
        Mean entropy of each layer's attention over that of uniform attention to all visible tokens.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logit_max: list[float] = []
        self.entropy: list[float] = []
        self._layer, self._share = 0, 1.0

    def begin(self, share: float) -> None:
        """Begin a pass over a share of all tokens that are measured."""
        self._layer, self._share = 0, share

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            largest, entropy = of_call(*args, **kwargs)
            if self._layer == len(self.entropy):
                self.entropy.append(0.0)
                self.logit_max.append(-math.inf)
            self.entropy[self._layer] += self._share * entropy
            self.logit_max[self._layer] = max(self.logit_max[self._layer], largest)
            self._layer += 1
        return func(*args, **kwargs)


@torch.no_grad()
def of_call(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **_: Any,
) -> tuple[float, float]:
    """Largest logit, and mean relative entropy of tokens that see two or more."""
    T = query.shape[-2]
    size = query.shape[-1] ** -0.5 if scale is None else scale
    logits = size * (query.double() @ key.double().transpose(-1, -2))
    seen = torch.ones(T, key.shape[-2], dtype=torch.bool, device=query.device)
    if is_causal:
        seen = seen.tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        seen = seen & attn_mask
    elif attn_mask is not None:
        logits, seen = logits + attn_mask, seen & (attn_mask > -math.inf)
    seen = seen.expand(logits.shape)
    logits = logits.masked_fill(~seen, -math.inf)
    log_p = logits.log_softmax(-1)
    entropy = -(log_p.exp() * log_p.masked_fill(~seen, 0.0)).sum(-1)
    most = seen.sum(-1).double().log()
    several = most > 0
    largest = logits.masked_fill(~seen, 0.0).abs().max()
    return float(largest), float((entropy[several] / most[several]).mean())

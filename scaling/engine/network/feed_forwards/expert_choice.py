"""Experts that choose their tokens, of fixed capacity.

Letters in names are sizes: E experts, C places of an expert.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.feed_forwards.experts import Experts, Shared, Weight
from scalinglab.scaling.engine.network.part import FED_BY
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.feed_forwards.expert_choice import ExpertChoice as Description

# Scores that differ by less are equal, and the earlier token is ahead. Where a sequence begins with
# one token several times its scores differ by rounding alone, which is another in a pack.
TIE = 1e-4


@FED_BY.register("expert_choice")
class ExpertChoice(nn.Module):
    """The experts that take a token, weighted by its probabilities."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        own = architecture.feed_forward
        assert isinstance(own, Description)  # found by the same name
        self.description, self.places = own, own.slots(architecture.shape.context)
        width = own.expert_width(architecture)
        self.router = Weight("weight", own.experts, architecture.shape.width)
        self.experts = Experts(architecture, own.experts, width)
        self.shared = Shared(architecture, width * own.shared) if own.shared else None

    def forward(self, x_BTD: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The experts' addition to the stream, and the router's to the objective if any."""
        logits_BTE, taken_BTE = self.choose(x_BTD)
        weights_BTE = logits_BTE.softmax(-1) * taken_BTE
        if self.description.capacity is None:
            y_BETD = self.experts(x_BTD[..., None, :, :])
            y_BTD = torch.einsum("...te,...etd->...td", weights_BTE, y_BETD)
        else:
            sent_BTEC = self.place(taken_BTE)
            y_BECD = self.experts(torch.einsum("...tec,...td->...ecd", sent_BTEC, x_BTD))
            back_BTEC = sent_BTEC * weights_BTE[..., None]
            y_BTD = torch.einsum("...tec,...ecd->...td", back_BTEC, y_BECD)
        if self.shared is not None:
            y_BTD = y_BTD + self.shared(x_BTD)
        z_loss = self.description.router_z_loss
        return (y_BTD, z_loss * logits_BTE.logsumexp(-1).square().mean()) if z_loss else y_BTD

    def choose(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """The router's logits, in float32, and one where an expert takes a token, else zero."""
        with torch.autocast(x_BTD.device.type, enabled=False):
            logits_BTE = F.linear(x_BTD.float(), self.router.weight)
        own, T = self.description, x_BTD.shape[-2]
        so_far_T = torch.arange(1, T + 1, device=x_BTD.device)
        # Its share of the tokens so far, rounded: in whole numbers, as floats may round otherwise.
        wanted_T = (2 * own.top_k * so_far_T + own.experts) // (2 * own.experts)
        before_TT = torch.ones(T, T, dtype=torch.bool, device=x_BTD.device).tril(-1)
        taken = []
        # One expert after another: the comparisons of all at once would be E times as large.
        for score_BT in logits_BTE.detach().softmax(-1).unbind(-1):
            least_BT = score_BT * (1 - TIE)
            is_ahead_BTT = (score_BT[..., None, :] >= least_BT[..., :, None]) & before_TT
            taken.append(is_ahead_BTT.sum(-1) < wanted_T)
        return logits_BTE, torch.stack(taken, -1).to(logits_BTE.dtype)

    def place(self, taken_BTE: Tensor) -> Tensor:
        """The place of each token in the experts that take it, one-hot; zeros if one is full."""
        number_BTE = taken_BTE.cumsum(-2) - taken_BTE
        places_C = torch.arange(self.places, device=taken_BTE.device)
        return (number_BTE[..., None] == places_C).to(taken_BTE.dtype) * taken_BTE[..., None]

    def tell(self, x_BTD: Tensor) -> dict[str, Tensor]:
        """The fullest expert's load over an even one, what is dropped, and a token's experts."""
        own = self.description
        _, taken_BTE = self.choose(x_BTD)
        placed_BTE = taken_BTE
        if own.capacity is not None:
            placed_BTE = self.place(taken_BTE).sum(-1)
        return {
            "router_max_load": taken_BTE.mean((0, 1)).max() * own.experts / own.top_k,
            "router_dropped": 1 - placed_BTE.sum() / taken_BTE.sum().clamp_min(1),
            "router_experts": placed_BTE.sum(-1).mean(),
            "router_skipped": (placed_BTE.sum(-1) == 0).to(taken_BTE.dtype).mean(),
        }

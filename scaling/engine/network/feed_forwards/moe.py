"""A mixture of experts, of fixed capacity unless tokens are sorted by expert.

Without sorting all shapes are fixed: tokens are dispatched by products with ones and zeros (GShard,
arXiv 2006.16668), so that steps can be batched over runs and captured. Each sequence is routed by
itself, and an expert's places are taken in the order of the tokens. So the output of a token
depends neither on later tokens nor on how a batch is cut. Letters in names are sizes: E experts,
S choices of a token (its ``top_k``), C places of an expert.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.feed_forwards.experts import Experts, Shared, Weight
from scalinglab.scaling.engine.network.part import FED_BY
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.feed_forwards.moe import MoE as Description

# Factor of the gradient of the balancing biases, which keeps them out of the clipped norm.
SHARE_OF_BIAS = 0.01


@FED_BY.register("moe")
class MoE(nn.Module):
    """The experts that a router chooses for each token, weighted by its scores.

    With several experts per token their weights are divided by their sum; the weight of a single
    one is its score, without which the router would have no gradient.
    """

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        moe = architecture.feed_forward
        assert isinstance(moe, Description)  # found by the same name
        self.description, self.places = moe, moe.slots(architecture.shape.context)
        width = moe.expert_width(architecture)
        self.router = Weight("weight", moe.experts, architecture.shape.width)
        self.balance = Weight("bias", moe.experts) if moe.balance == "bias" else None
        self.experts = Experts(architecture, moe.experts, width)
        self.shared = Shared(architecture, width * moe.shared) if moe.shared else None

    def forward(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """The experts' addition to the stream, and the router's addition to the objective."""
        logits_BTE, chosen_BTSE = self.choose(x_BTD)
        weights_BTS = (self.scores(logits_BTE)[..., None, :] * chosen_BTSE).sum(-1)
        if self.description.top_k > 1:
            weights_BTS = weights_BTS / weights_BTS.sum(-1, keepdim=True)
        if self.description.dispatch == "sorted":
            y_BTD = self.sort(x_BTD, chosen_BTSE.argmax(-1), weights_BTS)
        elif self.description.capacity is None:
            weights_BTE = torch.einsum("...tse,...ts->...te", chosen_BTSE, weights_BTS)
            y_BETD = self.experts(x_BTD[..., None, :, :])
            y_BTD = torch.einsum("...te,...etd->...td", weights_BTE, y_BETD)
        else:
            place_BTSC = self.place(chosen_BTSE)
            sent_BTEC = torch.einsum("...tse,...tsc->...tec", chosen_BTSE, place_BTSC)
            weighed_BTSC = place_BTSC * weights_BTS[..., None]
            back_BTEC = torch.einsum("...tse,...tsc->...tec", chosen_BTSE, weighed_BTSC)
            y_BECD = self.experts(torch.einsum("...tec,...td->...ecd", sent_BTEC, x_BTD))
            y_BTD = torch.einsum("...tec,...ecd->...td", back_BTEC, y_BECD)
        if self.shared is not None:
            y_BTD = y_BTD + self.shared(x_BTD)
        return y_BTD, self.penalty(logits_BTE, chosen_BTSE)

    def sort(self, x_BTD: Tensor, chosen_BTS: Tensor, weights_BTS: Tensor) -> Tensor:
        """The output of the experts, each run on the tokens that chose it and no others."""
        chosen_N = chosen_BTS.flatten()
        order_N = chosen_N.argsort(stable=True)
        load_E = chosen_N.bincount(minlength=self.description.experts)
        token_N = order_N // self.description.top_k
        x_ND = x_BTD.flatten(0, -2)
        y_ND = self.experts.sorted(x_ND[token_N], load_E) * weights_BTS.flatten()[order_N, None]
        return torch.zeros_like(x_ND).index_add(0, token_N, y_ND.to(x_ND.dtype)).view_as(x_BTD)

    def choose(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """The router's logits, in float32, and each choice of a token, one-hot over experts."""
        with torch.autocast(x_BTD.device.type, enabled=False):
            logits_BTE = F.linear(x_BTD.float(), self.router.weight)
        ranked_BTE = logits_BTE
        if self.balance is not None:
            # The bias has the unit of what is compared: logits, or the scores of DeepSeek-V3.
            sigmoid = self.description.gates == "sigmoid"
            ranked_BTE = (logits_BTE.sigmoid() if sigmoid else logits_BTE) + self.balance.bias
        chosen_BTS = ranked_BTE.detach().topk(self.description.top_k, dim=-1).indices
        numbers_E = torch.arange(self.description.experts, device=x_BTD.device)
        return logits_BTE, (chosen_BTS[..., None] == numbers_E).to(logits_BTE.dtype)

    def scores(self, logits_BTE: Tensor) -> Tensor:
        """What a token's experts are weighted by before they are divided by their sum."""
        if self.description.gates == "softmax":
            return logits_BTE.softmax(-1)
        # Never zero, so that the sum of a token's experts is not, either.
        return logits_BTE.sigmoid().clamp_min(torch.finfo(logits_BTE.dtype).tiny)

    def place(self, chosen_BTSE: Tensor) -> Tensor:
        """The place of each choice in its expert, one-hot; zeros if the expert is full."""
        flat_BNE = chosen_BTSE.flatten(-3, -2)
        before_BNE = flat_BNE.cumsum(-2) - flat_BNE
        number_BTS = (before_BNE * flat_BNE).sum(-1).unflatten(-1, chosen_BTSE.shape[-3:-1])
        places_C = torch.arange(self.places, device=chosen_BTSE.device)
        return (number_BTS[..., None] == places_C).to(chosen_BTSE.dtype)

    def penalty(self, logits_BTE: Tensor, chosen_BTSE: Tensor) -> Tensor:
        """The objective's terms for an even load and small logits; a mean over sequences."""
        moe = self.description
        load_BE = chosen_BTSE.sum(-2).mean(-2) / moe.top_k  # adds up to one
        penalty = torch.zeros_like(load_BE).sum()
        if moe.balance == "loss":
            scores_BTE = self.scores(logits_BTE)
            if moe.gates == "sigmoid":
                scores_BTE = scores_BTE / scores_BTE.sum(-1, keepdim=True)
            share_BE = scores_BTE.mean(-2)
            even = moe.experts * (load_BE * share_BE).sum(-1).mean()  # one where the load is even
            penalty = penalty + moe.balance_weight * even
        if self.balance is not None:
            excess_E = load_BE.mean(0) - 1 / moe.experts
            penalty = penalty + SHARE_OF_BIAS * (self.balance.bias * excess_E).sum()
        if moe.router_z_loss:
            penalty = penalty + moe.router_z_loss * logits_BTE.logsumexp(-1).square().mean()
        return penalty

    def tell(self, x_BTD: Tensor) -> dict[str, Tensor]:
        """The load of the fullest expert over an even one, and the share of choices dropped."""
        _, chosen_BTSE = self.choose(x_BTD)
        load_E = chosen_BTSE.sum(-2).mean((0, 1)) / self.description.top_k
        placed_share = torch.ones_like(load_E[0])
        if self.description.capacity is not None:
            placed_share = self.place(chosen_BTSE).sum(-1).mean()
        return {
            "router_max_load": load_E.max() * self.description.experts,
            "router_dropped": 1 - placed_share,
        }

"""The loss of a model on tokens: its precision, z-loss, and recomputation to save memory."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from scalinglab.scaling.engine.network.cross_entropy import mean_cross_entropy
from scalinglab.scaling.engine.network.module import ModuleLoss
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.run.step_options import StepOptions

# The state of random generators is not kept, as passes draw no random numbers.
recomputed = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)


def build_loss(network: Network, options: StepOptions, seed: int) -> ModelLoss | ModuleLoss:
    """The loss of a network as a module.

    Parameters
    ----------
    network : Network
    options : StepOptions
    seed : int
        Of the weights that a network of somebody else draws when it is built; they are replaced.
    """
    if isinstance(network, ModuleNetwork):
        return ModuleLoss(network, options, seed)
    return ModelLoss(network, options)


class ModelLoss(nn.Module):
    """Mean loss of tokens (B, T + 1), the last of each sequence being only a target."""

    def __init__(self, architecture: Architecture, options: StepOptions) -> None:
        super().__init__()
        self.model = Transformer(architecture, options.excluded)
        self.options = options
        if options.recompute:
            for block in self.model.blocks:
                block.forward = partial(recomputed, block.forward)

    def forward(self, tokens_BT: Tensor, key: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy in nats a token, and what the objective adds to it; both scalars.

        With a key, in training, dropout draws by it.
        """
        half = self.options.precision == "bf16"
        with torch.autocast(tokens_BT.device.type, torch.bfloat16, half, cache_enabled=False):
            x_BTD, of_parts = self.model.stream(tokens_BT[:, :-1], key)
            targets_BT = tokens_BT[:, 1:]
            if self.options.loss_chunk is None:
                loss, penalty = self._head_loss(x_BTD, targets_BT)
            else:
                flat_1ND, flat_1N = x_BTD.flatten(0, 1)[None], targets_BT.reshape(1, -1)
                loss, penalty = self._chunked(flat_1ND, flat_1N)
            return loss, penalty if of_parts is None else penalty + of_parts

    def _chunked(self, x_1ND: Tensor, targets_1N: Tensor) -> tuple[Tensor, Tensor]:
        """The same by chunks of tokens, whose logits are computed again for the backward pass."""
        size, tokens = self.options.loss_chunk, targets_1N.shape[1]
        losses: list[Any] = []
        penalties: list[Any] = []
        for x, targets in zip(x_1ND.split(size, 1), targets_1N.split(size, 1), strict=True):
            share = targets.shape[1] / tokens
            loss, penalty = recomputed(self._head_loss, x, targets)
            losses.append(loss * share)
            penalties.append(penalty * share)
        return sum(losses), sum(penalties)

    def _head_loss(self, x_BTD: Tensor, targets_BT: Tensor) -> tuple[Tensor, Tensor]:
        # Softmax in float32: bfloat16 has 8 bits of a sum over the whole vocabulary.
        logits_NV = self.model.logits(x_BTD).flatten(0, 1).float()
        loss = mean_cross_entropy(logits_NV, targets_BT.flatten(), self.options.excluded)
        if not self.options.z_loss:
            return loss, torch.zeros_like(loss)
        # Keeps the log-normaliser near 0: else logits drift and diverge late (arXiv 2309.14322).
        return loss, self.options.z_loss * logits_NV.logsumexp(-1).square().mean()

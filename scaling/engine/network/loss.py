"""The loss of a model on tokens: precision, z-loss, and what trades time for memory."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from scalinglab.scaling.engine.network.cross_entropy import mean_cross_entropy
from scalinglab.scaling.engine.network.module import ModuleLoss
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.run.step_options import StepOptions

# What is computed again draws no random numbers.
again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)


def build_loss(network: Network, options: StepOptions, seed: int) -> ModelLoss | ModuleLoss:
    """What computes the loss of a network.

    Parameters
    ----------
    network : Network
    options : StepOptions
    seed : int
        Of what a network of anybody's draws beside its parameters, which are replaced.
    """
    if isinstance(network, ModuleNetwork):
        return ModuleLoss(network, options, seed)
    return ModelLoss(network, options)


class ModelLoss(nn.Module):
    """Tokens (B, T + 1), the last of each sequence being a target only, to their mean loss."""

    def __init__(self, architecture: Architecture, options: StepOptions) -> None:
        super().__init__()
        self.model = Transformer(architecture, options.excluded)
        self.options = options
        if options.recompute:
            for block in self.model.blocks:
                block.forward = partial(again, block.forward)

    def forward(self, tokens_BT: Tensor, key: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy in nats a token, and what the objective adds to it; both scalars.

        With a key, in training, dropout draws by it.
        """
        half = self.options.precision == "bf16"
        with torch.autocast(tokens_BT.device.type, torch.bfloat16, half, cache_enabled=False):
            x_BTD, more = self.model.stream(tokens_BT[:, :-1], key)
            targets_BT = tokens_BT[:, 1:]
            if self.options.loss_chunk is None:
                loss, penalty = self._head_loss(x_BTD, targets_BT)
            else:
                flat_1ND, flat_1N = x_BTD.flatten(0, 1)[None], targets_BT.reshape(1, -1)
                loss, penalty = self._chunked(flat_1ND, flat_1N)
            return loss, penalty if more is None else penalty + more

    def _chunked(self, x_1ND: Tensor, targets_1N: Tensor) -> tuple[Tensor, Tensor]:
        """The same in parts of N tokens, whose logits are made again for the backward pass."""
        size, tokens = self.options.loss_chunk, targets_1N.shape[1]
        parts = zip(x_1ND.split(size, 1), targets_1N.split(size, 1), strict=True)
        sums = [
            [value * (t.shape[1] / tokens) for value in again(self._head_loss, x, t)]
            for x, t in parts
        ]
        loss, penalty = zip(*sums, strict=True)
        return sum(loss), sum(penalty)

    def _head_loss(self, x_BTD: Tensor, targets_BT: Tensor) -> tuple[Tensor, Tensor]:
        # Softmax in float32: bfloat16 has 8 bits of a sum over the whole vocabulary.
        logits_NV = self.model.logits(x_BTD).flatten(0, 1).float()
        loss = mean_cross_entropy(logits_NV, targets_BT.flatten(), self.options.excluded)
        if not self.options.z_loss:
            return loss, torch.zeros_like(loss)
        # Keeps the log-normaliser near 0: else logits drift and diverge late (arXiv 2309.14322).
        return loss, self.options.z_loss * logits_NV.logsumexp(-1).square().mean()

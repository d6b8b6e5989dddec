"""The weighted sum of the gradients that several processes have of one step.

The sum begins while the backward pass still runs. A gradient's buffer is cut into buckets, from
its end, where the backward pass begins; each is sent once it is complete, as in torch's DDP
(arXiv 2006.15704), always in the same order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch.distributed as dist
from torch import Tensor

from scalinglab.scaling.engine.network.stacked import StackedParameters

BUCKET_BYTES = 25 * 2**20  # DDP's


class Reduction(Protocol):
    """The sum of the gradients of a step over the processes of a run."""

    def begin(self) -> None:
        """Say that the next backward pass is the step's last: its gradients may be sent."""

    def finish(self, gradient: Tensor) -> None:
        """Wait until `gradient`, (k, P), holds the sum."""

    def drop(self) -> None:
        """Wait for what was sent, and forget it: the backward pass failed and will be repeated."""


class Alone:
    """A run of one process: there is nothing to sum."""

    def begin(self) -> None:
        """See ``Reduction.begin``."""

    def finish(self, gradient: Tensor) -> None:
        """See ``Reduction.finish``."""

    def drop(self) -> None:
        """See ``Reduction.drop``."""


class Buckets:
    """Sums of gradients over the ranks of the default group, each times its share of the batch.

    Parameters
    ----------
    module : StackedParameters
        Of one member.
    most : int
        Bytes of a bucket; a larger parameter is one by itself.

    Attributes
    ----------
    share : float
        This rank's share of the batch's sequences.
    """

    def __init__(self, module: StackedParameters, most: int = BUCKET_BYTES) -> None:
        self.share = 1.0
        parameters = list(module.named().values())
        buckets = cut([p.numel() for p in parameters], most // parameters[0].element_size())
        bounds = [0]
        for bucket in buckets:
            bounds.append(bounds[-1] + sum(parameters[i].numel() for i in bucket))
        row = module.gradient[0]
        # From the last: the backward pass completes the gradients of a network's end first.
        self._pieces = [row[a:b] for a, b in itertools.pairwise(bounds)][::-1]
        self._sizes = [len(bucket) for bucket in buckets][::-1]
        for number, bucket in enumerate(reversed(buckets)):
            for i in bucket:
                parameters[i].register_post_accumulate_grad_hook(partial(self._arrived, number))
        self._missing: list[int] | None = None  # parameters of each bucket; None: not to be sent
        self._sent: list[dist.Work] = []

    def begin(self) -> None:
        """See ``Reduction.begin``."""
        self._missing = list(self._sizes)

    def finish(self, gradient: Tensor) -> None:
        """See ``Reduction.finish``."""
        while len(self._sent) < len(self._pieces):
            self._send()
        self.drop()

    def drop(self) -> None:
        """See ``Reduction.drop``."""
        for work in self._sent:
            work.wait()
        self._missing, self._sent = None, []

    def _arrived(self, number: int, parameter: Tensor) -> None:
        """Called when the gradient of a parameter of bucket `number` is complete."""
        if self._missing is None:
            return
        self._missing[number] -= 1
        # In the same order on all ranks, whatever the order in which gradients are completed.
        while len(self._sent) < len(self._pieces) and not self._missing[len(self._sent)]:
            self._send()

    def _send(self) -> None:
        weighted = self._pieces[len(self._sent)].mul_(self.share)
        self._sent.append(dist.all_reduce(weighted, async_op=True))


def cut(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Positions of neighbours that together have at most `most` numbers, filled from the end.

    >>> cut([9, 2, 3, 1], 4)
    [[0], [1], [2, 3]]
    """
    buckets: list[list[int]] = []
    filled = most
    for i in reversed(range(len(sizes))):
        if not buckets or filled + sizes[i] > most:
            buckets.insert(0, [])
            filled = 0
        buckets[0].insert(0, i)
        filled += sizes[i]
    return buckets

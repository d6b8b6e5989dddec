"""The process group of one run: what its ranks send to each other."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import UserError

# Waiting is no failure: rank 0 may write a large checkpoint. A rank that dies is noticed outside.
PATIENCE = timedelta(days=1)


class Group:
    """The ranks of a run: commands travel between hosts, gradients between devices."""

    def __init__(self, rank: int, execution: ExecutionConfig) -> None:
        self.rank, self.size = rank, execution.processes
        if execution.device == "cuda":
            local = int(os.environ.get("LOCAL_RANK") or os.environ["SLURM_LOCALID"])
            if local >= torch.cuda.device_count():
                raise UserError(
                    f"execution.processes = {self.size}: rank {rank} is number {local + 1} of its "
                    f"node, which shows {torch.cuda.device_count()} CUDA devices"
                )
            torch.cuda.set_device(local)
        backend = "nccl" if execution.device == "cuda" else "gloo"
        dist.init_process_group(backend, rank=rank, world_size=self.size, timeout=PATIENCE)
        self._hosts = dist.new_group(backend="gloo", timeout=PATIENCE)

    def scatter(self, commands: list[tuple[str, Any]]) -> Any:
        """Send every rank its command; returns the value of rank 0's own."""
        received: list[Any] = [None]
        dist.scatter_object_list(received, commands, src=0, group=self._hosts)
        return received[0][1]

    def receive(self) -> tuple[str, Any]:
        """The next command of rank 0."""
        received: list[Any] = [None]
        dist.scatter_object_list(received, None, src=0, group=self._hosts)
        return received[0]

    def share(self, tensor: Tensor | None) -> Tensor:
        """Rank 0's tensor, copied to every host; the other ranks pass None.

        Its bytes are sent, as gloo knows no int16 and no float8.
        """
        described: list[Any] = [None if tensor is None else (tensor.shape, tensor.dtype)]
        dist.broadcast_object_list(described, src=0, group=self._hosts)
        size, dtype = described[0]
        shared = torch.empty(size, dtype=dtype) if tensor is None else tensor.contiguous()
        dist.broadcast(shared.reshape(-1).view(torch.uint8), src=0, group=self._hosts)
        return shared

    def wait(self) -> None:
        """Wait until every rank has come here."""
        dist.barrier(group=self._hosts)

    def sum(self, addends: np.ndarray) -> np.ndarray:
        """Sum over ranks in float64."""
        total = torch.from_numpy(addends.astype(np.float64))
        dist.all_reduce(total, group=self._hosts)
        return total.numpy()

    def leave(self) -> None:
        """Leave the process group."""
        dist.destroy_process_group()

"""Tensors of which every process holds some rows, and which one process, the owner, updates whole.

For optimizers that need whole matrices (Muon's singular vectors, SOAP's bases). No update is
computed twice, as in K. Jordan's distributed Muon. A step's gradients go to the owners and the new
weights come back: of P numbers that have owners, a process sends 2 P / ranks, whereas gathering and
scattering by FSDP moves 3 P.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor


class OwnedTensors:
    """Some tensors of a model, each of which has one owner among the ranks of the default group.

    Parameters
    ----------
    sizes : mapping
        Size of each of them by name.
    device : str
        Where they lie.

    Attributes
    ----------
    owned : dict
        Sizes of those that this rank owns.
    """

    def __init__(self, sizes: Mapping[str, torch.Size], device: str) -> None:
        self.rank, self.ranks = dist.get_rank(), range(dist.get_world_size())
        self.sizes, self.device = sizes, device
        self.names_by_rank = assign_owners(sizes, len(self.ranks))
        self.owned = {name: sizes[name] for name in self.names_by_rank[self.rank]}

    def whole(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that this rank owns, from the rows that all ranks have of them."""
        received = self._exchange(
            [[rows[name] for name in names] for names in self.names_by_rank],
            [[self._rows(name, rank) for name in self.owned] for rank in self.ranks],
        )
        return {
            name: torch.cat(rows_by_rank)
            for name, rows_by_rank in zip(self.owned, zip(*received, strict=True), strict=True)
        }

    def rows(self, owned: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """This rank's rows of all the tensors, from their owners."""
        received = self._exchange(
            [[rows_of(owned[name], rank) for name in self.owned] for rank in self.ranks],
            [[self._rows(name, self.rank) for name in names] for names in self.names_by_rank],
        )
        return {
            name: rows
            for names, rows_by_name in zip(self.names_by_rank, received, strict=True)
            for name, rows in zip(names, rows_by_name, strict=True)
        }

    def _rows(self, name: str, rank: int) -> torch.Size:
        return rows_of(torch.empty(self.sizes[name], device="meta"), rank).shape

    def _exchange(
        self, sent: Sequence[Sequence[Tensor]], sizes: Sequence[Sequence[torch.Size]]
    ) -> list[list[Tensor]]:
        """Send to each rank its tensors; what each rank has sent to this one, in these sizes."""
        if not self.sizes:
            return [[] for _ in self.ranks]
        rows = [[tensor.flatten() for tensor in for_rank] for for_rank in sent]
        lengths = [[size.numel() for size in of_rank] for of_rank in sizes]
        received = torch.empty(sum(map(sum, lengths)), device=self.device)
        dist.all_to_all_single(
            received,
            torch.cat([received[:0], *(row for for_rank in rows for row in for_rank)]),
            [sum(of_rank) for of_rank in lengths],
            [sum(map(len, for_rank)) for for_rank in rows],
        )
        pieces = iter(received.split([length for of_rank in lengths for length in of_rank]))
        return [[next(pieces).view(size) for size in of_rank] for of_rank in sizes]


def assign_owners(sizes: Mapping[str, torch.Size], ranks: int) -> list[list[str]]:
    """Names of the tensors of each rank: the largest first, each to the rank with least so far."""
    names: list[list[str]] = [[] for _ in range(ranks)]
    loads = [0] * ranks  # numbers of each rank
    for name in sorted(sizes, key=lambda n: -sizes[n].numel()):
        least = loads.index(min(loads))
        names[least].append(name)
        loads[least] += sizes[name].numel()
    return names


def rows_of(tensor: Tensor, rank: int) -> Tensor:
    """A rank's rows of a tensor, as FSDP cuts it: equal chunks, the last ones smaller or empty."""
    chunks = tensor.chunk(dist.get_world_size())
    return chunks[rank] if rank < len(chunks) else tensor[:0]

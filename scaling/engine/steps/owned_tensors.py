"""Tensors of which every process computes with its rows, and one, their owner, updates the whole.

To an optimizer that looks at whole matrices (Muon's singular vectors, SOAP's bases) the model of a
process then just has fewer tensors. So no update is computed twice, as K. Jordan's
distributed Muon has it. A step's gradients go to their owners and its weights come back: a process
sends 2 P / ranks floats of P dealt ones, where FSDP's gathering and scattering moves 3 P.
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
        """The tensors of this rank, from the rows that all ranks have of them."""
        received = self._exchange(
            [[rows[name] for name in names] for names in self.names_by_rank],
            [[self._rows(name, rank) for name in self.owned] for rank in self.ranks],
        )
        return {
            name: torch.cat(parts)
            for name, parts in zip(self.owned, zip(*received, strict=True), strict=True)
        }

    def rows(self, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """This rank's rows of all the tensors, from their owners."""
        received = self._exchange(
            [[rows_of(whole[name], rank) for name in self.owned] for rank in self.ranks],
            [[self._rows(name, self.rank) for name in names] for names in self.names_by_rank],
        )
        return {
            name: rows
            for names, parts in zip(self.names_by_rank, received, strict=True)
            for name, rows in zip(names, parts, strict=True)
        }

    def _rows(self, name: str, rank: int) -> torch.Size:
        return rows_of(torch.empty(self.sizes[name], device="meta"), rank).shape

    def _exchange(
        self, sent: Sequence[Sequence[Tensor]], sizes: Sequence[Sequence[torch.Size]]
    ) -> list[list[Tensor]]:
        """What each rank has for this one, in the given sizes, for what it has for each."""
        if not self.sizes:
            return [[] for _ in self.ranks]
        flat = [[part.flatten() for part in parts] for parts in sent]
        lengths = [[size.numel() for size in of_rank] for of_rank in sizes]
        received = torch.empty(sum(map(sum, lengths)), device=self.device)
        dist.all_to_all_single(
            received,
            torch.cat([received[:0], *(part for parts in flat for part in parts)]),
            [sum(of_rank) for of_rank in lengths],
            [sum(map(len, parts)) for parts in flat],
        )
        parts = iter(received.split([length for of_rank in lengths for length in of_rank]))
        return [[next(parts).view(size) for size in of_rank] for of_rank in sizes]


def assign_owners(sizes: Mapping[str, torch.Size], ranks: int) -> list[list[str]]:
    """Names of the tensors of each rank: the largest first, each to who has least so far."""
    names: list[list[str]] = [[] for _ in range(ranks)]
    held = [0] * ranks
    for name in sorted(sizes, key=lambda n: -sizes[n].numel()):
        least = held.index(min(held))
        names[least].append(name)
        held[least] += sizes[name].numel()
    return names


def rows_of(whole: Tensor, rank: int) -> Tensor:
    """A rank's rows of a tensor, as FSDP cuts it: equal chunks, the last ones smaller or empty."""
    chunks = whole.chunk(dist.get_world_size())
    return chunks[rank] if rank < len(chunks) else whole[:0]

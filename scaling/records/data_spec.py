"""The data of a run in its stored science: sources, pools, and the mixture over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from scalinglab.scaling.records.identity import (
    digest,
    mixture_pieces,
)
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.shares import Shares

T = TypeVar("T")


class _Selected:
    """Selection and weights of documents, in a pool or in the only source."""

    content: str
    select: Mapping[str, Any] | None
    weight: Mapping[str, Any] | None
    validation_select: Mapping[str, Any] | None

    @property
    def chosen(self) -> dict[str, Any]:
        """Selection and weights of documents, as in the science."""
        keys = ("select", "weight", "validation_select")
        return {key: value for key in keys if (value := getattr(self, key)) is not None}

    @property
    def validation_content(self) -> str:
        """A hash of the validation set: of the data, and of the selection if there is one."""
        if self.validation_select is None:
            return self.content
        return f"{self.content}/{digest(dict(self.validation_select), 6)}"


@dataclass(frozen=True)
class PoolSpec(_Selected):
    """One of several pools.

    Attributes
    ----------
    source, content : str
        Name of the source, and the hash of its tokens.
    unique_tokens : int
    noise : float
        Share of its training tokens that are replaced.
    select, weight, validation_select : mapping or None
        How its documents are selected and weighted; None: all of them, equally.
    """

    source: str
    content: str
    unique_tokens: int
    noise: float = 0.0
    select: Mapping[str, Any] | None = None
    weight: Mapping[str, Any] | None = None
    validation_select: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class DataSpec(_Selected):
    """The data that a run is trained on.

    Attributes
    ----------
    source, content : str
        Name of the source, and the hash of its tokens; for several pools their names joined by
        pluses, and one hash of all.
    validation_tokens, unique_tokens : int
        Tokens of the validation set (of each pool), and of the pool (of all pools together).
    seed : int
        Seed of the order.
    noise, select, weight, validation_select
        As in `PoolSpec`.
    pools : mapping of str to PoolSpec
        Empty if there is a single source.
    mixture : mapping of str to tuple of Piece
        Pool -> its share over the steps.
    """

    source: str
    content: str
    validation_tokens: int
    unique_tokens: int
    seed: int
    noise: float = 0.0
    select: Mapping[str, Any] | None = None
    weight: Mapping[str, Any] | None = None
    validation_select: Mapping[str, Any] | None = None
    pools: Mapping[str, PoolSpec] = field(default_factory=dict)
    mixture: Mapping[str, tuple[Piece, ...]] = field(default_factory=dict)

    @classmethod
    def from_science(cls, science: Mapping[str, Any]) -> DataSpec:
        """Read the data from a science that has a value for every key of today."""
        data = science["data"]
        values = {f.name: data[f.name] for f in fields(cls) if f.name not in ("pools", "mixture")}
        pools = {name: known_fields(PoolSpec, pool) for name, pool in data["pools"].items()}
        mixture = {name: tuple(pieces) for name, pieces in mixture_pieces(science).items()}
        return cls(**values, pools=pools, mixture=mixture)

    def shares(self, batch: int) -> Shares:
        """The pool from which each sequence is drawn, with `batch` sequences a step."""
        return Shares(self.mixture, batch)


def mixture_text(mixture: Mapping[str, Sequence[Piece]]) -> str:
    """The shares of the pools in a line: "web 0.7 to 0.5, code 0.3 to 0.5"."""
    texts = []
    for pool, pieces in sorted(mixture.items()):
        start, end = pieces[0].start, pieces[-1].end
        change = "" if start == end else f" to {end:.4g}"
        texts.append(f"{pool} {start:.4g}{change}")
    return ", ".join(texts)


def known_fields(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass from the keys that it knows; absent keys have its defaults."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: values[name] for name in names if name in values})

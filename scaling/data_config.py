"""The typed configuration of a run's data: sources, pools, mixtures, selections of documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_0, AT_LEAST_1, FRACTION, Within, setting


@dataclass(frozen=True)
class TokenizerConfig:
    """What turns documents into tokens."""

    name: str = "bytes"
    options: dict[str, Any] = field(default_factory=dict)  # the tokenizer's own


TOP, BOTTOM, RANDOM = "top", "bottom", "random"


@dataclass(frozen=True)
class SelectConfig:
    """Which documents of a store are read, by the columns that it keeps (docs/data.md).

    Attributes
    ----------
    where : str
        A condition on columns: the documents that meet it.
    keep : str
        Of those, in the order of a column or a random one, ...
    by : str
        The column of numbers that orders them, for ``top`` and ``bottom``.
    fraction : float
        ... so much of their tokens.
    skip : float
        ... after this share of them.
    seed : int
        Of the random order, and of that of documents with equal numbers; not the run's.
    """

    where: str = ""
    keep: str = setting("", ("", TOP, BOTTOM, RANDOM))
    by: str = ""
    fraction: float = setting(1.0, Within(0, 1, above=True))
    skip: float = setting(0.0, Within(0, 1, below=True))
    seed: int = 0


@dataclass(frozen=True)
class PoolConfig:
    """One pool of several: a token source, and how often a token of it may be seen."""

    source: str
    options: dict[str, Any] = field(default_factory=dict)  # the source's own
    unique_tokens: int | None = setting(None, AT_LEAST_1)  # None: the whole training part
    max_epochs: float | None = setting(None, ABOVE_0)  # None: data.max_epochs
    noise: float = setting(0.0, FRACTION)  # share of its training tokens that are replaced
    select: SelectConfig | None = None  # which documents it is; None: all
    weight: str = ""  # a column: how often documents are drawn is in proportion to it
    validation_select: SelectConfig | None = None  # which documents its validation part is


@dataclass(frozen=True)
class MixturePieceConfig:
    """A stretch of a run and the shares in which its pools are drawn.

    Attributes
    ----------
    weights : mapping or None
        Pool -> share where it begins; None: as the piece before ended.
    end : mapping or None
        Shares where it ends, on a straight line; None: they stay.
    tokens, fraction : int, float or None
        Its length, or that over the run's; neither: what the others leave.
    """

    weights: dict[str, float] | None = None
    end: dict[str, float] | None = None
    tokens: int | None = setting(None, AT_LEAST_0)
    fraction: float | None = setting(None, FRACTION)


@dataclass(frozen=True)
class DataConfig:
    """Where tokens come from, what is cut off for validation, how often a token may be seen.

    One source; or `pools`, drawn in the shares `weights`, or in those of the pieces of `mixture`
    where they change during the run.
    """

    source: str = "stdlib"
    options: dict[str, Any] = field(default_factory=dict)  # the source's own
    tokenizer: TokenizerConfig | None = None  # of sources of documents; None: bytes
    validation_tokens: int = setting(65_536, AT_LEAST_1)
    unique_tokens: int | None = setting(None, AT_LEAST_1)  # None: the whole training part
    max_epochs: float = setting(1.0, ABOVE_0)
    seed: int | None = None  # of the order; None: the run's seed
    pools: dict[str, PoolConfig] = setting({}, historic={})
    weights: dict[str, float] = setting({})
    mixture: list[MixturePieceConfig] = setting([], historic={})
    # D of a larger run: its pools are cut so that each token is seen as often as there.
    match_repetition: int | None = setting(None, AT_LEAST_1)
    noise: float = setting(0.0, FRACTION, historic=0.0)  # as a pool's
    select: SelectConfig | None = setting(None, historic=None)  # as a pool's
    weight: str = setting("", historic=None)  # as a pool's
    validation_select: SelectConfig | None = setting(None, historic=None)  # as a pool's

"""The typed configuration of a run's data: sources, pools, mixtures, selections of documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_0, AT_LEAST_1, FRACTION, Within, setting


@dataclass(frozen=True)
class TokenizerConfig:
    """The tokenizer, which turns documents into tokens."""

    name: str = "bytes"
    options: dict[str, Any] = field(default_factory=dict)  # options of the tokenizer


TOP, BOTTOM, RANDOM = "top", "bottom", "random"


@dataclass(frozen=True)
class SelectConfig:
    """A selection of the documents of a store, by its columns (docs/data.md).

    Attributes
    ----------
    where : str
        A condition on columns: only documents that meet it are read.
    keep : str
        Which of them: the top or bottom in the order of a column, or a random sample.
    by : str
        The numeric column of that order, for ``top`` and ``bottom``.
    fraction : float
        The share of their tokens that is read.
    skip : float
        The share of their tokens that is skipped before.
    seed : int
        Seed of the random order, and of the order of documents with equal numbers; not the run's.
    """

    where: str = ""
    keep: str = setting("", ("", TOP, BOTTOM, RANDOM))
    by: str = ""
    fraction: float = setting(1.0, Within(0, 1, above=True))
    skip: float = setting(0.0, Within(0, 1, below=True))
    seed: int = 0


@dataclass(frozen=True)
class PoolConfig:
    """One of several pools: a token source, and how often its tokens may be seen."""

    source: str
    options: dict[str, Any] = field(default_factory=dict)  # the source's own
    unique_tokens: int | None = setting(None, AT_LEAST_1)  # None: the whole training part
    max_epochs: float | None = setting(None, ABOVE_0)  # None: data.max_epochs
    noise: float = setting(0.0, FRACTION)  # share of its training tokens that is replaced
    select: SelectConfig | None = None  # a selection of its documents; None: all
    weight: str = ""  # a column: documents are drawn in proportion to it
    validation_select: SelectConfig | None = None  # the same for its validation part


@dataclass(frozen=True)
class MixturePieceConfig:
    """A stretch of a run with the shares in which its pools are drawn.

    Attributes
    ----------
    weights : mapping or None
        Pool -> share at the beginning; None: the shares at the end of the piece before.
    end : mapping or None
        Shares at the end, reached linearly; None: they are constant.
    tokens, fraction : int, float or None
        Its length, absolute or as a share of the run; neither: the remaining steps.
    """

    weights: dict[str, float] | None = None
    end: dict[str, float] | None = None
    tokens: int | None = setting(None, AT_LEAST_0)
    fraction: float | None = setting(None, FRACTION)


@dataclass(frozen=True)
class DataConfig:
    """The data of a run: token source, validation part, how often a token may be seen.

    Either a single source; or `pools`, drawn in the constant shares `weights`, or in shares that
    change during the run as the pieces of `mixture` say.
    """

    source: str = "stdlib"
    options: dict[str, Any] = field(default_factory=dict)  # the source's own
    tokenizer: TokenizerConfig | None = None  # for sources of documents; None: bytes
    validation_tokens: int = setting(65_536, AT_LEAST_1)
    unique_tokens: int | None = setting(None, AT_LEAST_1)  # None: the whole training part
    max_epochs: float = setting(1.0, ABOVE_0)
    seed: int | None = None  # seed of the order; None: the run's seed
    pools: dict[str, PoolConfig] = setting({}, historic={})
    weights: dict[str, float] = setting({})
    mixture: list[MixturePieceConfig] = setting([], historic={})
    # D of a larger run: the pools are cut so that tokens are repeated as often as there.
    match_repetition: int | None = setting(None, AT_LEAST_1)
    noise: float = setting(0.0, FRACTION, historic=0.0)  # as a pool's
    select: SelectConfig | None = setting(None, historic=None)  # as a pool's
    weight: str = setting("", historic=None)  # as a pool's
    validation_select: SelectConfig | None = setting(None, historic=None)  # as a pool's

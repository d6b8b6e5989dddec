"""The sizes of a ladder: shapes of one recipe whose N lie evenly on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of, divides_evenly
from scalinglab.scaling.model.flops import flop_parts, flops_per_token
from scalinglab.scaling.model.options import ModelConfig, NetworkConfig

GROWTHS = ("width", "both")
SEVERAL = Within(2)  # sizes: one is no ladder
_MAX_CANDIDATES = 512


@dataclass(frozen=True)
class Rung:
    """One size: its settings, N = n_matmul, training FLOPs a token (matmul, causal attention)."""

    model: dict[str, int]
    n: int
    flops: float

    def at(self, tokens: float, seed: int) -> dict[str, int]:
        """The point of a run of this size, as dotted keys."""
        keys = {f"model.{name}": value for name, value in self.model.items()}
        return keys | {"tokens": round(tokens), "seed": seed}


def all_rungs(model: NetworkConfig, vocab: int, grow: str, key: str) -> list[Rung]:
    """All sizes of a recipe, small to large: context and head width stay as they are.

    Parameters
    ----------
    model : NetworkConfig
        The study's model; its depth is kept where only the width grows.
    vocab : int
        Vocabulary of the data.
    grow : {"width", "both"}
        Multiples of the head width at one depth; or depths with a width of `aspect` each.
    key : str
        Configuration key of the options, for messages.
    """
    if not isinstance(model, ModelConfig):
        raise ConfigError(
            f"{key}: a ladder is of the shipped network; sizes of model.target are axes of a grid, "
            "model.options.width: [64, 128]"
        )
    if model.heads is not None:
        raise ConfigError(
            f"model.heads = {model.heads} and {key}: a ladder keeps model.head_dim; "
            "allowed is model.heads=null"
        )
    models = _wider(model) if grow == "width" else _deeper(model)
    tried = list(islice(models, 3 * _MAX_CANDIDATES))
    # If none divides evenly, the first is kept: to count its parameters refuses it with the reason.
    divisible = [m for m in tried if divides_evenly(m)] or tried[:1]
    return [_rung(m, vocab) for m in divisible[:_MAX_CANDIDATES]]


def _wider(model: ModelConfig) -> Iterator[ModelConfig]:
    return (replace(model, width=model.head_dim * k) for k in count(1))


def _deeper(model: ModelConfig) -> Iterator[ModelConfig]:
    return (replace(model, depth=k, width=model.aspect * k) for k in count(1))


def _rung(model: ModelConfig, vocab: int) -> Rung:
    architecture = architecture_of(model, vocab)
    return Rung(
        {"width": architecture.shape.width, "depth": architecture.shape.depth},
        parameter_counts(architecture)["n_matmul"],
        flops_per_token(flop_parts(architecture)),
    )


def spread(
    sizes: Sequence[Rung], smallest: float, largest: float, count: int, key: str
) -> list[Rung]:
    """`count` of the sizes, nearest to evenly spaced ones on a logarithmic axis.

    Raises
    ------
    ConfigError
        If the sizes are too coarse for that many, or the range lies outside of them.
    """
    if not smallest < largest:
        raise ConfigError(
            f"{key}: {count} sizes from N = {smallest:,.0f} to {largest:,.0f}; "
            "allowed are two or more from a smaller to a larger N above 0"
        )
    chosen = _nearest(sizes, np.geomspace(smallest, largest, count))
    if len({rung.n for rung in chosen}) < count:
        raise ConfigError(
            f"{key}: {count} sizes from N = {smallest:,.0f} to {largest:,.0f} are not that many "
            f"different shapes ({', '.join(str(r.n) for r in chosen)}); allowed is a wider range, "
            "fewer sizes or a smaller model.head_dim"
        )
    return chosen


def nearest(sizes: Sequence[Rung], n: float) -> Rung:
    """The size whose N is nearest, in logarithms."""
    return _nearest(sizes, [n])[0]


def _nearest(sizes: Sequence[Rung], wanted: Iterable[float]) -> list[Rung]:
    """The nearest size of each N that is wanted; a budget asks this of hundreds of ladders."""
    known = np.array([rung.n for rung in sizes], dtype=float)
    return [sizes[int(np.abs(np.log(known / n)).argmin())] for n in wanted]


def largest_within(sizes: Sequence[Rung], cost: Callable[[Rung], float], budget: float) -> Rung:
    """The largest size that costs no more than a budget; the smallest if all cost more."""
    return max(
        (rung for rung in sizes if cost(rung) <= budget), key=lambda r: r.n, default=sizes[0]
    )

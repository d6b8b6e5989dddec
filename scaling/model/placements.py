"""Where the norms of a block stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Norms:
    """The norms of a branch F: sum(x + output(F(input(x)))), and inner before F's last matrix."""

    input: bool = False
    inner: bool = False
    output: bool = False
    sum: bool = False


PRE, POST = Norms(input=True), Norms(sum=True)
# The norms of attention and MLP in a block; `mix` takes those of `post` in the first blocks.
PLACEMENTS: Mapping[str, tuple[Norms, Norms]] = {
    "pre": (PRE, PRE),
    "post": (POST, POST),  # arXiv 2002.04745
    "mix": (PRE, PRE),  # arXiv 2412.13795
    "peri": (Norms(input=True, output=True),) * 2,  # arXiv 2502.02732
    "deepnorm": (POST, POST),  # arXiv 2203.00555, which scales the stream, too
    # arXiv 2110.09456, with a gain a head
    "normformer": (Norms(input=True, output=True), Norms(input=True, inner=True)),
    "sub_ln": (Norms(input=True, inner=True),) * 2,  # arXiv 2210.06423
    # arXiv 2503.04598: the MLP adds to the normalised stream; values are normalised, too
    "hybrid": (POST, Norms()),
    # arXiv 2204.02311: both branches of the same normalised stream
    "parallel": (PRE, Norms()),
}

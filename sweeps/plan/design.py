"""Whether the points of a study can answer its question, checked before they are bought.

Each check gives a sentence or nothing. N here is n_matmul.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.identity import canonical_json
from scalinglab.scaling.records.recipe import ladder_mismatch, recipe
from scalinglab.scaling.run.resolve import Run

MIN_SIZES = 5
MIN_RATIOS = 3
MAX_CORRELATION = 0.9


@dataclass(frozen=True)
class LawNeeds:
    """Requirements of a law on the runs that it is fitted to.

    Attributes
    ----------
    axes : frozenset of str
        Which of N and D it depends on.
    parameters : int
        Number of its parameters.
    name : str
        Its name in messages.
    """

    axes: frozenset[str] = frozenset("ND")
    parameters: int = 5  # E, A, alpha, B, beta
    name: str = "a loss surface"


SURFACE = LawNeeds()


def check_design(runs: Sequence[tuple[Run, tuple[str, ...]]], law: LawNeeds = SURFACE) -> list[str]:
    """Defects of the design of the runs that laws are fitted to: gaps and confounded settings.

    Parameters
    ----------
    runs : sequence of (Run, roles)
        All runs of a study with their roles.
    law : LawNeeds
        The law that is fitted to them.

    Raises
    ------
    ConfigError
        If a run is both fitted and held out: it would test nothing.
    """
    fitted = [run for run, roles in runs if "fit" in roles]
    if not fitted:
        return []
    both = [run.run_id for run, roles in runs if {"fit", "held_out"} <= set(roles)]
    if both:
        raise ConfigError(
            f"the runs {', '.join(both)} are fitted and held out; give each the role 'fit' or "
            "'held_out', not both"
        )
    checks = (
        _sizes(fitted, law),
        _ratios(fitted, law),
        _separation(fitted, law),
        ladder_mismatch(_recipe(run) for run in fitted),
        _seeds(fitted),
        _groups(fitted, law),
        _held_out(fitted, [run for run, roles in runs if "held_out" in roles]),
    )
    return [sentence for sentence in checks if sentence]


def _n(run: Run) -> int:
    return run.counts["n_matmul"]


def _sizes(fitted: list[Run], law: LawNeeds) -> str | None:
    sizes = {_n(run) for run in fitted}
    if len(sizes) >= MIN_SIZES or "N" not in law.axes:
        return None
    return (
        f"{len(sizes)} fitted size{'s' * (len(sizes) != 1)}: an exponent of N and an irreducible"
        f" loss need at least {MIN_SIZES}"
    )


def _ratios(fitted: list[Run], law: LawNeeds) -> str | None:
    if law.axes != SURFACE.axes:
        return None
    ratios = defaultdict(set)
    for run in fitted:
        ratios[_n(run)].add(run.tokens)
    few = sorted(n for n, tokens in ratios.items() if len(tokens) < MIN_RATIOS)
    if not few:
        return None
    return (
        f"fewer than {MIN_RATIOS} ratios D/N at N = {', '.join(f'{n:,}' for n in few)}: "
        "the effects of N and D do not separate there"
    )


def _separation(fitted: list[Run], law: LawNeeds) -> str | None:
    log_sizes = np.log([_n(run) for run in fitted])
    log_tokens = np.log([run.tokens for run in fitted])
    for axis, values in (("N", log_sizes), ("D", log_tokens)):
        if axis in law.axes and values.std() == 0:
            return f"all fitted runs have the same {axis}: its effect cannot be fitted"
    if law.axes != SURFACE.axes:
        return None
    correlation = float(np.corrcoef(log_sizes, log_tokens)[0, 1])
    if abs(correlation) <= MAX_CORRELATION:
        return None
    return (
        f"log N and log D have correlation {correlation:.2f} over the fitted runs: N and D are "
        "confounded; vary D/N at each N"
    )


def _recipe(run: Run) -> dict[str, Any]:
    return recipe(run.science, asdict(run.config), asdict(run.shape))


def _seeds(fitted: list[Run]) -> str | None:
    repeats: dict[tuple[int, int, str], set[int]] = defaultdict(set)
    for run in fitted:
        repeats[_n(run), run.tokens, canonical_json(_recipe(run))].add(run.config.seed)
    if any(len(seeds) > 1 for seeds in repeats.values()):
        return None
    return "no seed is repeated: the noise floor of the fit is unknown"


def _groups(fitted: list[Run], law: LawNeeds) -> str | None:
    groups = {run.family_id for run in fitted}
    if len(groups) > 2 * law.parameters:
        return None
    return (
        f"{len(groups)} independent groups (runs of one size and seed share weights and data) "
        f"for the {law.parameters} parameters of {law.name}: intervals will be wide; "
        "more sizes or seeds narrow them"
    )


def _held_out(fitted: list[Run], held_out: list[Run]) -> str | None:
    if any(run.C > max(f.C for f in fitted) for run in held_out):
        return None
    return "no run beyond the fitted ones is held out: the extrapolation is not tested"

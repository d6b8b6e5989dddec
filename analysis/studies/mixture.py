"""The best shares of pools, from runs of some mixtures and a law for each validation set.

The runs with the role ``held_out`` are other mixtures, to which the law is not fitted. It chooses
one of them, and the loss of that one above the best of them is the regret of choosing by the law.
The verdict says so if the candidates differ by less than the noise between seeds.
"""

from __future__ import annotations

import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.decisions.mixture_choice import choose_mixture
from scalinglab.analysis.decisions.mixture_runs import Mixtures, mixtures_of
from scalinglab.analysis.laws.mixing import SHARE, mixing_law
from scalinglab.analysis.plot.labels import LOSS
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.validation_sets import FURTHER_LOSS


@VERDICTS.register("mixture")
def judge(
    runs: pd.DataFrame,
    *,
    arm: str = "mixture",
    targets: list[str] | None = None,
    epochs: float | None = None,
    resamples: int = 200,
    delta: float | str | None = None,
) -> Finding:
    """Judge runs of several mixtures of the same pools, each at the best of its learning rates.

    Parameters
    ----------
    runs : DataFrame
        ``share.<pool>, unique_tokens.<pool>, loss.<target>, N, D, seed, role, mixture``.
    arm : str
        Column that distinguishes the mixtures.
    targets : list of str, optional
        Validation sets whose mean loss is to be least; default: one of each pool.
    epochs : float, optional
        How often a token may be seen in the mixture that is recommended; default: no cap.
    resamples : int
        Of the fits.
    delta : float or str, optional
        Huber threshold of the fits, as in `analysis.fit`.

    Raises
    ------
    UserError
        If there are no pools or no such validation set, or too few mixtures.
    """
    mixtures = mixtures_of(runs, arm, targets)
    last = mixtures.cells[-1]
    choice = choose_mixture(
        runs, arm=arm, targets=targets, epochs=epochs, resamples=resamples, delta=delta
    )
    return Finding(
        [choice.sentence(), *choice.test],
        {
            "Best shares": choice.best.shares,
            "Loss there": choice.best.losses,
            "Mixtures and sets": _arms(mixtures, last),
        },
        _figures(mixtures, last),
        choice.warnings,
        sources=[mixing_law(list(mixtures.pools)).source],
    )


def _arms(mixtures: Mixtures, cell: pd.DataFrame) -> pd.DataFrame:
    """Mixture x set: the losses at one size and length, the best mean first."""
    losses = {f"{FURTHER_LOSS}{t}": t for t in mixtures.targets}
    shown = cell[["mixture", *losses, "mean", "held_out"]].rename(columns=losses)
    return shown.sort_values("mean", ignore_index=True)


def _figures(mixtures: Mixtures, cell: pd.DataFrame) -> list[Captioned]:
    """Loss on each set against the share of a pool, a figure a pool."""
    sets = {f"{FURTHER_LOSS}{t}": t for t in mixtures.targets}
    text = "loss of every mixture on each set. Lines: means over mixtures of one share."
    figures = []
    for pool in mixtures.pools:
        share = f"{SHARE}{pool}"
        kept = [name for name in ("run_id", "mixture", share) if name in cell]
        long = cell.melt(kept, [*sets], "set", "loss").assign(set=lambda t: t["set"].map(sets))
        labels = (f"share of {pool}", LOSS)
        figure = drawn(plot.measured_against, long, share, by="set", labels=labels)
        figures.append((f"Share of {pool}: {text}", figure))
    return figures

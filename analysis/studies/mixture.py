"""The best shares of pools, from runs of some mixtures and a law for each validation set.

The runs with the role ``held_out`` are other mixtures, to which the law is not fitted. It chooses
one of them, and the loss of that one above the best of them is the regret of choosing by the law.
The verdict says so if the candidates differ by less than the noise between seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.analysis.decisions.mixture_choice import choose_mixture
from scalinglab.analysis.decisions.mixture_runs import Mixtures, mixtures_of
from scalinglab.analysis.laws.mixing import SHARE, mixing_law
from scalinglab.analysis.plot.labels import LOSS
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.studies.draw import panels
from scalinglab.analysis.tables.validation_sets import FURTHER_LOSS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        [("Loss against the share of each pool.", _figure(mixtures, last))],
        choice.warnings,
        sources=[mixing_law(list(mixtures.pools)).source],
    )


def _arms(mixtures: Mixtures, cell: pd.DataFrame) -> pd.DataFrame:
    """Mixture x set: the losses at one size and length, the best mean first."""
    losses = {f"{FURTHER_LOSS}{t}": t for t in mixtures.targets}
    shown = cell[["mixture", *losses, "mean", "held_out"]].rename(columns=losses)
    return shown.sort_values("mean", ignore_index=True)


def _figure(mixtures: Mixtures, cell: pd.DataFrame) -> Figure:
    panes = []
    for pool in mixtures.pools:
        with_pool = cell[cell[f"{SHARE}{pool}"] > 0]
        by_share = with_pool.groupby(f"{SHARE}{pool}").mean(numeric_only=True)
        lines = [(t, by_share.index, by_share[f"{FURTHER_LOSS}{t}"]) for t in mixtures.targets]
        panes.append((pool, lines))
    return panels(panes, "share of the pool", f"{LOSS}, mean over mixtures")

"""Which shares of the pools are best, from runs of some mixtures: a law a validation set, a choice.

The runs with the role ``held_out`` are other mixtures, which the law does not see: it chooses one
of them, and what that costs over the best of them is the regret of choosing by the law. A design in
which the candidates are no closer than the noise between seeds resolves no choice, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.best_mixture import BestMixture, best_mixture, caps_of
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.power import UNRESOLVED, least_effect
from scalinglab.analysis.laws.mixing import SHARE, mixing_law
from scalinglab.analysis.plot.labels import LOSS
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.studies.draw import panels
from scalinglab.analysis.tables.noise import seed_scatter
from scalinglab.analysis.tables.trials import trials_chosen
from scalinglab.analysis.tables.typed import names_of
from scalinglab.analysis.tables.validation_sets import FURTHER_LOSS
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray


@dataclass(frozen=True)
class _Mixtures:
    """One row a mixture, size and length: shares, mean losses over seeds."""

    table: pd.DataFrame
    pools: list[str]
    targets: list[str]


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
        What tells mixtures apart.
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
    mixtures = _mixtures(runs, arm, targets)
    cells = [cell for _, cell in mixtures.table.groupby(["N", "D"])]
    cells.sort(key=lambda cell: float((cell["N"] * cell["D"]).iloc[0]))
    last = cells[-1]
    laws = _laws(mixtures, last, resamples, delta)
    caps = None
    if epochs is not None:
        unique = {p: float(runs[f"unique_tokens.{p}"].max()) for p in mixtures.pools}
        caps = caps_of(unique, epochs, float(last["D"].iloc[0]))
    best = best_mixture(laws, caps=caps)
    sentences, warnings = [_told(best, epochs)], []
    ahead = last[last["held_out"]].reset_index(drop=True)
    if len(ahead):
        predicted = {t: law.predict(ahead)["loss"].to_numpy() for t, law in laws.items()}
        least = _least(runs, arm, mixtures.targets)
        sentences.append(_errors(ahead, predicted))
        sentences.append(_regret("the law", ahead, predicted, least))
        if len(cells) > 1:
            small = _laws(mixtures, cells[0], 0, delta)
            by_small = {t: law.predict(ahead)["loss"].to_numpy() for t, law in small.items()}
            name = f"the law of the smallest runs (N {cells[0]['N'].iloc[0]:,.0f})"
            sentences.append(_regret(name, ahead, by_small, least))
    else:
        warnings.append("no mixture has the role held_out: the law was not tested")
    for target, law in laws.items():
        warnings += [f"{target}: {w}" for w in law.warnings]
    return Finding(
        sentences,
        {
            "Best shares": best.shares,
            "Loss there": best.losses,
            "Mixtures and sets": _arms(mixtures, last),
        },
        [("Loss against the share of each pool.", _figure(mixtures, last))],
        warnings,
    )


def _mixtures(runs: pd.DataFrame, arm: str, targets: list[str] | None) -> _Mixtures:
    pools = sorted(c.removeprefix(SHARE) for c in names_of(runs) if c.startswith(SHARE))
    if len(pools) < 2:
        raise UserError("these runs do not draw from several pools: data.pools gives them some")
    targets = targets or pools
    for target in targets:
        if f"{FURTHER_LOSS}{target}" not in runs or runs[f"{FURTHER_LOSS}{target}"].isna().any():
            there = [
                c.removeprefix(FURTHER_LOSS) for c in names_of(runs) if c.startswith(FURTHER_LOSS)
            ]
            raise UserError(
                f"targets: not every run was validated on {target!r}; there are {', '.join(there)}"
            )
    runs = trials_chosen(runs[np.isfinite(runs["loss"].astype(float))], arm)
    held_out = runs["role"].astype(str).str.split(",").map(lambda roles: "held_out" in roles)
    losses = [f"{FURTHER_LOSS}{t}" for t in targets]
    columns = [*(f"{SHARE}{p}" for p in pools), *losses]
    keys = [runs[arm], runs["N"], runs["D"], held_out.rename("held_out")]
    table = runs[columns].groupby(keys).mean().reset_index()
    table["mean"] = table[losses].mean(axis=1)
    return _Mixtures(table.rename(columns={arm: "mixture"}), pools, targets)


def _laws(
    mixtures: _Mixtures, cell: pd.DataFrame, resamples: int, delta: float | str | None
) -> dict[str, Result]:
    """A law for each validation set, from the mixtures of one size and length that are no test."""
    fitted = cell[~cell["held_out"]]
    if len(fitted) <= len(mixtures.pools) + 1:
        raise UserError(
            f"{len(fitted)} mixtures of {len(mixtures.pools)} pools were trained to be fitted: give"
            f" {len(mixtures.pools) + 2} or more; three times the pools is a fair number"
        )
    laws = {}
    for target in mixtures.targets:
        own_target = target if target in mixtures.pools else mixtures.pools[0]
        law = mixing_law([own_target, *(p for p in mixtures.pools if p != own_target)], sizes=False)
        points = fitted.assign(loss=fitted[f"{FURTHER_LOSS}{target}"])
        laws[target] = fit(law, points, resamples=resamples, delta=delta)
    return laws


def _told(best: BestMixture, epochs: float | None) -> str:
    rows: Any = best.shares.itertuples()
    shares = ", ".join(
        f"{row.pool} {row.share:.2f}"
        + (
            f" ({row.share_lower:.2f} to {row.share_upper:.2f})"
            if hasattr(row, "share_lower")
            else ""
        )
        for row in rows
    )
    cap = "" if epochs is None else f", each token at most {epochs:g} times"
    return (
        f"Best mixture for the mean over {', '.join(best.losses['target'])}{cap}: {shares}; "
        f"mean {LOSS.lower()} {best.loss:.4f}."
    )


def _errors(ahead: pd.DataFrame, predicted: dict[str, Array]) -> str:
    texts = []
    for target, loss in predicted.items():
        error = np.log(loss / ahead[f"{FURTHER_LOSS}{target}"].to_numpy())
        texts.append(f"{target} {np.sqrt(np.mean(error**2)):.2%}")
    return f"Error on {len(ahead)} mixtures that were not fitted: {', '.join(texts)}."


def _least(runs: pd.DataFrame, arm: str, targets: Sequence[str]) -> float:
    """The least relative difference of the mean loss that seeds do not hide;
    infinite without any.
    """
    mean = runs[[f"{FURTHER_LOSS}{t}" for t in targets]].mean(axis=1)
    scatter = seed_scatter(runs.assign(loss=mean), by=[arm, "N", "D", "lr"])
    return least_effect(scatter.noise, scatter.seeds, scatter.spare)


def _regret(who: str, ahead: pd.DataFrame, predicted: dict[str, Array], least: float) -> str:
    """What choosing among the held-out mixtures by a law costs."""
    mean = np.mean(list(predicted.values()), axis=0)
    chosen, best = ahead.iloc[int(mean.argmin())], ahead.iloc[int(ahead["mean"].argmin())]
    begin = f"Of {len(ahead)} mixtures that were not fitted {who} chooses {chosen['mixture']}"
    if chosen["mixture"] == best["mixture"]:
        worst = ahead["mean"].max() / best["mean"] - 1
        return f"{begin}: the best of them as measured (the worst costs {worst:.2%})."
    regret = chosen["mean"] / best["mean"] - 1
    reason = f"below {least:.2%} a difference is" if np.isfinite(least) else "no seed is repeated:"
    small = f"; {reason} {UNRESOLVED}" if regret < least else ""
    return f"{begin}: {regret:.2%} above the best of them, {best['mixture']}{small}."


def _arms(mixtures: _Mixtures, cell: pd.DataFrame) -> pd.DataFrame:
    """Mixture x set: the losses at one size and length, the best mean first."""
    losses = {f"{FURTHER_LOSS}{t}": t for t in mixtures.targets}
    table = cell[["mixture", *losses, "mean", "held_out"]].rename(columns=losses)
    return table.sort_values("mean", ignore_index=True)


def _figure(mixtures: _Mixtures, cell: pd.DataFrame) -> Figure:
    panes = []
    for pool in mixtures.pools:
        with_pool = cell[cell[f"{SHARE}{pool}"] > 0]
        by_share = with_pool.groupby(f"{SHARE}{pool}").mean(numeric_only=True)
        lines = [(t, by_share.index, by_share[f"{FURTHER_LOSS}{t}"]) for t in mixtures.targets]
        panes.append((pool, lines))
    return panels(panes, "share of the pool", f"{LOSS}, mean over mixtures")

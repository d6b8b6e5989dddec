"""The best mixture from runs of several mixtures, and what choosing by such a law costs.

A law of the shares for each validation set, the shares of least mean loss under a cap of epochs,
and the test on mixtures that were trained but not fitted (role ``held_out``): the law chooses one
of them, and its loss above that of the best of them is the regret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.best_mixture import (
    BestMixture,
    best_mixture,
    caps_of,
)
from scalinglab.analysis.decisions.mixture_runs import Mixtures, mixtures_of
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.power import UNRESOLVED
from scalinglab.analysis.laws.mixing import SHARE, mixing_law
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.validation_sets import FURTHER_LOSS
from scalinglab.scaling.errors import UserError

_UNIQUE = "unique_tokens."
_ROUNDING = 1e-9  # of a share


@dataclass(frozen=True, repr=False)
class MixtureChoice(Shown):
    """The shares of least loss, and how they were tested.

    Attributes
    ----------
    best : BestMixture
    N, D : float
        The run that they are for.
    epochs : float or None
        How often a token may be seen.
    test : list of str
        Errors and regret on the mixtures that were not fitted; empty where there are none.
    regret : float or None
        Of choosing among them by the laws.
    warnings : list of str
    """

    best: BestMixture
    N: float
    D: float
    epochs: float | None
    test: list[str]
    regret: float | None
    warnings: list[str]

    @property
    def shown(self) -> Overview:
        """As `Shown`: the shares, the losses there and the tests."""
        return Overview(
            f"Best mixture at N = {short(self.N)}, D = {short(self.D)}",
            {"Shares": self.best.shares, "Losses there": self.best.losses},
            (self.sentence(), *self.test),
            tuple(self.warnings),
        )

    def sentence(self) -> str:
        """The shares in words."""
        rows = self.best.shares.to_dict("records")
        shares = ", ".join(
            f"{row['pool']} {row['share']:.2f}"
            + (
                f" ({row['share_lower']:.2f} to {row['share_upper']:.2f})"
                if "share_lower" in row
                else ""
            )
            for row in rows
        )
        cap = "" if self.epochs is None else f", each token at most {self.epochs:g} times"
        weights = self.best.losses["weight"]
        sets = ", ".join(
            target if np.allclose(weights, weights.iloc[0]) else f"{target} (weight {weight:.2g})"
            for target, weight in zip(self.best.losses["target"], weights, strict=True)
        )
        return (
            f"Best mixture for the mean over {sets}{cap}: {shares};"
            f" mean validation loss (nats/token) {self.best.loss:.4f}."
        )


def choose_mixture(
    runs: pd.DataFrame,
    *,
    arm: str = "mixture",
    targets: Sequence[str] | None = None,
    weights: Mapping[str, float] | None = None,
    N: float | None = None,
    D: float | None = None,
    epochs: float | None = None,
    unique: Mapping[str, float] | None = None,
    resamples: int = 200,
    seed: int = 0,
    level: float = 0.95,
    delta: float | str | None = None,
) -> MixtureChoice:
    """The shares of least mean loss under a cap of epochs, tested on mixtures that were not fitted.

    Parameters
    ----------
    runs : DataFrame
        As for `mixtures_of`; for a cap ``unique_tokens.<pool>``, too.
    arm, targets
        As in `mixtures_of`.
    weights : mapping, optional
        Of each validation set in the mean; default: equal ones.
    N, D : float, optional
        The run that is planned; default: the largest size and length of the runs.
    epochs : float, optional
        How often a token may be seen; default: no cap.
    unique : mapping, optional
        Tokens that there are of a pool; default: as in the runs.
    resamples, seed, level, delta
        As in `analysis.fit`.

    Raises
    ------
    UserError
        If there are too few mixtures, sizes or lengths, or no mixture keeps to the cap.
    """
    mixtures = mixtures_of(runs, arm, targets, weights)
    cells = mixtures.cells
    last = cells[-1]
    planned = N is not None or D is not None
    if planned:
        _check_planned(mixtures, N, D)
    laws = laws_of(
        mixtures, mixtures.table if planned else last, resamples, delta, sizes=planned, seed=seed
    )
    N, D = N or float(last["N"].iloc[0]), D or float(last["D"].iloc[0])
    caps = None if epochs is None else caps_of(_unique(runs, mixtures.pools, unique), epochs, D)
    at = {"N": N, "D": D} if planned else {}
    best = best_mixture(laws, weights=weights, caps=caps, level=level, **at)
    test, regret, warnings = [], None, [*mixtures.edges]
    ahead = last[last["held_out"]].reset_index(drop=True)
    if len(ahead):
        predicted = {t: law.predict(ahead)["loss"].to_numpy() for t, law in laws.items()}
        test.append(_errors(ahead, predicted))
        allowed = _within(caps, ahead, mixtures.pools)
        sentence, regret = _regret("the law", allowed, predicted, mixtures, epochs)
        test.append(sentence)
        if len(cells) > 1 and not planned and len(allowed):
            small = laws_of(mixtures, cells[0], 0, delta)
            by_small = {t: law.predict(ahead)["loss"].to_numpy() for t, law in small.items()}
            name = f"the law of the smallest runs (N {cells[0]['N'].iloc[0]:,.0f})"
            test.append(_regret(name, allowed, by_small, mixtures, epochs)[0])
    else:
        warnings.append("no mixture has the role held_out: the law was not tested")
    for target, law in laws.items():
        warnings += [f"{target}: {w}" for w in law.warnings]
    return MixtureChoice(best, N, D, epochs, test, regret, warnings)


def laws_of(
    mixtures: Mixtures,
    rows: pd.DataFrame,
    resamples: int,
    delta: float | str | None,
    *,
    sizes: bool = False,
    seed: int = 0,
) -> dict[str, Result]:
    """A law for each validation set, from the mixtures that are no test.

    Raises
    ------
    UserError
        If there are too few mixtures for the law.
    """
    fitted = rows[~rows["held_out"]]
    if fitted["mixture"].nunique() <= len(mixtures.pools) + 1:
        raise UserError(
            f"{fitted['mixture'].nunique()} mixtures of {len(mixtures.pools)} pools were trained "
            f"to be fitted: give {len(mixtures.pools) + 2} or more; three times the pools is a "
            "fair number"
        )
    laws = {}
    for target in mixtures.targets:
        own_pool = target if target in mixtures.pools else mixtures.pools[0]
        law = mixing_law([own_pool, *(p for p in mixtures.pools if p != own_pool)], sizes=sizes)
        points = fitted.assign(loss=fitted[f"{FURTHER_LOSS}{target}"])
        laws[target] = fit(law, points, resamples=resamples, delta=delta, seed=seed)
    return laws


def _check_planned(mixtures: Mixtures, N: float | None, D: float | None) -> None:
    if N is None or D is None:
        raise UserError("N and D are of one planned run: give both, or neither")
    for column, noun in (("N", "size"), ("D", "number of tokens")):
        if mixtures.table[column].nunique() < 2:
            raise UserError(
                f"N and D: the mixtures were trained at one {noun} only, so no law tells of others;"
                " leave N and D out for the best mixture there, or train a second one"
            )


def _unique(
    runs: pd.DataFrame, pools: Sequence[str], stated: Mapping[str, float] | None
) -> dict[str, float]:
    unknown = sorted(set(stated or {}) - set(pools))
    if unknown:
        raise UserError(f"unique: there is no pool {unknown[0]!r}; there are {', '.join(pools)}")
    tokens = {}
    for pool in pools:
        if stated and pool in stated:
            tokens[pool] = float(stated[pool])
        elif f"{_UNIQUE}{pool}" in runs and runs[f"{_UNIQUE}{pool}"].notna().any():
            tokens[pool] = float(runs[f"{_UNIQUE}{pool}"].max())
        else:
            raise UserError(
                f"epochs: the runs do not say how many tokens there are of {pool!r}: give"
                f" unique.{pool}=TOKENS"
            )
    return tokens


def _errors(ahead: pd.DataFrame, predicted: Mapping[str, np.ndarray]) -> str:
    texts = []
    for target, loss in predicted.items():
        error = np.log(loss / ahead[f"{FURTHER_LOSS}{target}"].to_numpy())
        texts.append(f"{target} {np.sqrt(np.mean(error**2)):.2%}")
    return f"Error on {len(ahead)} mixtures that were not fitted: {', '.join(texts)}."


def _within(
    caps: Mapping[str, float] | None, ahead: pd.DataFrame, pools: Sequence[str]
) -> pd.DataFrame:
    """The mixtures that keep to the caps: no other may be chosen."""
    if caps is None:
        return ahead
    most = np.array([caps[pool] for pool in pools])
    shares = ahead[[f"{SHARE}{pool}" for pool in pools]].to_numpy(float)
    return ahead[np.all(shares <= most + _ROUNDING, axis=1).tolist()]


def _regret(
    who: str,
    allowed: pd.DataFrame,
    predicted: Mapping[str, np.ndarray],
    mixtures: Mixtures,
    epochs: float | None,
) -> tuple[str, float | None]:
    """What choosing among held-out mixtures by a law costs, in words and relative.

    Predictions are of all that were held out, the rows of which `allowed` has some.
    """
    least = mixtures.least
    cap = "" if epochs is None else f" and see no token more than {epochs:g} times"
    if allowed.empty:
        return f"No mixture that was not fitted keeps to {epochs:g} epochs: no regret.", None
    mean = (mixtures.weights @ np.array([predicted[t] for t in mixtures.targets]))[allowed.index]
    chosen = allowed.iloc[int(mean.argmin())]
    best = allowed.iloc[int(allowed["mean"].argmin())]
    begin = (
        f"Of {len(allowed)} mixtures that were not fitted{cap} {who} chooses {chosen['mixture']}"
    )
    if chosen["mixture"] == best["mixture"]:
        worst = allowed["mean"].max() / best["mean"] - 1
        return f"{begin}: the best of them as measured (the worst costs {worst:.2%}).", 0.0
    regret = float(chosen["mean"] / best["mean"] - 1)
    reason = f"below {least:.2%} a difference is" if np.isfinite(least) else "no seed is repeated:"
    small = f"; {reason} {UNRESOLVED}" if regret < least else ""
    return f"{begin}: {regret:.2%} above the best of them, {best['mixture']}{small}.", regret

"""``law=auto``: the laws that a table allows, each with the share that its held-out points give it.

A mixture is a fit of one law, whose parameters are those of all its laws and their shares, so it
has all methods of a fit. Its point prediction is the mean by shares, in logarithms. Each of its
resamples is one law, drawn with the probability of its share, so that intervals are quantiles of
the mixture. Refits without the outermost points are mixtures with the same shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.best_fit import BestFit, FitOptions, refit
from scalinglab.analysis.fitting.design import point_warnings
from scalinglab.analysis.fitting.diagnosis import Diagnosis, diagnose
from scalinglab.analysis.fitting.law_choice import LawChoice, choose_laws
from scalinglab.analysis.fitting.left_out import leave_out_runs
from scalinglab.analysis.fitting.mixture_text import mixture_report
from scalinglab.analysis.fitting.outliers import far_points, outlier_warnings
from scalinglab.analysis.fitting.resampling import Resampling
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.fitting.settings import fit_settings
from scalinglab.analysis.fitting.warnings import fit_warnings
from scalinglab.analysis.intervals.draws import Draws
from scalinglab.analysis.intervals.freedom import reason_to_withhold
from scalinglab.analysis.intervals.left_out import NONE_LEFT_OUT, LeftOutRuns
from scalinglab.analysis.intervals.measured import Measured
from scalinglab.analysis.intervals.resample import draw
from scalinglab.analysis.intervals.rolling import NO_ORIGINS, Origins, judge_refits, plan_refits
from scalinglab.analysis.laws.mixture import MixtureLaw, mixture_law
from scalinglab.scaling.errors import UserError

Array = np.ndarray

_OF_ONE_LAW = ("x", "fixed", "tied", "bounds", "priors", "arm", "shared")
_HALF = 0.5
_FEW = 200  # resamples of a mixture that is only compared with another


@dataclass(frozen=True, eq=False, repr=False)
class Mixture(Result):
    """An average of laws, as a fit.

    Attributes
    ----------
    laws : DataFrame
        One row per law, the largest share first: ``share``; ``window``, the share of the points,
        those of the smallest budgets, that it is not fitted to; number of ``free`` parameters;
        ``score``, the mean log predictive density of held-out points; ``error``, their root mean
        square error; ``bias``, the signed error that its trend gives at the question. Errors are of
        the logarithm where the law's are relative.
    held_out_points : int
        Number of held-out points that were predicted.
    held_out_origins : int
        Number of origins from which they were predicted.
    not_scored : int
        See `LawChoice`.
    """

    laws: pd.DataFrame = field(default_factory=pd.DataFrame)
    held_out_points: int = 0
    held_out_origins: int = 0
    not_scored: int = 0

    @property
    def overview(self) -> pd.DataFrame:
        """What a reader looks at first: the laws."""
        return self.laws.drop(columns="whole_error", errors="ignore")

    @property
    def free(self) -> tuple[str, ...]:
        """Parameters of the law with the largest share, as a measure of the mixture's freedom."""
        name = self.laws.index[0]
        return tuple(
            n for n in self.params if n.endswith(f"[{name}]") and not n.startswith("share")
        )

    def report(self) -> str:
        """The laws with their shares, and what they rest on."""
        return "\n".join(mixture_report(self))


def fit_mixture(
    data: pd.DataFrame,
    options: FitOptions,
    *,
    resamples: int,
    seed: int,
    level: float,
    beyond: float | None = None,
) -> Mixture:
    """Fit every law that the table allows and mix them; see `analysis.fit`.

    Raises
    ------
    UserError
        If an option is of one law alone, or no law can be fitted.
    """
    for name in _OF_ONE_LAW:
        if getattr(options, name):
            raise UserError(f"{name} is of one law: name the law, law=auto chooses among several")
    choice = choose_laws(data, options, beyond, drawn=resamples > 0)
    result = _mixture(choice, options, resamples, seed, level)
    heaviest = choice.whole[choice.heaviest]

    def without(rows: Array) -> Result:
        few, few_options = data[rows], options.of_rows(rows)
        few_choice = choose_laws(few, few_options, beyond, drawn=False)
        return _mixture(few_choice, few_options, min(resamples, _FEW), seed, level)

    far_points = outlier_warnings(result, heaviest.points.of_rows(_core(choice)), data, without)
    of_points = point_warnings(heaviest.misfit.space.law, heaviest.points, data, None)
    return replace(
        result, warnings=(*_of_choice(choice), *fit_warnings(result), *far_points, *of_points)
    )


def _mixture(
    choice: LawChoice, options: FitOptions, resamples: int, seed: int, level: float
) -> Mixture:
    """The mixture without warnings about its points."""
    core = _core(choice)
    law = mixture_law([fit.misfit.space.law for fit in choice.whole])
    first, heaviest = choice.whole[0], choice.fitted[choice.heaviest]
    points = first.points.of_rows(core)
    columns = _columns(choice, law, core)
    withheld = reason_to_withhold(heaviest.freedom) if resamples else ""
    ranges = {
        name: (float(column.min()), float(column.max()))
        for name, column in columns.items()
        if column.ndim == 1
    }
    best = _row(choice, [fit.best.coordinates for fit in choice.fitted])
    drawn = _own_draws(choice, 0 if withheld else resamples, seed)
    misfit = first.misfit
    residuals = misfit.target[core] - misfit.scale.of(law.predict(best, columns)[0])
    free = len(choice.whole[choice.heaviest].misfit.space.free)
    far = far_points(law, residuals, points, free)
    origins = (
        _origins(choice, law, columns, core, tuple(ranges), far) if len(drawn[0]) else NO_ORIGINS
    )
    draws = _draws(choice, drawn, seed)
    if withheld:
        draws = np.full((resamples, len(law.names)), np.nan)
    heaviest_draws = drawn[choice.heaviest]
    cost = misfit.objective.cost(residuals * points.sharpness)[0]
    resampling = Resampling("weights", resamples, withheld=withheld)
    return Mixture(
        law=law,
        params=dict(zip(law.names, best[0].tolist(), strict=True)),
        draws=pd.DataFrame(draws, columns=list(law.names)),
        objective=float(cost @ points.weight) * misfit.objective.unit,
        settings=fit_settings(misfit, points, options, resampling, level=level, seed=seed),
        points=len(points),
        clusters=len(np.unique(points.group)),
        residuals=residuals,
        noise=points.noise,
        diagnosis=_diagnosis(choice.whole[choice.heaviest], heaviest_draws),
        columns={name: s for fit in choice.whole for name, s in fit.points.renamed.items()},
        ranges=ranges,
        measured=Measured.of(columns, tuple(ranges)),
        runs=points.runs,
        excluded=points.excluded,
        origins=origins,
        left_out=_left_out(choice),
        laws=choice.table,
        held_out_points=len(choice.held.row),
        held_out_origins=len(choice.origins),
        not_scored=choice.not_scored,
    )


def _core(choice: LawChoice) -> Array:
    """The rows that the mixture was fitted to: those of laws with half of the shares, (n,)."""
    return choice.shares @ choice.rows >= _HALF


def _columns(choice: LawChoice, law: MixtureLaw, core: Array) -> dict[str, Array]:
    by_column: dict[str, Array] = {}
    for fit, law_of_fit in zip(choice.whole, law.laws, strict=True):
        by_column |= {
            law.column(law_of_fit, n): c[..., core] for n, c in fit.points.columns.items()
        }
    return by_column


def _row(choice: LawChoice, coordinates: list[Array]) -> Array:
    """Parameters of the mixture, from the coordinates of each law, (batch, free): (batch, p)."""
    shares = np.broadcast_to(choice.shares, (len(coordinates[0]), len(choice.shares)))
    params = [fit.misfit.space.expand(u) for fit, u in zip(choice.fitted, coordinates, strict=True)]
    return np.concatenate([shares, *params], axis=1)


def _own_draws(choice: LawChoice, resamples: int, seed: int) -> list[Array]:
    """Resampled coordinates of each law, as many as its share says, together `resamples`."""
    ends = np.round(np.cumsum(choice.shares) * resamples).astype(int)
    counts = np.diff(ends, prepend=0)
    return [
        refit(fit, draw(fit.sample, "weights", count, seed, fit.misfit.prior))[0]
        if count
        else np.empty((0, len(fit.misfit.space.free)))
        for fit, count in zip(choice.fitted, counts.tolist(), strict=True)
    ]


def _draws(choice: LawChoice, drawn: list[Array], seed: int) -> Array:
    """Draws of the mixture: each gives one law a share of 1, with a resample of its parameters.

    The parameters of laws without a share are resamples as well.
    """
    count = sum(len(fit) for fit in drawn)
    if not count:
        return np.empty((0, _row(choice, [o.best.coordinates for o in choice.fitted]).shape[1]))
    filled = [
        np.resize(
            law_draws if len(law_draws) else fit.best.coordinates, (count, law_draws.shape[1])
        )
        for fit, law_draws in zip(choice.fitted, drawn, strict=True)
    ]
    shares, at = np.zeros((count, len(drawn))), 0
    for k, law_draws in enumerate(drawn):
        filled[k][at : at + len(law_draws)] = law_draws
        shares[at : at + len(law_draws), k] = 1
        at += len(law_draws)
    rows = _row(choice, filled)
    rows[:, : len(drawn)] = shares
    # In random order: deviations beyond the range are assigned by the order of draws.
    return np.random.default_rng([seed, 2]).permutation(rows)


def _origins(
    choice: LawChoice,
    law: MixtureLaw,
    columns: dict[str, Array],
    core: Array,
    axes: tuple,
    far: Array,
) -> Origins:
    """Refits of the mixture without the outermost points, with the same shares."""
    free = len(choice.whole[choice.heaviest].misfit.space.free)
    planned = plan_refits(columns, axes, free)
    if not planned:
        return NO_ORIGINS
    coordinates = []
    for fit, window in zip(choice.fitted, choice.rows, strict=True):
        is_in = np.ones((len(planned), len(core)), bool)
        is_in[:, core] = [refit.keep for refit in planned]
        downwards = np.array([refit.sign < 0 for refit in planned])
        is_in[np.ix_(downwards, ~core)] = False
        is_in = is_in[:, window]
        enough = is_in.sum(axis=1) > len(fit.misfit.space.free)
        places = np.repeat(fit.best.coordinates, len(planned), axis=0)
        if enough.any():
            draws = Draws(counts=is_in[enough].astype(np.float32), group=np.arange(is_in.shape[1]))
            places[enough] = refit(fit, draws)[0]
        coordinates.append(places)
    params = _row(choice, coordinates)
    misfit = choice.whole[0].misfit
    residuals = [
        misfit.scale.of(law.predict(row[None], columns)[0]) - misfit.target[core] for row in params
    ]
    return judge_refits(planned, columns, params, residuals, free, far)


def _left_out(choice: LawChoice) -> LeftOutRuns:
    """The mixture without one curve each, with the same shares; none of surfaces."""
    parts = [leave_out_runs(fit) for fit in choice.fitted]
    if any(part.runs != parts[0].runs for part in parts) or not len(parts[0]):
        return NONE_LEFT_OUT
    shares = np.broadcast_to(choice.shares, (len(parts[0]), len(parts)))
    missed = np.stack([part.missed for part in parts], axis=1)
    params = np.concatenate([shares, *(part.params for part in parts)], axis=1)
    missed_by_mixture = np.where(
        shares > 0, shares * missed, 0
    )  # a law without a share may predict anything
    return LeftOutRuns(parts[0].runs, np.sum(missed_by_mixture, axis=1), params)


def _diagnosis(heaviest: BestFit, draws: Array) -> Diagnosis:
    """The diagnosis of the law with the largest share, by the mixture's names of parameters."""
    diagnosis = diagnose(
        heaviest.misfit, heaviest.search, heaviest.best, draws, heaviest.freedom.least
    )
    law = heaviest.misfit.space.law.name
    return replace(
        diagnosis,
        at_bound=tuple(f"{name}[{law}]" for name in diagnosis.at_bound),
        unidentified={f"{name}[{law}]": reason for name, reason in diagnosis.unidentified.items()},
    )


def _of_choice(choice: LawChoice) -> list[str]:
    """A warning if nothing was held out to weigh the laws."""
    if choice.origins:
        return []
    return [
        "too few budgets to leave some out: nothing says which law predicts best, all have one"
        " share"
    ]

"""A learning rate and a batch for planned runs; the critical batch at a loss; the best mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.decisions.held_out_cells import regret_summary
from scalinglab.analysis.decisions.mixture_choice import MixtureChoice, choose_mixture
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.point_checks import refuse_mixed_code
from scalinglab.options import IntervalOptions, option
from scalinglab.run_options import CountOptions
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0
from scalinglab.source import Source

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.lr_batch import LrBatch
    from scalinglab.analysis.fitting.result import Result


@dataclass(frozen=True, kw_only=True)
class TuneOptions(CountOptions, IntervalOptions):
    """Options of a recommendation: the planned runs, or the losses."""

    N: list[float] = option("sizes of the planned runs", [], ABOVE_0)
    D: list[float] = option("tokens of the planned runs, one for each N", [], ABOVE_0)
    losses: list[float] = option(
        "instead of N and D: losses (nats/token) whose critical batch is asked for", []
    )
    law: str = option(
        "with losses: critical_batch_at_loss (a table of loss and critical_batch) or"
        " kaplan_steps (of N, steps, batch and loss)",
        "critical_batch_at_loss",
    )
    within: float = option(
        "runs whose excess loss is at most this share of the best loss at their N and D are fitted",
        0.0025,
    )
    mixture: bool = option(
        "instead: the shares of the pools of least loss, from runs of several mixtures; N and D of"
        " one planned run, or none for the largest trained",
        False,
    )
    targets: list[str] = option(
        "with mixture: the validation sets whose mean loss counts; default: one of each pool", []
    )
    weights: dict[str, float] = option(
        "with mixture: of each validation set in the mean, weights.code=2; default: equal ones", {}
    )
    epochs: float | None = option(
        "with mixture: how often a token may be seen at most", None, ABOVE_0
    )
    unique: dict[str, float] = option(
        "with epochs: tokens that there are of a pool, unique.code=1e9; default: as in the runs", {}
    )


@dataclass(frozen=True, repr=False)
class Recommended(Shown):
    """A learning rate and a batch for each planned run.

    Attributes
    ----------
    laws : LrBatch
        Laws of both, fitted to the sweep.
    table : DataFrame
        One row a planned run: ``N, D``, ``lr`` and ``batch`` with intervals, and ``inside``:
        within the range of the sweep.
    regret : dict
        The regret of such a choice on the sweep; see `regret_summary`.
    """

    laws: LrBatch
    table: pd.DataFrame
    regret: dict[str, Any]

    @property
    def shown(self) -> Overview:
        """As `Shown`: a row a planned run, and the regret of such choices on the sweep."""
        title = "Recommended learning rate and batch"
        sentences, warnings = tuple(self.regret_in_words()), tuple(self.warnings)
        return Overview(title, {"": self.table}, sentences, (*warnings, *self.doubts()))

    def regret_in_words(self) -> list[str]:
        """The excess loss of such choices at the fitted (N, D) and at those left out."""
        regret = self.regret
        fitted = (
            f"excess loss of the runs nearest to the recommended pair, at the {regret['cells']}"
            f" (N, D) that were fitted: {regret['fitted_mean']:.3%} on average"
        )
        if regret["held_out_mean"] is None:
            return [fitted]
        return [
            fitted,
            f"at each (N, D) left out of the fit in turn: {regret['held_out_mean']:.3%} on average,"
            f" {regret['held_out_largest']:.2%} at most; with one pair for all:"
            f" {regret['constant_mean']:.3%}",
        ]

    def doubts(self) -> list[str]:
        """Why the regret is not tested, or that the laws gain nothing."""
        regret = self.regret
        if regret["held_out_mean"] is None:
            return [regret["why_not_held_out"]]
        if regret["held_out_mean"] >= regret["constant_mean"]:
            return ["the laws do no better than one pair for all (N, D)"]
        return []

    @property
    def warnings(self) -> list[str]:
        """The warnings of both fits, each once."""
        fits = {"learning rate": self.laws.lr, "batch": self.laws.batch}
        of_both = [w for w in self.laws.lr.warnings if w in self.laws.batch.warnings]
        of_one = [
            f"law of the {name}: {warning}"
            for name, fit in fits.items()
            for warning in fit.warnings
            if warning not in of_both
        ]
        return list(dict.fromkeys([*of_both, *of_one]))


@dataclass(frozen=True, repr=False)
class CriticalBatch(Shown):
    """The critical batch at some losses.

    Attributes
    ----------
    fit : Result
        The fitted law.
    table : DataFrame
        From `analysis.critical_batch`.
    """

    fit: Result
    table: pd.DataFrame

    @property
    def shown(self) -> Overview:
        """As `Shown`: a row a loss."""
        return Overview("Critical batch", {"": self.table}, (self.law_in_words(),)).also(
            warnings=self.fit.warnings
        )

    def law_in_words(self) -> str:
        """The law behind the table, and the unit of its batches."""
        return f"law: {self.fit.law.name}; batches are in the unit of the fitted ones"


def tune(source: Source, options: TuneOptions) -> Recommended | CriticalBatch | MixtureChoice:
    """Recommend a learning rate and a batch, the critical batch at some losses, or a mixture.

    Raises
    ------
    UserError
        If no planned run and no loss is named, or the runs do not carry the laws.
    """
    if options.mixture:
        return _mixture(source, options)
    for name in ("targets", "weights", "epochs", "unique"):
        if getattr(options, name):
            raise ConfigError(f"{name} is of the best mixture: give mixture=true as well")
    if options.losses:
        return _critical_batch(source, options)
    if not options.N or len(options.N) != len(options.D):
        raise ConfigError(
            f"N = {options.N} and D = {options.D}: give one D for each N, as in N=[1e9] D=[1e11]"
        )
    laws = analysis.lr_batch(
        source.sweep(options),
        within=options.within,
        resamples=options.resamples,
        seed=options.seed,
        columns=options.columns,
        delta=source.delta,
    )
    planned = pd.DataFrame({"N": options.N, "D": options.D})
    table = planned.join(laws.predict(planned, options.level if options.resamples else None))
    inside = laws.lr.predict(planned)["inside"] & laws.batch.predict(planned)["inside"]
    return Recommended(laws, table.assign(inside=inside), regret_summary(laws))


def _critical_batch(source: Source, options: TuneOptions) -> CriticalBatch:
    if options.N or options.D:
        raise ConfigError(
            "losses asks for the critical batch, N and D for a learning rate and a batch: give"
            " one or the other"
        )
    result = analysis.fit(
        options.law,
        source.sweep(options),
        columns=options.columns or None,
        resamples=options.resamples,
        seed=options.seed,
        level=options.level,
        delta=source.delta,
        mix_fingerprints=options.mix_fingerprints,
    )
    return CriticalBatch(
        result, analysis.critical_batch(result, options.losses, level=options.level)
    )


def _mixture(source: Source, options: TuneOptions) -> MixtureChoice:
    if options.losses:
        raise ConfigError("losses asks for the critical batch: leave it out with mixture=true")
    if len(options.N) > 1 or len(options.D) > 1:
        raise ConfigError(
            f"N = {options.N} and D = {options.D}: mixture=true is of one planned run, as in"
            " N=[1e9] D=[1e11]"
        )
    runs = source.of_all_roles(options)
    refuse_mixed_code(runs, options.mix_fingerprints)
    return choose_mixture(
        runs,
        targets=options.targets,
        weights=options.weights or None,
        N=options.N[0] if options.N else None,
        D=options.D[0] if options.D else None,
        epochs=options.epochs,
        unique=options.unique,
        resamples=options.resamples,
        seed=options.seed,
        level=options.level,
        delta=source.delta,
    )

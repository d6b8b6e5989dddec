"""Whether the pass rate of a task follows a power law: -log(pass rate) against size.

The accuracy of small models is zero, but their pass rate is measurable by sampling until there are
successes (arXiv 2310.03262). Its -log falls as a power of size or compute. The law is fitted to the
runs with the role ``fit`` and predicts larger runs before they are trained; the verdict is whether
these follow it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from scalinglab.analysis import plot
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.plot.labels import decimal
from scalinglab.analysis.reporting.drawn import drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.bounds import AT_LEAST
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.analysis.tables.task_columns import probe_command, task_column
from scalinglab.analysis.tables.typed import records_of
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.fields import one_of
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAW, NUMBER, PROBE = "power", "pass_neg_log", "pass_until"
LEVEL = 0.95
SMALL = 1e-2  # a pass rate that an accuracy of some hundred items does not resolve
WIDEST = 4.0  # ratio of the ends of an interval of -log(rate), beyond which nothing is tested
LEAST_SIZES = 4
_CAPTION = (
    "-log of the pass rate against size. Line: the law of the fitted runs, with the 95% interval of"
    " a new run."
)
_CAP = " options.cap=10000000"  # costs nothing: see the probe


@VERDICTS.register("emergence")
def judge(
    runs: pd.DataFrame,
    *,
    task: str = "addition_2",
    x: str = "C",
    number: str = NUMBER,
    resamples: int = 300,
    delta: float | str | None = None,
    planned: pd.DataFrame | None = None,
    study: str = "NAME",
) -> Finding:
    """Judge whether the pass rate of a task follows a power law.

    Parameters
    ----------
    runs : DataFrame
        ``N, D, C, seed, role, status, cluster`` and the column of the task.
    task : str
        As in columns: ``addition_2``.
    x : str
        What the law is in: N, D or C.
    number : str
        The number of the probe ``pass_until``, with its options where there are several.
    resamples : int
        Of the fit.
    delta : float or str, optional
        Huber threshold of the fit, as in `analysis.fit`.
    planned : DataFrame, optional
        Runs that are not finished: ``run_id, role, N, D, C, steps``.
    study : str
        For messages.

    Raises
    ------
    UserError
        If the task was not measured, or at too few sizes.
    """
    one_of("study.answer.options.x", x, ("N", "D", "C"))
    ended = runs[runs["status"] == State.DONE].reset_index(drop=True)
    command = probe_command(task, study, PROBE, _CAP)
    column = task_column(ended, task, number, command)
    bound = column + AT_LEAST
    points = ended.assign(y=ended.get(column, np.nan), y_at_least=ended.get(bound, np.nan))
    fit_runs = with_role(points, "fit")
    fitted = fit_runs.dropna(subset=["y"])
    if fitted[x].nunique() < LEAST_SIZES:
        raise UserError(
            f"{column}: {fitted[x].nunique()} different {x} of runs with the role fit have it; a"
            f" power law that can be tested takes {LEAST_SIZES}"
        )
    law = fit(
        LAW,
        fit_runs[fit_runs["y"].notna() | fit_runs["y_at_least"].notna()].drop(columns="loss"),
        x=x,
        columns={"loss": "y"},
        resamples=resamples,
        delta=delta,
    )
    ahead = with_role(points, "held_out")
    asked = ahead["y"].notna() | ahead["y_at_least"].notna()
    warnings = [f"{LAW}: {w}" for w in law.warnings]
    warnings += _censored(fit_runs, ahead, command)
    sentences, forecasts = [], None
    tested = _tested(law, ahead[asked].reset_index(drop=True))
    curvature, bends = _curvature(fitted, x)
    if len(tested):
        sentences.append(_verdict(tested, task, bends))
    if unasked := int((~asked).sum()):
        warnings.append(f"{unasked} held-out runs are trained and not asked: {command}")
    if planned is not None and len(with_role(planned, "held_out")):
        forecasts = _forecasts(law, with_role(planned, "held_out"), column)
        sentences.append(_predicted(forecasts, task))
    if not sentences:
        sentences.append("No larger run is held out: the law was not tested.")
    sentences += [curvature, _law(law, x)]
    tables = {"Pass rates": _rates(points, x), "Parameters": law.summary.reset_index()}
    if len(tested):
        tables["Held out"] = tested.drop(columns=["bent"])
    figure = _figure(fitted, ahead, law, x)
    return Finding(
        sentences,
        tables,
        [(_CAPTION, figure)],
        warnings,
        ["Hu et al. 2023, arXiv:2310.03262"],
        forecasts,
    )


def _tested(law: Result, asked: pd.DataFrame) -> pd.DataFrame:
    """Held-out runs beside the law's predictions; ``bent`` is +1 where they pass more often.

    It is NaN where a run reached the cap of samples and the law allows what is below that bound.
    """
    if asked.empty:
        return asked
    predictions = law.predict(asked, LEVEL)
    is_bound = asked["y"].isna()
    neg_log = asked["y"].fillna(asked["y_at_least"])
    table = asked[["N", "D", "C", "seed"]].assign(
        rate=np.exp(-neg_log),
        at_most=is_bound,
        neg_log=neg_log,
        predicted=predictions["loss"],
        lower=predictions["lower"],
        upper=predictions["upper"],
    )
    above, below = neg_log > table["upper"], neg_log < table["lower"]
    bent = below.astype(float) - above.astype(float)
    table["bent"] = bent.where(~is_bound | above)
    return table


def _verdict(tested: pd.DataFrame, task: str, bends: bool) -> str:
    """Whether the held-out runs follow the law, or why that cannot be told."""
    width = (tested["upper"] / tested["lower"]).max()
    rates = ", ".join(
        f"{'at most ' if row['at_most'] else ''}{row['rate']:.3g}"
        f" (predicted {_rate(row['predicted'])}, {_rate(row['upper'])} to {_rate(row['lower'])})"
        for row in records_of(tested)
    )
    begin = f"{task} at the held-out size: pass rate {rates}"
    if not np.isfinite(width) or width > WIDEST:
        problem = "has no interval" if not np.isfinite(width) else f"spans a factor of {width:.2g}"
        outcome = (
            "It bends within the fitted sizes already; what the larger ones do beyond that"
            if bends
            else "Whether it bent"
        )
        return f"{begin}. {outcome} cannot be told: the prediction of -log(rate) {problem}."
    within = f"a bend beyond a factor of {width**0.5:.2f} in -log(rate) would have been seen"
    bent = tested["bent"].dropna()
    if bent.empty:
        return (
            f"{begin}. Whether it bent cannot be told: all runs reached the cap of samples, and"
            " the law allows rates below that bound."
        )
    if (bent == 0).all():
        return f"{begin}. It did not bend: the law holds ({within})."
    if (bent > 0).all() or (bent < 0).all():
        more_or_less = "more" if bent.iloc[0] > 0 else "less"
        return (
            f"{begin}. It bent: the larger runs pass {more_or_less} often than the law allows "
            f"({within})."
        )
    return f"{begin}. Whether it bent cannot be told: the held-out runs disagree ({within})."


def _forecasts(law: Result, planned: pd.DataFrame, column: str) -> pd.DataFrame:
    """Predictions of unfinished runs, for the record of ``analysis.forecasts.track``."""
    predictions = law.predict(planned, LEVEL)
    names = ("loss", "lower", "upper", "beyond")
    table = planned[["run_id", "N", "D", "steps"]].assign(
        step=0, law=LAW, column=column, **{name: predictions[name] for name in names}
    )
    return table.reset_index(drop=True)


def _predicted(forecasts: pd.DataFrame, task: str) -> str:
    rows = forecasts.drop_duplicates(["N", "D"])
    texts = ", ".join(
        f"N = {row['N']:,.0f}, D = {row['D']:,.0f}: {_rate(row['loss'])}"
        f" ({_rate(row['upper'])} to {_rate(row['lower'])})"
        for row in records_of(rows)
    )
    return f"Predicted pass rate of {task} before it is trained: {texts}."


def _rate(neg_log: float) -> str:
    return f"{np.exp(-neg_log):.3g}"


def _law(law: Result, x: str) -> str:
    row = law.summary.loc["a"]
    interval = (
        f" ({row['lower']:.2f} to {row['upper']:.2f})"
        if "lower" in row and np.isfinite(row["lower"])
        else ""
    )
    return (
        f"-log(rate) = ({x}0 / {x})^a with a = {law.params['a']:.2f}{interval}; the rate is 1/e at"
        f" {x} = {law.params['x0']:.3g}."
    )


def _curvature(fitted: pd.DataFrame, x: str) -> tuple[str, bool]:
    """Whether the fitted runs bend: the quadratic term of log(-log rate) in log x."""
    u, v = np.log(fitted[x].to_numpy(float)), np.log(fitted["y"].to_numpy(float))
    basis = np.vander(u - u.mean(), 3)
    spare = len(u) - 3
    if spare < 1:
        return "The fitted runs are too few to tell whether they bend.", False
    params = np.linalg.lstsq(basis, v, rcond=None)[0]
    left = v - basis @ params
    error = np.sqrt(left @ left / spare * np.linalg.inv(basis.T @ basis)[0, 0])
    half = float(stdtrit(spare, (1 + LEVEL) / 2) * error)
    low, high = params[0] - half, params[0] + half
    bends = not low <= 0 <= high
    outcome = "do not bend beyond their scatter"
    if bends:
        outcome = (
            "bend: the task emerges faster than" if high < 0 else "bend: it emerges slower than"
        )
        outcome += " a power law"
    text = (
        f"The fitted runs {outcome} (curvature of log(-log rate) in log {x}: {params[0]:.2f},"
        f" {low:.2f} to {high:.2f})."
    )
    return text, bends


def _censored(fit_runs: pd.DataFrame, ahead: pd.DataFrame, command: str) -> list[str]:
    """What is said of runs of which only a bound is known: those that are fitted and held out."""
    return [
        f"{len(rows)} {which} have items that reached the cap of samples: their pass rate is at"
        f" most {np.exp(-rows['y_at_least'].min()):.2g}. {how}; {command} samples longer"
        for which, how, runs in (
            ("runs", "The law counts them as censored", fit_runs),
            ("held-out runs", "They test the law by that bound", ahead),
        )
        if len(rows := runs[runs["y_at_least"].notna()])
    ]


def _rates(points: pd.DataFrame, x: str) -> pd.DataFrame:
    """One row per size: the pass rate over seeds, and whether an accuracy resolves it."""
    measured = points.assign(value=points["y"].fillna(points["y_at_least"])).dropna(
        subset=["value"]
    )
    cells = measured.groupby(["role", "N", "D", "C"])
    table = cells["value"].agg(["mean", "min", "max", "size"]).reset_index()
    return pd.DataFrame(
        {
            **{name: table[name] for name in ("role", "N", "D", "C")},
            "runs": table["size"],
            "rate": np.exp(-table["mean"]),
            "lowest": np.exp(-table["max"]),
            "highest": np.exp(-table["min"]),
            "below 1e-2": np.exp(-table["mean"]) < SMALL,
            "bound": cells["y_at_least"].count().to_numpy() > 0,
        }
    ).sort_values(x, ignore_index=True)


def _figure(fitted: pd.DataFrame, ahead: pd.DataFrame, law: Result, x: str) -> Figure:
    """The law through the runs; those that reached the cap have no value and are left out."""
    from scalinglab.analysis.plot.ticks import log_axis  # with matplotlib, which takes a while

    held_out = ahead.dropna(subset=["y"])
    figure = drawn(plot.loss_against, law, fitted, x, held_out=held_out)
    ax = figure.axes[0]
    ax.set_ylabel("-log(pass rate)")
    log_axis(ax.yaxis, decimal)  # it spans decades, which losses do not
    return figure

"""Whether a task's loss forecasts its accuracy, and is one curve of the validation loss.

The chain: from size and tokens to the task's loss, from that to the accuracy (arXiv 2412.04403). It
is fitted to the runs with the role ``fit`` and compared with the held-out ones.

The map: models of different sizes at the same validation loss may differ on a task (arXiv
2404.01204 follows scores along checkpoints). A smooth curve of the task's loss against the
validation loss is fitted to all checkpoints together, and an analysis of variance over independent
trainings tests whether sizes deviate from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import fdtrc, stdtrit

from scalinglab.analysis import plot
from scalinglab.analysis.fitting.task_chain import TaskChain
from scalinglab.analysis.fitting.task_chains import task_chains
from scalinglab.analysis.forecasts.study_tasks import HELD_OUT, pairs_of
from scalinglab.analysis.plot.labels import LOSS
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.analysis.tables.task_columns import probe_command, task_points
from scalinglab.analysis.tables.typed import records_of
from scalinglab.scaling.records.state import State

LEVEL = 0.95
CHANCE = 0.05
WIDEST = 0.5  # accuracy: an interval beyond which nothing is tested
COARSEST = 0.25  # a difference of sizes, as a share of the task's loss, that has to be seen
_DEGREE = 3  # of the curve that all sizes are to share, in log loss


@VERDICTS.register("tasks")
def judge(
    runs: pd.DataFrame,
    *,
    tasks: list[str],
    task_loss: str = "bpb",
    accuracy: str = "accuracy",
    resamples: int = 300,
    curves: pd.DataFrame | None = None,
    planned: pd.DataFrame | None = None,
    study: str = "NAME",
) -> Finding:
    """Judge the forecasts of tasks, and whether their losses are one curve of the loss over sizes.

    Parameters
    ----------
    runs : DataFrame
        ``run_id, N, D, seed, role, status, cluster, loss`` and the columns of the tasks.
    tasks : list of str
        As in columns: ``addition_2``, or the name of a file of items.
    task_loss, accuracy : str
        Numbers of the probe ``tasks``.
    resamples : int
        Of the fits.
    curves : DataFrame, optional
        With the same columns at the steps that were probed.
    planned : DataFrame, optional
        Runs that are not finished: ``role, N, D``.
    study : str
        For messages.

    Raises
    ------
    UserError
        If a task was not measured, or none at enough runs for its laws.
    """
    ended = runs[runs["status"] == State.DONE]
    held_out = with_role(ended, HELD_OUT)
    larger = None if planned is None else with_role(planned, HELD_OUT)
    sources = ["Bhagia et al. 2024, arXiv:2412.04403; Yang et al. 2024, arXiv:2404.01204"]
    finding = Finding([], sources=sources)
    if held_out.empty and (larger is None or larger.empty):
        finding.warnings.append("no larger run is held out: the chain is not tested")
    models, checkpoints, targets, pairs = {}, {}, {}, {}
    for task in tasks:
        points = task_points(ended, task, task_loss, accuracy, study=study)
        pairs[task] = pairs_of(curves, task, points, task_loss, accuracy)
        models[task], targets[task] = _apart(points, held_out["run_id"])
        checkpoints[task], _ = _apart(pairs[task], held_out["run_id"])
        if len(targets[task]) < len(held_out):
            finding.warnings.append(
                f"{len(held_out) - len(targets[task])} held-out runs are trained and not asked:"
                f" {probe_command(task, study, more=' steps=all')}"
            )
    found = task_chains(models, checkpoints, resamples=resamples)
    finding.warnings.extend(f"{task}: {reason}" for task, reason in found.refused.items())
    for task in tasks:
        if task in found.chains:
            _tell_chain(finding, task, found.chains[task], targets[task], larger)
        curve_sentence, sizes = one_curve(pairs[task])
        finding.sentences.append(f"{task}: {curve_sentence}")
        if len(sizes):
            finding.tables[f"Sizes beside the common curve of {task}"] = sizes
        finding.figures.extend(_figure(task, pairs[task]))
    return finding


def _apart(table: pd.DataFrame, run_ids: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of other runs, and those of these runs."""
    named = table["run_id"].isin(run_ids)
    return table[~named].reset_index(drop=True), table[named].reset_index(drop=True)


def _tell_chain(
    finding: Finding,
    task: str,
    chain: TaskChain,
    ahead: pd.DataFrame,
    larger: pd.DataFrame | None,
) -> None:
    """What a task's chain says of the runs that are held out."""
    for law in (chain.loss, chain.accuracy):
        finding.warnings.extend(f"{task}, {law.law.name}: {w}" for w in law.warnings)
        finding.tables[f"Parameters of {law.law.name}, {task}"] = law.summary.reset_index()
    if len(ahead):
        tested = _tested(chain, ahead)
        for _, one_size in tested.groupby(["N", "D"]):
            finding.sentences.append(_forecast(one_size, task))
        finding.tables[f"Held out, {task}"] = tested
    if larger is not None and len(larger):
        finding.sentences.append(_predicted(chain, larger, task))


def _tested(chain: TaskChain, ahead: pd.DataFrame) -> pd.DataFrame:
    predictions = chain.predict(ahead, LEVEL)
    return pd.DataFrame(
        {
            **{name: ahead[name] for name in ("N", "D", "seed", "task_loss")},
            "predicted_loss": predictions["task_loss"],
            "loss_lower": predictions["task_loss_lower"],
            "loss_upper": predictions["task_loss_upper"],
            "accuracy": ahead["accuracy"],
            "predicted": predictions["accuracy"],
            "lower": predictions["lower"],
            "upper": predictions["upper"],
        }
    )


def _forecast(tested: pd.DataFrame, task: str) -> str:
    """Both steps beside what was measured at one N and D, and whether the chain holds."""
    steps = {
        "Accuracy": ("accuracy", "predicted", "", ".3f"),
        "Loss": ("task_loss", "predicted_loss", "loss_", ".3g"),
    }
    texts, missed = [], {}
    for step, (name, predicted, begin, digits) in steps.items():
        low, high = tested[f"{begin}lower"], tested[f"{begin}upper"]
        missed[step] = int(((tested[name] < low) | (tested[name] > high)).sum())
        values = ", ".join(f"{value:{digits}}" for value in tested[name])
        row = tested.iloc[0]
        texts.append(
            f"{step.lower()} {values} measured, {row[predicted]:{digits}} forecast"
            f"{_interval(row, begin, digits)}"
        )
    is_fine = bool((tested["upper"] - tested["lower"]).max() <= WIDEST)
    if is_fine and not missed["Accuracy"]:
        end = "the chain forecasts the accuracy within its interval"
    elif missed["Accuracy"]:
        end = "the chain does not hold: the accuracy lies outside of its interval"
    elif missed["Loss"]:
        end = "the chain does not hold: the task's loss lies outside of its interval"
    else:
        end = (
            "whether the chain holds cannot be told: the accuracy's interval is too wide, or there "
            "is none"
        )
    place = f"N = {tested['N'].iloc[0]:,.0f}, D = {tested['D'].iloc[0]:,.0f}"
    return f"{task} at {place}: {'; '.join(texts)}: {end}."


def _interval(row: pd.Series | Mapping[str, Any], begin: str = "", digits: str = ".3f") -> str:
    low, high = row[f"{begin}lower"], row[f"{begin}upper"]
    if not np.isfinite(low):
        return " (no interval: see the warnings)"
    return f" ({low:{digits}} to {high:{digits}})"


def _predicted(chain: TaskChain, planned: pd.DataFrame, task: str) -> str:
    places = planned.drop_duplicates(["N", "D"]).reset_index(drop=True)
    predictions = pd.concat([places[["N", "D"]], chain.predict(places, LEVEL)], axis=1)
    texts = "; ".join(
        f"N = {row['N']:,.0f}, D = {row['D']:,.0f}: {row['accuracy']:.3f}{_interval(row)}"
        for row in records_of(predictions)
    )
    return f"Accuracy on {task} that is forecast before it is trained: {texts}."


def one_curve(pairs: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Whether the task's loss is one curve of the validation loss for all sizes.

    Parameters
    ----------
    pairs : DataFrame
        Checkpoints: ``N, cluster, loss, task_loss``; those of one training are not independent.

    Returns
    -------
    str, DataFrame
        A sentence; one row per size: by what share its task loss lies beside the common curve.
    """
    measured = pairs.dropna(subset=["loss", "task_loss"])
    measured = measured[(measured["loss"] > 0) & (measured["task_loss"] > 0)]
    trainings = measured.groupby("cluster")["N"].first()
    repeats = trainings.groupby(trainings).size()
    if len(repeats) < 2 or repeats.sum() - len(repeats) < 2:
        return (
            "whether the map from loss to task loss is one curve cannot be told: two sizes with two"
            " seeds each are the least.",
            pd.DataFrame(),
        )
    # Where sizes share a range of losses: elsewhere a curve follows each size by itself.
    low, high = _shared_range(measured)
    shared = measured[measured["loss"].between(low, high)]
    if shared["N"].nunique() < 2 or len(shared) <= _DEGREE + 2:
        return (
            "whether the map from loss to task loss is one curve cannot be told: no two sizes have"
            " checkpoints at the same losses; study.checkpoints={log: 8} keeps more of them, and"
            " scaling probe probe=validation steps=all measures their loss.",
            pd.DataFrame(),
        )
    x, y = np.log(shared["loss"].to_numpy(float)), np.log(shared["task_loss"].to_numpy(float))
    degree = min(_DEGREE, shared["loss"].nunique() - 2)
    left = y - np.polynomial.Polynomial.fit(x, y, degree)(x)
    by_training = shared.assign(left=left).groupby(["N", "cluster"])["left"].mean().reset_index()
    return _variance(by_training)


def _shared_range(pairs: pd.DataFrame) -> tuple[float, float]:
    """Losses that two sizes or more have reached."""
    ends = pairs.groupby("N")["loss"].agg(["min", "max"])
    lows, highs = np.sort(ends["min"]), np.sort(ends["max"])[::-1]
    return float(lows[1]), float(highs[1])


def _variance(by_training: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """One-way analysis of variance of trainings over sizes."""
    groups = by_training.groupby("N")["left"]
    sizes, means, count = groups.size(), groups.mean(), len(by_training)
    spare = count - len(sizes)
    if len(sizes) < 2 or spare < 1:
        return (
            "whether the map from loss to task loss is one curve cannot be told: no size that "
            "shares its losses with another has two seeds.",
            pd.DataFrame(),
        )
    within = float(((by_training["left"] - groups.transform("mean")) ** 2).sum()) / spare
    between = float((sizes * (means - by_training["left"].mean()) ** 2).sum()) / (len(sizes) - 1)
    ratio = between / within if within > 0 else np.inf
    p = float(fdtrc(len(sizes) - 1, spare, ratio))
    half = stdtrit(spare, (1 + LEVEL) / 2) * np.sqrt(within / sizes)
    table = pd.DataFrame(
        {
            "N": sizes.index,
            "trainings": sizes.to_numpy(),
            "beside": np.expm1(means.to_numpy()),
            "lower": np.expm1((means - half).to_numpy()),
            "upper": np.expm1((means + half).to_numpy()),
        }
    )
    spread = float(np.expm1(means.max() - means.min()))
    test = f"(F test over {count} trainings of {len(sizes)} sizes: p = {p:.2g})"
    if p < CHANCE:
        return (
            f"loss to task loss is not one curve: at equal loss sizes differ by up to"
            f" {spread:.1%} of the task loss {test}.",
            table,
        )
    least = float(np.expm1(half.max()))
    if not least <= COARSEST:
        return (
            f"whether the map from loss to task loss is one curve cannot be told: seeds scatter so"
            f" much that a size within {least:.0%} of the curve is not seen {test}.",
            table,
        )
    return (
        f"loss to task loss is one curve as far as can be told: sizes differ by {spread:.1%} of the"
        f" task loss, no more than seeds do {test}; a size within {least:.1%} of the curve would"
        " not be seen.",
        table,
    )


def _figure(task: str, pairs: pd.DataFrame) -> list[Captioned]:
    """The task's loss against the validation loss, by size."""
    both = pairs.dropna(subset=["loss", "task_loss"]).sort_values(["N", "loss"])
    if both.empty:
        return []
    labels = (LOSS, f"loss of {task}")
    options: dict[str, Any] = {"by": "N", "labels": labels, "joined": False}
    figure = drawn(plot.measured_against, both, "loss", "task_loss", **options)
    return [(f"Loss of {task} against the validation loss, every checkpoint, by size.", figure)]

"""Norms inside a network, extrapolated over size and learning rate to warn of instabilities.

Wortsman et al. (arXiv 2309.14322) predict instabilities of large models from the norms of small
ones. Section 3.3: the largest attention logit of the first block at step 2,000 is fitted by a
quadratic in model size at each learning rate; every run in which it was above 1e4 diverged, and so
did a model of 4.8B parameters of which the fit had said so. Forced upon a model of 10M parameters,
logits raised the loss from about 1e3 on. Section 3.4: the gradient's rms falls with size and
learning rate, and where it comes to Adam's epsilon (1e-8 by default) updates shrink.

Here a norm is the largest of all blocks (the least, of a gradient) at the end of a run, and what
is tried is beyond the sizes of finished runs. Each norm of the finished runs of one recipe is
fitted by

    log norm = c + a log N + b log lr

by least squares, with the interval of a new measurement by Student's t. There is no prediction if
the runs do not determine a and b, or if a point departs from the line along which they varied.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.law import Array
from scalinglab.analysis.tables.study_runs import LEFT_OUT, ended_runs, unfinished_runs
from scalinglab.analysis.tables.typed import records_of
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.model.stated import size
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.identity import canonical_json
from scalinglab.scaling.records.recipe import DEFAULT_WARMUP, LR_RULE, recipe
from scalinglab.scaling.records.state import State

PAPER = "arXiv 2309.14322"
LEVEL = 0.95
_LEAST_DEGREES = 2  # of the residuals: with fewer an interval says nothing
_OFF = 1e-3  # how far off, relative, a point may lie from what the runs varied together
_WIDEST = 1e3  # ratio of the ends of an interval that is worth a warning by its end alone
_MOST_RUNS = 256  # that are read: a line of three parameters needs no more
_SAME = 1e-6  # singular values, relative to the largest, that count as zero


@dataclass(frozen=True)
class Norm:
    """A measured norm, and beyond which value of it runs failed.

    Attributes
    ----------
    column : str
        Of `analysis.load`.
    limit : float or None
        None: no number is published, or it is the run's own.
    at_epsilon : bool
        Whether the limit is the epsilon of the run's optimizer.
    above : bool
        Whether it is trouble above the limit, else below.
    why : str
        What happens there, with its source.
    """

    column: str
    limit: float | None = None
    at_epsilon: bool = False
    above: bool = True
    why: str = ""


NORMS = (
    Norm(
        "attention_logit_max",
        1e4,
        why=f"in {PAPER}, section 3.3, every run diverged whose largest logit of the first block"
        " was above 1e4 at step 2,000",
    ),
    Norm(
        "gradient_rms_min",
        at_epsilon=True,
        above=False,
        why=f"where it comes to the optimizer's epsilon updates shrink: {PAPER}, section 3.4",
    ),
    Norm("logit_max"),
    Norm("log_partition"),
    Norm("activation_rms"),
)
_WRITTEN = tuple(f'"{norm.column}'.encode() for norm in NORMS)  # as records have their names


@dataclass(frozen=True)
class NormLine:
    """A norm as a power of size and learning rate.

    Attributes
    ----------
    norm : Norm
    params : array, shape (3,)
        Of 1, log N and log lr.
    spread : float
        Standard deviation of the residuals, in logarithms.
    degrees : int
        Of freedom.
    covariance, span : array, shape (3, 3)
        Of the parameters over the squared spread; directions that the runs tell, in rows.
    runs : int
    """

    norm: Norm
    params: Array
    spread: float
    degrees: int
    covariance: Array
    span: Array
    runs: int

    def predict(self, N: float, lr: float, level: float = LEVEL) -> dict[str, float] | None:
        """``value, lower, upper`` of a new run; None where the runs do not tell."""
        # Here: scipy takes 0.2 s to import.
        from scipy.special import stdtrit

        place = np.array([1.0, np.log(N), np.log(lr)])
        if np.linalg.norm(place - self.span.T @ (self.span @ place)) > _OFF * np.linalg.norm(place):
            return None
        middle = float(place @ self.params)
        error = self.spread * np.sqrt(1 + place @ self.covariance @ place)
        half = float(stdtrit(self.degrees, (1 + level) / 2) * error)
        ends = {"value": middle, "lower": middle - half, "upper": middle + half}
        return {name: float(np.exp(value)) for name, value in ends.items()}


def norm_line(norm: Norm, runs: pd.DataFrame) -> NormLine | None:
    """Fit a norm over the runs of one recipe; None where too few have it.

    Parameters
    ----------
    norm : Norm
    runs : DataFrame
        ``N, lr`` and the column of the norm.
    """
    if norm.column not in runs:
        return None
    runs = runs[runs[norm.column] > 0]
    place = np.column_stack([np.ones(len(runs)), np.log(runs["N"]), np.log(runs["lr"])])
    if not len(runs):
        return None
    _, singular, directions = np.linalg.svd(place, full_matrices=False)
    span = directions[singular > _SAME * singular[0]]
    degrees = len(runs) - len(span)
    if degrees < _LEAST_DEGREES or len(span) < 2:
        return None
    y = np.log(runs[norm.column].to_numpy(float))
    inverse = np.linalg.pinv(place, rcond=_SAME)
    params = inverse @ y
    spread = float(np.sqrt(np.sum((y - place @ params) ** 2) / degrees))
    return NormLine(norm, params, spread, degrees, inverse @ inverse.T, span, len(runs))


def measured_norms(outputs: str | Path, recipes: set[str]) -> pd.DataFrame:
    """Norms at the ends of finished runs of some recipes: ``recipe, N, lr`` and a column a norm.

    Of a norm that is measured layer by layer, the one closest to trouble. Of more than 256 runs
    with norms 256 are read, in the order of their ids, which are hashes: a plan must not wait for
    thousands.
    """
    rows: list[dict[str, Any]] = []
    folders = ended_runs(outputs, None, "DONE") if Path(outputs).is_dir() else ()
    for folder in sorted((folder for folder, _ in folders), key=lambda folder: folder.run_id):
        if not _may_have_norms(folder.path, recipes):
            continue
        try:
            record = folder.record()
        except DamagedFile as error:
            tell(error, LEFT_OUT)
            continue
        spec, norms = record.spec, dict(_norms(record.columns))
        recipe_text = recipe_without_lr(spec.science, spec.config, vars(spec.shape))
        if record.status == State.DONE and norms and recipe_text in recipes and spec.lr_peak > 0:
            run = {"recipe": recipe_text, "N": float(size(spec.counts)), "lr": spec.lr_peak}
            rows.append(run | norms)
        if len(rows) == _MOST_RUNS:
            break
    return pd.DataFrame(rows, columns=None if rows else ["recipe", "N", "lr"])


def _may_have_norms(folder: Path, recipes: set[str]) -> bool:
    """Whether a record of some recipes names a norm, by a look at its text.

    Most name none, and to read and check them all would take seconds.
    """
    texts = (path.read_bytes() for path in folder.glob("record*.json"))
    return any(
        any(name in text for name in _WRITTEN) and _recipe_of(text) in {None, *recipes}
        for text in texts
    )


def _recipe_of(text: bytes) -> str | None:
    """The recipe in the text of a record, unchecked; None where it cannot be read."""
    try:
        record = json.loads(text)
        shape = {f.name: record["shape"][f.name] for f in fields(Shape)}
        return recipe_without_lr(record["science"], record["config"], shape)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def recipe_without_lr(
    science: Mapping[str, Any], config: Mapping[str, Any], shape: Mapping[str, Any]
) -> str:
    """The recipe of a run without its learning rate, as text; arguments as of `recipe`."""
    common = recipe(science, config, shape)
    optimizer = {k: v for k, v in common["optimizer"].items() if k != "lr"}
    common = {k: v for k, v in common.items() if k not in (LR_RULE, DEFAULT_WARMUP)}
    return canonical_json(common | {"optimizer": optimizer})


def predicted_norms(measured: pd.DataFrame, planned: pd.DataFrame) -> pd.DataFrame:
    """Each norm of planned runs, from finished ones of their recipe.

    Parameters
    ----------
    measured : DataFrame
        From `measured_norms`.
    planned : DataFrame
        ``run_id, recipe, N, lr, epsilon`` (NaN where the optimizer has none).

    Returns
    -------
    DataFrame
        ``run_id, N, lr, norm, value, lower, upper, limit, runs, trouble``: `trouble` is "expected"
        if the prediction lies beyond the limit, "possible" if its interval reaches the limit and is
        not too wide to be informative, else empty.
    """
    rows = []
    for recipe_text, ahead in planned.groupby("recipe", sort=False):
        finished = measured[measured["recipe"] == recipe_text]
        lines = [line for norm in NORMS if (line := norm_line(norm, finished)) is not None]
        for run in records_of(ahead):
            for line in lines:
                prediction = line.predict(run["N"], run["lr"])
                if prediction is not None:
                    limit = _limit(line.norm, run["epsilon"])
                    about = {name: run[name] for name in ("run_id", "N", "lr")}
                    about |= {
                        "norm": line.norm.column,
                        **prediction,
                        "limit": limit,
                        "runs": line.runs,
                    }
                    rows.append(about | {"trouble": _trouble(line.norm, prediction, limit)})
    columns = ("run_id", "N", "lr", "norm", "value", "lower", "upper", "limit", "runs", "trouble")
    return pd.DataFrame(rows, columns=list(columns))


def norm_warnings(predicted: pd.DataFrame) -> list[str]:
    """A sentence for each norm that reaches its limit: of the run that goes farthest beyond."""
    sentences = []
    norms = {norm.column: norm for norm in NORMS}
    for name, rows in predicted[predicted["trouble"] != ""].groupby("norm", sort=False):
        expected = rows[rows["trouble"] == "expected"]
        of = expected if len(expected) else rows
        distances = np.abs(np.log((of["value"] / of["limit"]).to_numpy(float)))
        row = of.iloc[distances.argmax() if len(expected) else distances.argmin()]
        verb = "is expected to be" if len(expected) else "may reach its limit: it is expected to be"
        sentences.append(
            f"{name} of {len(of)} planned run{'s' * (len(of) != 1)} {verb} "
            f"{row['value']:.2g} ({row['lower']:.2g} to {row['upper']:.2g}, {LEVEL:.0%}) at N ="
            f" {row['N']:,.0f}, LR {row['lr']:.3g} (run {row['run_id']}), by a power of N and LR"
            f" through {row['runs']} finished runs; {norms[str(name)].why}"
        )
    return sentences


def _limit(norm: Norm, epsilon: float) -> float:
    """The limit of a run's norm; NaN where there is none."""
    if norm.at_epsilon:
        return float(epsilon)
    return np.nan if norm.limit is None else norm.limit


def _trouble(norm: Norm, prediction: Mapping[str, float], limit: float) -> str:
    if np.isnan(limit):
        return ""
    sign = 1.0 if norm.above else -1.0
    if sign * (prediction["value"] - limit) > 0:
        return "expected"
    if prediction["upper"] > _WIDEST * prediction["lower"]:
        return ""
    end = prediction["upper" if norm.above else "lower"]
    return "possible" if sign * (end - limit) > 0 else ""


def _norms(columns: Mapping[str, float | None]) -> Iterator[tuple[str, float]]:
    for norm in NORMS:
        values = [
            value
            for name, value in columns.items()
            if value is not None and (name == norm.column or name.startswith(f"{norm.column}."))
        ]
        if values:
            yield norm.column, (max if norm.above else min)(values)


def unfinished_norms(outputs: str | Path, study: str) -> pd.DataFrame:
    """`predicted_norms` of the runs of a study that have not ended."""
    rows = [
        {
            "run_id": entry.run_id,
            "recipe": recipe_without_lr(spec.science, spec.config, vars(spec.shape)),
            "N": float(size(spec.counts)),
            "lr": spec.lr_peak,
            "epsilon": spec.optimizer.settings.get("epsilon"),
        }
        for entry, spec in unfinished_runs(outputs, study)
    ]
    return planned_norms(outputs, rows)


def planned_norms(outputs: str | Path, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """`predicted_norms` of planned runs, as rows of its table."""
    planned = pd.DataFrame([*rows], columns=["run_id", "recipe", "N", "lr", "epsilon"])
    planned = planned[planned["lr"] > 0].astype({"epsilon": float, "N": float})
    recipes = set(planned["recipe"])
    measured = measured_norms(outputs, recipes) if recipes else pd.DataFrame()
    return predicted_norms(measured, planned)

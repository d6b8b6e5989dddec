"""A study's answer: the law, its intervals, what it predicted, and the split of the budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.judgement.accuracy import scores
from analysis.reporting.facts import growth_in_words
from analysis.tables.runs import load, load_curves, study_plan

if TYPE_CHECKING:
    from analysis.decisions.allocation import Allocation
    from analysis.decisions.approaches import Approaches
    from analysis.fitting.result import Result
    from analysis.judgement.multiverse import Multiverse
    from analysis.reporting.outlook import Outlook

# The analysis here counts C as 6 N D with N = n_matmul: the "matmul" convention, in which the
# allocation has a closed form and budgets mean the same for measured and planned models.
FLOPS = "matmul"


@dataclass(frozen=True)
class Answer:
    """Everything a report says about a study.

    Attributes
    ----------
    study, question : str
    outputs : Path
    runs : DataFrame
        From ``analysis.load``, all roles.
    law : Result
        Fitted to the runs with the role "fit".
    held_out : DataFrame
        One row a held-out run: ``run_id, N, D, loss, predicted, lower, upper, error`` (predicted
        over measured, minus one) and ``covered``.
    allocation : Allocation or None
        N*, D* for the study's budgets; None if it names none.
    curves : DataFrame
        Curves of the runs with the role "curve", `loss` where validation was measured.
    curve_law : Result or None
        Fitted to the schedules that were not held out.
    curve_check : DataFrame
        One row a held-out curve: ``run, schedule, points, r2, mae, final, predicted, error``.
    unfinished : dict
        State -> number of runs of the plan that left no record.
    machines : DataFrame
        Where the runs happened, with versions.
    outlook : Outlook or None
        Forecasts of what has not ended, how forecasts did, and the comparison of arms.
    approaches : Approaches or None
        The split in other ways; None where the runs give none but the surface's.
    multiverse : Multiverse or None
        N* for the largest budget under every choice, if asked for.
    """

    study: str
    question: str
    outputs: Path
    runs: pd.DataFrame
    law: Result
    held_out: pd.DataFrame
    allocation: Allocation | None
    curves: pd.DataFrame
    curve_law: Result | None
    curve_check: pd.DataFrame
    unfinished: dict[str, int]
    machines: pd.DataFrame
    outlook: Outlook | None = None
    approaches: Approaches | None = None
    multiverse: Multiverse | None = None

    def text(self) -> str:
        """The answer in words and numbers."""
        parts = [self.question, self.law.report(), *self.sentences()]
        return "\n\n".join(parts)

    def sentences(self) -> list[str]:
        """What was found, one sentence or two a finding."""
        said = [self._points(), self._exponents(), self._extrapolation(), self._split(),
                self.multiverse.sentence() if self.multiverse else "", self._schedules()]
        ahead = [] if self.outlook is None else self.outlook.sentences()
        return [sentence for sentence in (*said, *ahead) if sentence]

    def _points(self) -> str:
        fitted = _with_role(self.runs, "fit")
        missing = ", ".join(f"{n} {state}" for state, n in self.unfinished.items())
        diverged = (self.runs["status"] == "diverged").sum()
        return (
            f"{len(fitted)} points of {fitted['N'].nunique()} sizes and {fitted['D'].nunique()} "
            f"token budgets were fitted, N {fitted['N'].min():,} to {fitted['N'].max():,} and "
            f"D {fitted['D'].min():,} to {fitted['D'].max():,}."
            + (f" {diverged} runs diverged and are censored." if diverged else "")
            + (f" Not finished: {missing}." if missing else "")
        )

    def _exponents(self) -> str:
        if self.law.law.name != "chinchilla":
            return ""
        named = []
        for name in ("alpha", "beta", "E"):
            low, high = self.law.interval(name)
            if name in self.law.diagnosis.unidentified:
                named.append(f"{name} is not identified by these runs")
            else:
                named.append(f"{name} = {self.law.params[name]:.3f} ({low:.3f} to {high:.3f})")
        return f"The law: {'; '.join(named)}. Intervals are {_level(self.law):.0%}."

    def _extrapolation(self) -> str:
        if self.held_out.empty:
            return ""
        rows = [
            f"- N {r['N']:,}, D {r['D']:,}: predicted {_ranged(r, 'predicted', '.4f')}, "
            f"measured {r['loss']:.4f}, error {r['error']:+.2%}"
            for r in self.held_out.rename(
                columns={"lower": "predicted_lower", "upper": "predicted_upper"}
            ).to_dict("records")
        ]
        return "\n".join(["Held out, never fitted:", *rows])

    def _split(self) -> str:
        if self.allocation is None:
            return ""
        rows = [
            f"- C = {r['C']:.3g} FLOPs: N* = {_ranged(r, 'N')}, D* = {_ranged(r, 'D')}, "
            f"{_ranged(r, 'tokens_per_parameter')} tokens a parameter, loss "
            f"{_ranged(r, 'loss', '.3f')}" + ("" if r["inside"] else ", outside what was measured")
            for r in self.allocation.table.to_dict("records")
        ]
        grown = growth_in_words(self.allocation.exponents)
        title = f"How to split a budget (C = 6 N D, N = n_matmul): {grown}."
        return "\n".join([title, *rows])

    def _schedules(self) -> str:
        if self.curve_law is None:
            return ""
        rows = [
            f"- {r.schedule}: R² {r.r2:.4f}, final loss {r.predicted:.4f} for {r.final:.4f} "
            f"measured ({r.error:+.2%})"
            for r in self.curve_check.itertuples()
        ]
        used = sorted(set(self.curves["schedule"]) - set(self.curve_check["schedule"]))
        return "\n".join([f"The curve law, fitted on {' and '.join(used)}, predicts:", *rows])


def answer_study(
    outputs: str | Path,
    study: str,
    *,
    resamples: int = 1000,
    seed: int = 0,
    mix_fingerprints: bool = False,
    arm: str | None = None,
    between: Sequence[str] = (),
    multiverse: bool = False,
) -> Answer:
    """Answer a study from its records; with `multiverse` under every choice, some fifty fits more.

    `arm` names a setting (``optimizer.name``) whose values are compared; `between`, which two.

    Raises
    ------
    ValueError
        If the study does not exist or has too few finished runs to fit its law.
    """
    from analysis.decisions.allocation import allocate
    from analysis.decisions.approaches import other_approaches
    from analysis.fitting.fitter import fit
    from analysis.judgement.multiverse import of_answer
    from analysis.reporting.outlook import look_ahead

    plan = study_plan(outputs, study)
    wanted = plan["study"]["answer"]
    runs = load(outputs, study=study, flops=FLOPS)
    fitted = _with_role(runs, "fit")
    if fitted.empty:
        raise ValueError(
            f"study {study!r} has no finished run to fit; scaling launch study={study}"
        )
    law = fit(wanted["law"], fitted, resamples=resamples, seed=seed,
              mix_fingerprints=mix_fingerprints)
    curves, curve_law, curve_check = _curves(outputs, runs, wanted, mix_fingerprints)
    return Answer(
        study=study,
        question=plan["study"]["question"],
        outputs=Path(outputs),
        runs=runs,
        law=law,
        held_out=_held_out(law, _with_role(runs, "held_out")),
        allocation=allocate(law, wanted["budgets"]) if wanted["budgets"] else None,
        curves=curves,
        curve_law=curve_law,
        curve_check=curve_check,
        unfinished=_unfinished(Path(outputs), plan, runs),
        machines=_machines(Path(outputs), runs),
        outlook=look_ahead(outputs, study, arm=arm, between=between, seed=seed),
        approaches=other_approaches(law, fitted, wanted["budgets"]),
        multiverse=of_answer(outputs, study, wanted, mix_fingerprints) if multiverse else None,
    )


def with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose columns ``x, x_lower, x_upper`` are one: "1.2 (1.1 to 1.3)"."""
    shown = {}
    for name in table:
        if f"{name}_lower" in table:
            shown[name] = [_ranged(row, str(name)) for row in table.to_dict("records")]
        elif not str(name).endswith(("_lower", "_upper")):
            shown[name] = [_plain(value) for value in table[name]]
    return pd.DataFrame(shown).rename(columns={"tokens_per_parameter": "D/N"})


def _plain(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _ranged(row: dict[str, Any], name: str, form: str = ".3g") -> str:
    lower, upper = row[f"{name}_lower"], row[f"{name}_upper"]
    between = "" if np.isnan(lower) else f" ({lower:{form}} to {upper:{form}})"
    return f"{row[name]:{form}}{between}"


def _level(law: Result) -> float:
    return float(law.settings["level"])


def _with_role(runs: pd.DataFrame, role: str) -> pd.DataFrame:
    return runs[[role in names.split(",") for names in runs["role"]]]


def _held_out(law: Result, runs: pd.DataFrame) -> pd.DataFrame:
    runs = runs[runs["status"] == "done"]
    if runs.empty:
        return pd.DataFrame()
    predicted = law.predict(runs, level=_level(law))
    table = runs[["run_id", "N", "D", "C", "loss"]].assign(
        predicted=np.asarray(predicted["loss"]),
        lower=np.asarray(predicted["lower"]),
        upper=np.asarray(predicted["upper"]),
    )
    table["error"] = table["predicted"] / table["loss"] - 1
    table["covered"] = table["loss"].between(table["lower"], table["upper"])
    return table


def _curves(
    outputs: str | Path, runs: pd.DataFrame, wanted: dict[str, Any], mix_fingerprints: bool
) -> tuple[pd.DataFrame, Result | None, pd.DataFrame]:
    """Fit the curve law to all schedules but the held-out one, and predict that one."""
    from analysis.fitting.fitter import fit

    ids = _with_role(runs[runs["status"] == "done"], "curve")["run_id"]
    curves = load_curves(outputs, run_ids=ids)
    held_out = curves["schedule"] == wanted["curve_held_out"] if len(ids) else pd.Series(dtype=bool)
    if not len(ids) or held_out.all() or not held_out.any():
        return curves, None, pd.DataFrame()
    # All have the same initial weights and data: what varies is within the curves.
    curves = curves.drop(columns="cluster")
    curves = curves.assign(train_loss=curves["loss"], loss=curves["validation_loss"])
    law = fit(wanted["curve_law"], curves[~held_out], mix_fingerprints=mix_fingerprints)
    checks = [_check_curve(law, curve) for _, curve in curves[held_out].groupby("run")]
    return curves, law, pd.DataFrame(checks)


def _check_curve(law: Result, curve: pd.DataFrame) -> dict[str, Any]:
    predicted = law.predict(curve)["loss"]
    found = scores(curve["loss"], predicted)
    last = curve["loss"].last_valid_index()
    return {
        "run": curve["run"].iloc[0],
        "schedule": curve["schedule"].iloc[0],
        **{k: found[k] for k in ("points", "r2", "mae")},
        "final": curve["loss"][last],
        "predicted": predicted[last],
        "error": predicted[last] / curve["loss"][last] - 1,
    }


def _unfinished(outputs: Path, plan: dict[str, Any], runs: pd.DataFrame) -> dict[str, int]:
    from scaling.records.run_folder import RunFolder

    left = {r["run_id"] for r in plan["runs"]} - set(runs["run_id"])
    return dict(Counter(RunFolder(outputs / "runs" / run_id).state() for run_id in left))


def _machines(outputs: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Distinct machines and versions with the number of runs made there."""
    from scaling.records.run_folder import RunFolder

    rows = []
    for run_id in runs["run_id"]:
        folder = RunFolder(outputs / "runs" / run_id)
        if folder.done() is None:  # imported
            continue
        record = folder.record()
        place = record["machine"]
        rows.append({
            "processor": place["processor"],
            "device": place["device"],
            "engine": place["engine"],
            **record["versions"],
            "code": record["code"]["commit"] or "unknown",
            "fingerprint": record["code"]["fingerprint"],
        })
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    return frame.groupby(list(frame), dropna=False).size().rename("runs").reset_index()

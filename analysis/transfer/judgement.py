"""The judgement of a candidate, and its text and plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import records_of
from scalinglab.analysis.transfer.decision import Decision, Verdict
from scalinglab.analysis.transfer.multiplier_line import Interval
from scalinglab.analysis.transfer.question import TransferQuestion
from scalinglab.analysis.transfer.seal import SealCheck

_SAYS = {
    Verdict.TRANSFERS: "transfers: {b} saves more than {margin:.0%} of compute at the target",
    Verdict.FADES: (
        "fades: {b} helps at the smallest size, less at each larger one, and at the target it is "
        "worth {margin:.0%} at most, as far as is known"
    ),
    Verdict.REVERSES: "reverses: {b} costs more than {margin:.0%} of compute at the target",
    Verdict.CANNOT_TELL: "cannot tell whether {b} helps at the target",
}


@dataclass(frozen=True)
class Measured:
    """The result of pairs at three or more sizes.

    Attributes
    ----------
    flops : Decision
        With compute counted in FLOPs.
    device : Decision or None
        In device-seconds as measured; None where the runs give none.
    sizes : DataFrame
        One row per size: ``N, D, C, pairs``, ``loss_ratio`` (mean), ``multiplier`` and
        ``device_multiplier``.
    correlation : float
        Between the two runs of a pair, over seeds, as estimated; NaN if unknown.
    seed_noise : float
        Standard deviation of a pair's log loss ratio; NaN if unknown.
    """

    flops: Decision
    device: Decision | None
    sizes: pd.DataFrame
    correlation: float
    seed_noise: float


@dataclass(frozen=True, repr=False)
class Judgement(Shown):
    """Does the candidate still help at the target?

    Attributes
    ----------
    question : TransferQuestion
    verdict : Verdict
    reasons : tuple of str
        Why there can be no verdict, whatever the numbers; empty otherwise.
    measured : Measured or None
        None where fewer than three sizes have pairs.
    trials : DataFrame
        One row an arm and size: ``trials``, the chosen settings and the seeds that chose nothing.
    next_runs : DataFrame
        What to run next, the best first; see `propose_fresh` and `propose_runs`. Empty while the
        tuning leaves a verdict out of reach.
    seal : SealCheck or None
    warnings : tuple of str
    """

    question: TransferQuestion
    verdict: Verdict
    reasons: tuple[str, ...]
    measured: Measured | None
    trials: pd.DataFrame
    next_runs: pd.DataFrame
    seal: SealCheck | None = None
    warnings: tuple[str, ...] = ()

    @property
    def shown(self) -> Overview:
        """As `Shown`: the verdict, sizes, trials and next runs."""
        measured = self.measured
        tables = {
            "Sizes": None if measured is None else measured.sizes,
            "Trials": self.trials,
            "Run next": self.next_runs if len(self.next_runs) else None,
        }
        numbers = [] if measured is None else [*_numbers(measured), *_noise(measured)]
        seal = [] if self.seal is None else [self.seal.in_words()]
        title = _capital(self.sentence())
        return Overview(title, {}).also(tables, map(_capital, [*numbers, *seal]), self.warnings)

    def sentence(self) -> str:
        """The verdict in a sentence."""
        question = self.question
        says = _SAYS[self.verdict].format(b=question.candidate, margin=question.margin)
        if self.verdict is Verdict.CANNOT_TELL and self.reasons:
            return f"{says}: {'; '.join(self.reasons)}"
        return says

    def report(self) -> str:
        """The verdict, its numbers, and the next runs, as text."""
        question = self.question
        lines = [
            f"[[{question.candidate} judged against {question.baseline} at C = {question.at:.3g}"
            f" FLOPs]]",
            f"    {_capital(self.sentence())}",
        ]
        if self.measured is not None:
            lines += [f"    {_capital(text)}" for text in _numbers(self.measured)]
            lines += ["[[Sizes]]", *(f"    {_size(r)}" for r in records_of(self.measured.sizes))]
            lines += [f"    {text}" for text in _noise(self.measured)]
        lines += ["[[Trials]]", *(f"    {_trial(row)}" for row in records_of(self.trials))]
        if len(self.next_runs):
            lines += ["[[Run next]]"]
            lines += [f"    {_proposal(row)}" for row in records_of(self.next_runs.head(3))]
        if self.seal is not None:
            lines += ["[[Seal]]", f"    {self.seal.in_words()}"]
        if self.warnings:
            lines += ["[[Warnings]]", *(f"    ! {text}" for text in self.warnings)]
        return "\n".join(lines)

    def facts(self) -> dict[str, Any]:
        """The judgement as plain data."""
        measured = self.measured
        return {
            "verdict": str(self.verdict),
            "reasons": list(self.reasons),
            "says": self.sentence(),
            "question": self.question.as_plain(),
            "flops": _facts(None if measured is None else measured.flops),
            "device_time": _facts(None if measured is None else measured.device),
            "sizes": pd.DataFrame() if measured is None else measured.sizes,
            "seed_correlation": np.nan if measured is None else measured.correlation,
            "seed_noise": np.nan if measured is None else measured.seed_noise,
            "trials": self.trials,
            "next": self.next_runs,
            "seal": None
            if self.seal is None
            else asdict(self.seal) | {"matched": self.seal.matched},
            "warnings": list(self.warnings),
        }


def _numbers(measured: Measured) -> list[str]:
    lines = []
    for name, decision in (("FLOPs", measured.flops), ("device time", measured.device)):
        if decision is None:
            continue
        slope, target = decision.slope, decision.target
        lines.append(
            f"counted in {name}: compute multiplier {_times(target)} at the target,"
            f" {_times(decision.smallest)} at the smallest size; verdict: {decision.verdict}"
        )
        if np.isfinite(target.half_width):
            parts = ", ".join(f"{part} {half:.3f}" for part, half in target.parts.items() if half)
            lines.append(
                f"log multiplier at the target {target.value:+.3f} +-{target.half_width:.3f} "
                f"({parts}); it changes by {slope.value:+.4f} ({slope.lower:+.4f} to "
                f"{slope.upper:+.4f}) for each"
                " factor e of compute"
            )
    return lines


def _noise(measured: Measured) -> list[str]:
    if np.isnan(measured.seed_noise):
        return []
    text = f"standard deviation of a pair's loss ratio over seeds: {measured.seed_noise:.3%}"
    if not np.isnan(measured.correlation):
        text += f"; correlation of its two losses: {measured.correlation:.2f}"
    return [text]


def _facts(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {
        "verdict": str(decision.verdict),
        "multiplier": _as_factor(decision.target),
        "multiplier_at_smallest": _as_factor(decision.smallest),
        "log_multiplier": _as_numbers(decision.target),
        "slope": _as_numbers(decision.slope),
        "half_width_from": dict(decision.target.parts),
    }


def _as_numbers(of: Interval) -> dict[str, float]:
    return {"value": of.value, "lower": of.lower, "upper": of.upper}


def _as_factor(of: Interval) -> dict[str, float]:
    if not np.isfinite(of.half_width):  # no interval yet: no ends either
        return {"value": float(np.exp(of.value)), "lower": np.nan, "upper": np.nan}
    with np.errstate(over="ignore"):
        return {name: float(np.exp(value)) for name, value in _as_numbers(of).items()}


def _times(of: Interval) -> str:
    factor = _as_factor(of)
    if not np.isfinite(of.half_width):
        return f"{factor['value']:.3f}x (no interval yet)"
    return f"{factor['value']:.3f}x ({factor['lower']:.3f} to {factor['upper']:.3f})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _size(row: dict[str, Any]) -> str:
    pairs = f"{row['pairs']:.0f} pair{'s' * (row['pairs'] != 1)}"
    text = (
        f"N {short(row['N'])}, D {short(row['D'])}, C {row['C']:.3g}: {pairs}, loss"
        f" {row['loss_ratio'] - 1:+.2%}, compute multiplier {row['multiplier']:.3f}x"
    )
    device = row.get("device_multiplier", np.nan)
    return text + ("" if np.isnan(device) else f", {device:.3f}x in device time")


def _trial(row: dict[str, Any]) -> str:
    columns = {"arm", "N", "D", "trials", "fresh"}
    settings = ", ".join(f"{k} {v:.3g}" for k, v in row.items() if k not in columns)
    fresh = ", ".join(map(str, row["fresh"])) or "none"
    return (
        f"{row['arm']}, N {short(row['N'])}: {row['trials']} trial{'s' * (row['trials'] != 1)}"
        + (f", chosen {settings}" if settings else "")
        + f"; fresh seeds: {fresh}"
    )


def _proposal(row: dict[str, Any]) -> str:
    where = "a new size, " if row["new_size"] else ""
    half = row["half_width"]
    then = f"then +-{half:.3f} in log multiplier" if np.isfinite(half) else "no interval yet"
    seeds = ", ".join(map(str, row["seed"]))
    return (
        f"{where}N {short(row['N'])}, D {short(row['D'])}: seed {seeds} of"
        f" {' and '.join(row['arms'])}"
        f" ({row['cost']:.2g} FLOPs; {then})"
    )

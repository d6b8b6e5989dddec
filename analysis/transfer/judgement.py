"""What a judge found, and that as text and as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.typed import records_of
from scalinglab.analysis.transfer.decision import Decision, Verdict
from scalinglab.analysis.transfer.multiplier_line import Interval
from scalinglab.analysis.transfer.seal import SealCheck

_SAYS = {
    Verdict.TRANSFERS: "transfers: {b} saves more than {margin:.0%} of compute at the target",
    Verdict.FADES: (
        "fades: {b} helps at the smallest size, less at each larger one, and at the target it is worth"
        " {margin:.0%} at most, as far as is known"
    ),
    Verdict.REVERSES: "reverses: {b} costs more than {margin:.0%} of compute at the target",
    Verdict.CANNOT_TELL: "cannot tell whether {b} helps at the target",
}


@dataclass(frozen=True)
class Judgement:
    """Does the candidate still help at the target?

    Attributes
    ----------
    arms : (str, str)
        Baseline and candidate.
    target : float
        FLOPs.
    margin : float
        Relative compute that counts as a difference.
    level : float
        Of the intervals; they hold at every look at once.
    verdict : Verdict
    reasons : tuple of str
        Why nothing can be told whatever the numbers say; empty otherwise.
    flops, device : Decision or None
        With compute counted in FLOPs, and in device-seconds as measured; None where the runs give none.
    sizes : DataFrame
        One row a size: ``N, D, C, pairs``, ``loss_ratio`` (mean), ``multiplier`` and
        ``device_multiplier``.
    correlation : float
        Between the two runs of a pair, over seeds, as estimated.
    seed_noise : float
        Standard deviation of a pair's log loss ratio.
    trials : DataFrame
        One row an arm and size: ``trials``, the chosen settings and the seeds that chose nothing.
    next_runs : DataFrame
        What narrows the answer most for its FLOPs; see `propose_runs`.
    reruns : tuple of str
        Chosen trials that have no fresh seeds in both arms.
    seal : SealCheck or None
    warnings : tuple of str
    """

    arms: tuple[str, str]
    target: float
    margin: float
    level: float
    verdict: Verdict
    reasons: tuple[str, ...]
    flops: Decision | None
    device: Decision | None
    sizes: pd.DataFrame
    correlation: float
    seed_noise: float
    trials: pd.DataFrame
    next_runs: pd.DataFrame
    reruns: tuple[str, ...] = ()
    seal: SealCheck | None = None
    warnings: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The verdict in a sentence."""
        says = _SAYS[self.verdict].format(b=self.arms[1], margin=self.margin)
        if self.verdict is Verdict.CANNOT_TELL and self.reasons:
            return f"{says}: {'; '.join(self.reasons)}"
        return says

    def report(self) -> str:
        """The verdict, what it rests on, and what to run next."""
        a, b = self.arms
        lines = [f"[[{b} judged against {a} at C = {self.target:.3g} FLOPs]]"]
        lines += [f"    {_capital(text)}" for text in (self.sentence(), *self._numbers())]
        if len(self.sizes):
            lines += ["[[Sizes]]", *(f"    {_size(row)}" for row in records_of(self.sizes))]
        lines += [f"    {text}" for text in self._noise()]
        lines += ["[[Trials]]", *(f"    {_trial(row)}" for row in records_of(self.trials))]
        if self.reruns or len(self.next_runs):
            lines += ["[[Run next]]", *(f"    {text}" for text in self.reruns)]
            lines += [f"    {_proposal(row)}" for row in records_of(self.next_runs.head(3))]
        if self.seal is not None:
            lines += ["[[Seal]]", f"    {self.seal.in_words()}"]
        if self.warnings:
            lines += ["[[Warnings]]", *(f"    ! {text}" for text in self.warnings)]
        return "\n".join(lines)

    def _numbers(self) -> list[str]:
        found = []
        for name, decision in (("FLOPs", self.flops), ("device time", self.device)):
            if decision is None:
                continue
            parts = ", ".join(
                f"{part} {half:.3f}" for part, half in decision.target.parts.items() if half > 0
            )
            slope = decision.slope
            found.append(
                f"{name}: multiplier {_times(decision.target)} at the target,"
                f" {_times(decision.smallest)} at the smallest size; its logarithm changes by"
                f" {slope.value:+.4f} ({slope.lower:+.4f} to {slope.upper:+.4f}) a factor e of"
                f" compute; by itself: {decision.verdict}"
            )
            if np.isfinite(decision.target.half_width):
                found.append(
                    f"half width of the log multiplier {decision.target.half_width:.3f}, from: {parts}"
                )
        return found

    def _noise(self) -> list[str]:
        if np.isnan(self.seed_noise):
            return []
        text = f"a pair's loss ratio scatters by {self.seed_noise:.3%} between seeds"
        if not np.isnan(self.correlation):
            text += f"; the two runs of a pair correlate by {self.correlation:.2f}"
        return [text]

    def facts(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "verdict": str(self.verdict),
            "reasons": list(self.reasons),
            "says": self.sentence(),
            "baseline": self.arms[0],
            "candidate": self.arms[1],
            "target": self.target,
            "margin": self.margin,
            "level": self.level,
            "flops": _facts(self.flops),
            "device_time": _facts(self.device),
            "sizes": self.sizes,
            "seed_correlation": self.correlation,
            "seed_noise": self.seed_noise,
            "trials": self.trials,
            "reruns": list(self.reruns),
            "next": self.next_runs,
            "seal": None
            if self.seal is None
            else {
                "matched": self.seal.matched,
                "date": self.seal.date,
                "hash": self.seal.hash,
                "differences": list(self.seal.differences),
                "known_before": self.seal.known,
            },
            "warnings": list(self.warnings),
        }


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
    return {name: float(np.exp(min(value, 700.0))) for name, value in _as_numbers(of).items()}


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
        f"N {row['N']:.3g}, D {row['D']:.3g}, C {row['C']:.3g}: {pairs}, loss"
        f" {row['loss_ratio'] - 1:+.2%}, compute multiplier {row['multiplier']:.3f}x"
    )
    device = row.get("device_multiplier", np.nan)
    return text + ("" if np.isnan(device) else f", {device:.3f}x in device time")


def _trial(row: dict[str, Any]) -> str:
    known = {"arm", "N", "D", "trials", "fresh", "_size"}
    settings = ", ".join(f"{k} {v:.3g}" for k, v in row.items() if k not in known)
    fresh = ", ".join(map(str, row["fresh"])) or "none"
    return (
        f"{row['arm']}, N {row['N']:.3g}: {row['trials']} trial{'s' * (row['trials'] != 1)}"
        + (f", taken {settings}" if settings else "")
        + f"; fresh seeds: {fresh}"
    )


def _proposal(row: dict[str, Any]) -> str:
    where = "a new size, " if row["new_size"] else ""
    half = row["half_width"]
    then = f"then +-{half:.3f} in log multiplier" if np.isfinite(half) else "no interval yet"
    seeds = ", ".join(map(str, row["seed"]))
    return (
        f"{where}N {row['N']:.3g}, D {row['D']:.3g}: seed {seeds} of {' and '.join(row['arms'])}"
        f" ({row['cost']:.2g} FLOPs; {then})"
    )

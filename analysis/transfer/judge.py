"""A candidate judged against a baseline at a target beyond the measured sizes.

The answer is a, the log of the compute multiplier at the target: y_i = a + b log(C_i / C_target), y_i
the log of the compute that the baseline needs for the candidate's loss, over the candidate's, from
pairs of runs with one seed. Its interval holds at every look, so a study may be judged after every run
and stopped at the first verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.transfer.decision import Decision, Verdict, decide
from scalinglab.analysis.transfer.judgement import Judgement
from scalinglab.analysis.transfer.ladder_runs import ARM, SECONDS, SIZE, ladder_runs, read_scale
from scalinglab.analysis.transfer.multiplier_line import LACK_OF_FIT, MultiplierLine, Uncertainty
from scalinglab.analysis.transfer.proposals import propose_runs
from scalinglab.analysis.transfer.seal import check_seal, write_seal
from scalinglab.analysis.transfer.size_means import SizeMeans
from scalinglab.analysis.transfer.trials import Trials, read_trials
from scalinglab.scaling.errors import UserError

MARGIN = 0.02
FAR = 30.0  # times the largest measured compute
_SIZES = 3
TUNING = ("check", "elsewhere")


def judge(
    data: pd.DataFrame,
    *,
    target: float | str,
    baseline: str,
    candidate: str,
    arm: str = "arm",
    margin: float = MARGIN,
    level: float = 0.95,
    far: bool = False,
    tuning: str = "check",
    text_noise: float = 0.0,
    lack_of_fit: float = LACK_OF_FIT,
    sealed: str | Path | None = None,
) -> Judgement:
    """Does the candidate still help at the target?

    Parameters
    ----------
    data : DataFrame
        One row a run: ``N, D, loss, seed`` and `arm`; where known ``C`` (FLOPs; else 6 N D), ``seconds``
        (of one device), ``lr, batch, weight_decay`` (the trials), ``status``, ``role`` ("sweep":
        a trial) and ``fresh`` (true: a rerun that chose nothing).
    target : float or str
        FLOPs, or "N=1e9 D=2e10".
    baseline, candidate : str
        Values of the column `arm`.
    margin : float
        Relative compute that counts as a difference.
    level : float
        Probability that an interval holds at all looks together.
    far : bool
        Whether a target beyond 30 times the largest measured compute is judged.
    tuning : {"check", "elsewhere"}
        Whether the table shows that both arms had as many trials, or that is taken on trust.
    text_noise : float
        Standard deviation of the log ratio of two losses that comes from the finite evaluation text.
    lack_of_fit : float
        Expected standard deviation of the log multiplier about its line.
    sealed : path, optional
        A question that was sealed before, with which this one is compared.

    Returns
    -------
    Judgement

    Raises
    ------
    UserError
        If the table or the question cannot be read, or the target is too far.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng, C = np.random.default_rng(0), np.repeat(np.geomspace(1e18, 1e20, 4), 4)
    >>> runs = pd.concat(
    ...     pd.DataFrame({"arm": name, "N": (C / 120) ** 0.5, "D": 20 * (C / 120) ** 0.5,
    ...                   "seed": np.tile(range(4), 4),
    ...                   "loss": (1.7 + (m * C / 1e18) ** -0.15) * np.exp(rng.normal(0, 1e-3, 16))})
    ...     for name, m in (("adamw", 1.0), ("muon", 1.3)))
    >>> found = judge(runs, target=1e21, baseline="adamw", candidate="muon", tuning="elsewhere")
    >>> str(found.verdict)
    'transfers'
    """
    arms = (baseline, candidate)
    C = read_scale(target)
    if tuning not in TUNING:
        raise UserError(f"tuning = {tuning!r} is not one of: {', '.join(TUNING)}")
    runs = ladder_runs(data, arm, arms)
    top = float(runs["C"].max())
    if C > FAR * top and not far:
        raise UserError(
            f"target = {C:.3g} FLOPs is {C / top:.3g} times the largest measured compute, {top:.3g};"
            f" beyond {FAR:g} times nothing is judged unless far=true, or larger sizes are run"
        )
    trials = read_trials(runs, arms, checked=tuning == "check")
    pairs = pair_fresh(trials.fresh, arms)
    reruns = _reruns(trials, pairs)
    reasons = [*trials.reasons, *_diverged(pairs, arms)]
    if pairs[SIZE].nunique() < _SIZES:
        reasons.append(
            f"{pairs[SIZE].nunique()} sizes have pairs of fresh seeds, and the trend takes {_SIZES}"
        )
    warnings = [*trials.warnings, *_assumptions(text_noise, tuning)]
    question = question_of(arms, C, margin, level, tuning, text_noise, lack_of_fit)
    found: dict[str, Any] = {
        "flops": None,
        "device": None,
        "sizes": pd.DataFrame(),
        "correlation": np.nan,
        "seed_noise": np.nan,
        "next_runs": pd.DataFrame(),
    }
    usable = pairs[np.isfinite(pairs["loss_b"]) & np.isfinite(pairs["loss_a"])]
    if usable[SIZE].nunique() >= _SIZES:
        known = Uncertainty(lack_of_fit, text_noise, level)
        numbers, doubts = _numbers(usable, trials, arms, C, np.log1p(margin), known)
        found |= numbers
        reasons += doubts
    flops: Decision | None = found["flops"]
    verdict = Verdict.CANNOT_TELL if reasons or flops is None else flops.verdict
    device: Decision | None = found["device"]
    if flops and device and flops.verdict is not device.verdict:
        warnings.append(
            f"counted in FLOPs the candidate {_does(flops.verdict)}, in device time it"
            f" {_does(device.verdict)}: the verdict is that in FLOPs"
        )
    used = trials.fresh
    return Judgement(
        arms=arms,
        target=C,
        margin=margin,
        level=level,
        verdict=verdict,
        reasons=tuple(reasons),
        trials=trials.table.drop(columns=SIZE),
        reruns=tuple(reruns),
        seal=None if sealed is None else check_seal(sealed, question, used),
        warnings=tuple(warnings),
        **found,
    )


def seal_question(
    path: str | Path,
    data: pd.DataFrame | None,
    *,
    target: float | str,
    baseline: str,
    candidate: str,
    arm: str = "arm",
    margin: float = MARGIN,
    level: float = 0.95,
    tuning: str = "check",
    text_noise: float = 0.0,
    lack_of_fit: float = LACK_OF_FIT,
) -> dict[str, Any]:
    """Seal a question before its runs are made; the options are those of `judge`.

    Returns
    -------
    dict
        ``question, runs`` (those known now), ``date, hash``.
    """
    arms = (baseline, candidate)
    question = question_of(arms, read_scale(target), margin, level, tuning, text_noise, lack_of_fit)
    known = pd.DataFrame() if data is None else data
    if len(known):
        known = known.assign(**{ARM: known[arm].astype(str)})
        known = known[known[ARM].isin(arms)]
    return write_seal(path, question, known)


def question_of(
    arms: tuple[str, str],
    target: float,
    margin: float,
    level: float,
    tuning: str,
    text_noise: float,
    lack_of_fit: float,
) -> dict[str, Any]:
    """What is sealed: all that a verdict depends on beside the runs."""
    return {
        "baseline": arms[0],
        "candidate": arms[1],
        "target": float(target),
        "margin": float(margin),
        "level": float(level),
        "tuning": tuning,
        "text_noise": float(text_noise),
        "lack_of_fit": float(lack_of_fit),
    }


def pair_fresh(fresh: pd.DataFrame, arms: tuple[str, str]) -> pd.DataFrame:
    """One row a size and seed that both arms have: ``loss, C, seconds`` of both, ``_a`` and ``_b``."""
    columns = ["loss", "C", *([SECONDS] if SECONDS in fresh else [])]
    means = fresh.groupby([SIZE, "seed", ARM])[columns].mean().reset_index()
    sides = [means[means[ARM] == arm].drop(columns=ARM) for arm in arms]
    return sides[0].merge(sides[1], on=[SIZE, "seed"], suffixes=("_a", "_b"))


def _numbers(
    pairs: pd.DataFrame,
    trials: Trials,
    arms: tuple[str, str],
    target: float,
    margin: float,
    known: Uncertainty,
) -> tuple[Mapping[str, Any], list[str]]:
    """All that follows from pairs at three sizes or more; why they may tell nothing."""
    names, size = np.unique(pairs[SIZE], return_inverse=True)
    fresh = trials.fresh[trials.fresh[SIZE].isin(names)]
    fresh = fresh.assign(**{SIZE: np.searchsorted(names, fresh[SIZE])})
    losses = pairs["loss_a"].to_numpy(float), pairs["loss_b"].to_numpy(float)
    C = pairs["C_a"].to_numpy(float)
    line = _line(size, C, losses, (C, pairs["C_b"].to_numpy(float)), target, known)
    places = fresh.groupby(SIZE)[["N", "D"]].first().reset_index(drop=True)
    table = places.assign(
        C=line.sizes.C,
        pairs=line.sizes.counts,
        loss_ratio=np.exp(line.sizes.ratio),
        multiplier=np.exp(line.y),
    )
    device = None
    if _timed(pairs):
        seconds = pairs[f"{SECONDS}_a"].to_numpy(float), pairs[f"{SECONDS}_b"].to_numpy(float)
        timed = _line(size, C, losses, seconds, target, known)
        table["device_multiplier"] = np.exp(timed.y)
        device = decide(timed, margin) if timed.law.falls else None
    found = {
        "flops": decide(line, margin),
        "device": device,
        "sizes": table,
        "correlation": line.sizes.correlation,
        "seed_noise": float(np.sqrt(line.sizes.pooled)),
        "next_runs": propose_runs(line, fresh, arms, target),
    }
    if line.law.falls:
        return found, []
    doubt = f"the loss of {arms[0]} does not fall with compute: nothing says what a loss costs"
    return found, [doubt]


def _line(
    size: np.ndarray,
    C: np.ndarray,
    losses: tuple[np.ndarray, np.ndarray],
    cost: tuple[np.ndarray, np.ndarray],
    target: float,
    known: Uncertainty,
) -> MultiplierLine:
    return MultiplierLine.of(SizeMeans.of_pairs(size, C, *losses, cost), target, known)


def _timed(pairs: pd.DataFrame) -> bool:
    columns = [f"{SECONDS}_a", f"{SECONDS}_b"]
    return set(columns) <= set(pairs) and bool((pairs[columns] > 0).all(axis=None))


def _diverged(pairs: pd.DataFrame, arms: tuple[str, str]) -> list[str]:
    return [
        f"{name} diverged with {count} of its fresh seeds: a diverged run has no final loss"
        for name, count in zip(
            arms, (int(np.isinf(pairs[c]).sum()) for c in ("loss_a", "loss_b")), strict=True
        )
        if count
    ]


def _reruns(trials: Trials, pairs: pd.DataFrame) -> list[str]:
    """What to rerun: chosen trials of sizes without a pair of fresh seeds."""
    paired = set(pairs[SIZE])
    found = []
    for row in trials.table.to_dict("records"):
        if row[SIZE] in paired:
            continue
        settings = [c for c in row if c in ("lr", "batch", "weight_decay")]
        at = ", ".join(f"{k}={row[k]:.4g}" for k in settings)
        found.append(
            f"{row['arm']}, N {row['N']:.3g}, D {row['D']:.3g}{': ' + at if at else ''} with two seeds"
            " that no trial of either arm has: the runs that chose a trial do not judge it"
        )
    return found


def _assumptions(text_noise: float, tuning: str) -> list[str]:
    found = []
    if not text_noise:
        found.append(
            "the noise of the evaluation text is taken as 0 where all sizes share it; text_noise= says"
            " the standard deviation of the log loss ratio that comes from it"
        )
    if tuning == "elsewhere":
        found.append("that both arms were tuned with as many trials is taken on trust")
    return found


def _does(verdict: Verdict) -> str:
    return "is undecided" if verdict is Verdict.CANNOT_TELL else str(verdict)

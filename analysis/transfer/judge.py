"""A candidate judged against a baseline at a target beyond the measured sizes.

The answer is a, the log of the compute multiplier at the target: y_i = a + b log(C_i / C_target),
y_i the log of the compute that the baseline needs for the candidate's loss, over the candidate's,
from pairs of runs with one seed. Its interval holds at every look, so a study may be judged after
every run and stopped at the first verdict.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.exclusion import exclude_advice
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.transfer.decision import Verdict, decide
from scalinglab.analysis.transfer.judgement import Judgement, Measured
from scalinglab.analysis.transfer.ladder_runs import ARM, SECONDS, SIZE, ladder_runs
from scalinglab.analysis.transfer.multiplier_line import MultiplierLine
from scalinglab.analysis.transfer.proposals import propose_fresh, propose_runs
from scalinglab.analysis.transfer.question import TransferQuestion
from scalinglab.analysis.transfer.seal import check_seal
from scalinglab.analysis.transfer.size_means import SizeMeans
from scalinglab.analysis.transfer.trials import read_trials
from scalinglab.scaling.errors import UserError

FAR = 30.0  # times the largest measured compute
SIZES = 3
_EXAMPLE = "schedule == 'wsd'"


def judge(
    data: pd.DataFrame,
    question: TransferQuestion,
    *,
    far: bool = False,
    seal: str | Path | None = None,
) -> Judgement:
    """Does the candidate still help at the target?

    Parameters
    ----------
    data : DataFrame
        One row per run: ``N, D, loss, seed`` and the arm; where known ``C`` (FLOPs; else 6 N D),
        ``seconds`` (of one device), ``lr, batch, weight_decay`` (the trials), ``status``, ``role``
        ("sweep": a trial) and ``fresh`` (true: a rerun that chose nothing).
    question : TransferQuestion
    far : bool
        Whether a target beyond 30 times the largest measured compute is judged.
    seal : path, optional
        A seal that `write_seal` wrote, with which the question and the runs are compared.

    Returns
    -------
    Judgement

    Raises
    ------
    UserError
        If the table cannot be read, or the target is too far.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng, C = np.random.default_rng(0), np.repeat(np.geomspace(1e18, 1e20, 4), 4)
    >>> runs = pd.concat(
    ...     pd.DataFrame({"arm": name, "N": (C / 120) ** 0.5, "D": 20 * (C / 120) ** 0.5,
    ...                   "seed": np.tile(range(4), 4),
    ...                   "loss": 1.7 + (m * C / 1e18) ** -0.15 + rng.normal(0, 3e-3, 16)})
    ...     for name, m in (("adamw", 1.0), ("muon", 1.3)))
    >>> question = TransferQuestion(
    ...     baseline="adamw", candidate="muon", at=1e21, tuning="elsewhere")
    >>> str(judge(runs, question).verdict)
    'transfers'
    """
    arms = question.arms
    runs, warnings = ladder_runs(data, question.arm, arms, question.exclude)
    top = float(runs["C"].max())
    if question.at > FAR * top and not far:
        raise UserError(
            f"at = {question.at:.3g} FLOPs is {question.at / top:.3g} times the largest"
            f" measured compute, {top:.3g}; beyond {FAR:g} times nothing is judged unless "
            "far=true, or larger sizes are run"
        )
    trials = read_trials(runs, arms, checked=question.tuning == "check")
    pairs = pair_fresh(trials.fresh, arms)
    reasons = [*trials.reasons, *_diverged(trials.fresh, arms)]
    usable = pairs[np.isfinite(pairs["loss_a"]) & np.isfinite(pairs["loss_b"])]
    sizes = usable[SIZE].nunique()
    next_runs, measured = propose_fresh(runs, set(pairs[SIZE]), arms), None
    if sizes < SIZES:
        reasons.append(
            f"{sizes} of {runs[SIZE].nunique()} sizes have pairs of runs with seeds that chose no "
            f"trial, and the trend takes {SIZES}"
        )
    else:
        measured, doubts, better = _measure(usable, trials.fresh, question)
        reasons += doubts
        next_runs = pd.concat([f for f in (next_runs, better) if len(f)], ignore_index=True)
    flops = measured.flops if measured else None
    return Judgement(
        question=question,
        verdict=Verdict.CANNOT_TELL if reasons or flops is None else flops.verdict,
        reasons=tuple(reasons),
        measured=measured,
        trials=trials.table.drop(columns=SIZE),
        next_runs=next_runs.head(0) if trials.reasons else next_runs,  # seeds mend no tuning
        seal=None if seal is None else check_seal(seal, question, trials.fresh),
        warnings=(*warnings, *trials.warnings, *_assumptions(question), *_of_device(measured)),
    )


def pair_fresh(fresh: pd.DataFrame, arms: tuple[str, str]) -> pd.DataFrame:
    """One row per size and seed of both arms: ``loss, C, seconds`` of both, with ``_a`` and ``_b``.

    Raises
    ------
    UserError
        If an arm has two runs of one size, seed and trial: they differ in what no column tells.
    """
    keys = [SIZE, "seed", ARM]
    if (twice := fresh.duplicated(keys)).any():
        row = fresh[twice].iloc[0]
        raise UserError(
            f"{row[ARM]} has several runs of N {short(row['N'])}, D {short(row['D'])}, seed"
            f" {row['seed']:g} and one trial; leave out those that are not meant, as in"
            f" {exclude_advice(_EXAMPLE)}"
        )
    columns = [*keys[:2], "loss", "C", *([SECONDS] if SECONDS in fresh else [])]
    sides = [fresh.loc[fresh[ARM] == arm, columns] for arm in arms]
    return sides[0].merge(sides[1], on=keys[:2], suffixes=("_a", "_b"))


def _measure(
    pairs: pd.DataFrame, fresh: pd.DataFrame, question: TransferQuestion
) -> tuple[Measured, list[str], pd.DataFrame]:
    """All that follows from pairs at three sizes or more; why they may tell nothing; next runs."""
    names, size = np.unique(pairs[SIZE], return_inverse=True)
    fresh = fresh[fresh[SIZE].isin(names)]
    fresh = fresh.assign(**{SIZE: np.searchsorted(names, fresh[SIZE])})
    line = _line(pairs, size, "C", question)
    table = fresh.groupby(SIZE)[["N", "D"]].first().reset_index(drop=True)
    table = table.assign(
        C=line.sizes.C,
        pairs=line.sizes.counts,
        loss_ratio=np.exp(line.sizes.ratio),
        multiplier=np.exp(line.y),
    )
    device = None
    if _timed(pairs):
        timed = _line(pairs, size, SECONDS, question)
        table["device_multiplier"] = np.exp(timed.y)
        device = decide(timed, question.log_margin) if timed.law.falls else None
    measured = Measured(
        flops=decide(line, question.log_margin),
        device=device,
        sizes=table,
        correlation=line.sizes.correlation,
        seed_noise=float(np.sqrt(line.sizes.pooled)),
    )
    doubts = []
    if not line.law.falls:
        doubts.append(
            f"the loss of {question.baseline} does not fall with compute: nothing says what a loss"
            f" costs"
        )
    return measured, doubts, propose_runs(line, fresh, question.arms, question.at)


def _line(
    pairs: pd.DataFrame, size: np.ndarray, cost: str, question: TransferQuestion
) -> MultiplierLine:
    def both(name: str) -> tuple[np.ndarray, np.ndarray]:
        return pairs[f"{name}_a"].to_numpy(float), pairs[f"{name}_b"].to_numpy(float)

    sizes = SizeMeans.of_pairs(size, both("C")[0], *both("loss"), both(cost))
    return MultiplierLine.of(sizes, question.at, question.known)


def _timed(pairs: pd.DataFrame) -> bool:
    columns = [f"{SECONDS}_a", f"{SECONDS}_b"]
    return set(columns) <= set(pairs) and bool((pairs[columns] > 0).all(axis=None))


def _diverged(fresh: pd.DataFrame, arms: tuple[str, str]) -> list[str]:
    """Runs without a final loss by name: leaving them out would favour the arm that diverges."""
    lost = fresh[~np.isfinite(fresh["loss"])]
    return [
        f"{arm} diverged at "
        + ", ".join(
            f"N {short(N)} (seed {', '.join(f'{seed:g}' for seed in sorted(seeds))})"
            for N, seeds in lost[lost[ARM] == arm].groupby("N")["seed"].agg(list).items()
        )
        + ": a diverged run has no final loss"
        for arm in arms
        if (lost[ARM] == arm).any()
    ]


def _assumptions(question: TransferQuestion) -> list[str]:
    assumed = []
    if not question.text_noise:
        assumed.append(
            "the noise of the evaluation text is taken as 0; text_noise= sets the standard "
            "deviation of the log loss ratio that comes from it"
        )
    if question.tuning == "elsewhere":
        assumed.append("tuning=elsewhere: equal numbers of trials of both arms are not checked")
    return assumed


def _of_device(measured: Measured | None) -> list[str]:
    if measured is None or measured.device is None:
        return []
    flops, device = measured.flops.verdict, measured.device.verdict
    if flops is device:
        return []
    return [f"in FLOPs: {flops}; in device time: {device}. The verdict is that in FLOPs"]

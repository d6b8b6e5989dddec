"""Warnings of a plan beside its design: roundings, other code, runs that are no longer in it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from scalinglab.scaling.extensions.used import run_fingerprint
from scalinglab.scaling.model.flops import flops_per_token
from scalinglab.scaling.model.stated import size
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.fingerprint import same_numbers
from scalinglab.scaling.records.plan_file import plan_before
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.run.rules import MAX_ROUNDING
from scalinglab.scaling.text.flatten import flatten
from scalinglab.sweeps.plan.plan import PlannedRun


def rounded(runs: list[PlannedRun]) -> list[str]:
    """A sentence if whole sequences are far from the batches that a rule gives."""
    batches = [p.run.given["batch"] for p in runs if "batch" in p.run.given]
    far = [batch for batch in batches if abs(batch.rounding) > MAX_ROUNDING]
    if not far:
        return []
    worst = max(far, key=lambda batch: abs(batch.rounding))
    return [
        f"the batch of {len(far)} runs is rounded to whole sequences by more than "
        f"{MAX_ROUNDING:.0%}, at most {worst.rounding:+.1%} ({worst.value:,.0f} tokens by the rule "
        f"{worst.rule!r}, {worst.used:,.0f} used): rungs deviate from the rule unequally"
    ]


def partly_begun(runs: list[PlannedRun]) -> list[str]:
    """A sentence for each set of initial weights that fits its run only in part."""
    weights = [p.run.initial for p in runs if p.run.initial is not None]
    partly = [w.report() for w in weights if w.left or w.unused]
    return list(dict.fromkeys(partly))


def rates_of_adamw(runs: list[PlannedRun]) -> list[str]:
    """A sentence for each optimizer whose learning rate comes from a rule made for AdamW."""
    ruled = {
        (p.run.config.optimizer.name, p.run.given["lr"].rule)
        for p in runs
        if "lr" in p.run.given
        and not p.run.is_command
        and not p.run.config.optimizer.takes_adamw_lr
    }
    return [
        f"the learning rates of {name} come from the rule {rule!r}, which was made for AdamW: set "
        "optimizer.lr, or search for it (study=tune)"
        for name, rule in sorted(ruled)
    ]


def other_code(runs: list[PlannedRun]) -> list[str]:
    """A sentence if finished runs were trained by code that makes other numbers."""
    now = {p.run.run_id: same_numbers(run_fingerprint(p.run.science)) for p in runs}
    of_other_code = [
        p.run.run_id
        for p in runs
        if p.record is not None
        and not p.run.is_command
        and same_numbers(p.record.code.fingerprint or "unknown") != now[p.run.run_id]
    ]
    if not of_other_code:
        return []
    names = ", ".join(of_other_code[:5]) + " ..." * (len(of_other_code) > 5)
    return [
        f"{len(of_other_code)} finished runs were trained by other code (fingerprint differs from "
        f"{now[of_other_code[0]]}): {names}. A fit refuses to mix them with new ones unless told to"
    ]


def program_sizes(runs: list[PlannedRun]) -> list[str]:
    """A sentence for each program on N and C of its runs, which it reports at their end only."""
    by_program: dict[str, list[PlannedRun]] = defaultdict(list)
    for planned in runs:
        if planned.run.is_command:
            by_program[planned.run.config.trainer.program or ""].append(planned)
    return [text for name, group in by_program.items() if (text := _program_size(name, group))]


def _program_size(program: str, runs: list[PlannedRun]) -> str:
    ended = [(p.record, p.run) for p in runs if p.record is not None]
    left = len(runs) - len(ended)
    of_plan = "N, C and what follows from them (budgets, D/N) are those of model.*"
    if not any(record.counts_from for record, _ in ended):
        if ended or not left:  # its runs reported no other network: it trains model.*
            return ""
        return (
            f"what network the program {program!r} trains is not known before a run has ended and "
            f"its final.json may give counts and flops_per_token: until then {of_plan}"
        )
    ratios = [size(record.spec.counts) / size(run.counts) for record, run in ended]
    work = [
        flops_per_token(record.spec.flops) / flops_per_token(run.flops) for record, run in ended
    ]
    return (
        f"{len(ended)} finished runs of the program {program!r} gave N {_range(ratios)} and C "
        f"{_range(work)} times what model.* gives: the analysis takes theirs; in this plan "
        f"{of_plan}"
    )


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"


def changed_default(folder: Path, runs: list[PlannedRun]) -> list[str]:
    """A sentence if runs of this study's last plan are not in this one, as new defaults cause."""
    last_plan = plan_before(folder / "plan.json")
    if last_plan is None:
        return []
    before = last_plan.runs
    planned_ids = {p.run.run_id for p in runs}
    gone = [r.run_id for r in before if r.run_id not in planned_ids]
    if not gone:
        return []
    differences = _differences(RunFolder(folder.parents[1] / "runs" / gone[0]), runs)
    return [
        f"{len(gone)} of the {len(before)} runs that this study had before are no longer in it; "
        f"their records are kept.{differences}"
    ]


def _differences(folder: RunFolder, runs: list[PlannedRun]) -> str:
    """Which science keys differ between a former run and the nearest one of the plan."""
    try:
        before = flatten(folder.spec().science, lists=True)
    except (FileNotFoundError, DamagedFile):
        return ""
    nearest = min(
        (flatten(p.run.science, lists=True) for p in runs),
        key=lambda now: len(_unequal(before, now)),
    )
    changed = [
        f"{key}: {before.get(key)} -> {nearest.get(key)}" for key in _unequal(before, nearest)
    ]
    return f" Nearest now, for {folder.run_id}: {'; '.join(changed[:6])}"


def _unequal(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [key for key in sorted(before | now) if before.get(key) != now.get(key)]

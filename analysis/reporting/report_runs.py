"""Sections of the report on the runs themselves, and what a page tells of each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.reporting.cells import columns_of
from scalinglab.analysis.reporting.left_out_runs import roles_in_words
from scalinglab.analysis.reporting.page import Section
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.runs import FLOPS
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.stated import BY_SIZE
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from scalinglab.analysis.reporting.reported_runs import ReportedRuns

_MOST_CURVES = 1000  # a page of more runs holds no curves
_CURVE_POINTS = (8, 40)  # of each curve, at least and at most
_ALL_POINTS = 8000  # of all curves, shared by them where they are many
_DIGITS = 2  # of compute behind its first one, as tables write it
_NAMED = 8  # runs that are left out
_LEFT_OUT_WORDS = "left out: "  # of `roles_in_words`
# Roles -> what a run of this role is, in the order in which they are told.
_USES = {
    "fit": "fitted",
    "held_out": "held out",
    "curve": "for the curve law",
    "sweep": "of a sweep",
}
_SETTINGS = (
    "role",
    "status",
    "width",
    "depth",
    "n_total",
    "lr",
    "schedule",
    "seed",
    "bpb",
    "seconds",
)


def runs_sections(answer: ReportedRuns) -> list[Section]:
    """The table of the runs by their compute; what is equal in all of them is a sentence."""
    runs = answer.runs.assign(role=roles_in_words(answer.runs)).astype({"C": float})
    is_far = runs.index.isin(answer.far_runs())
    runs.loc[is_far, "role"] = runs.loc[is_far, "role"] + ", far from the law"
    runs = _in_order(runs, answer)
    # What is asked of a run stands first: a telephone shows the first columns.
    first = ["run_id", *([] if answer.arm is None else [answer.arm]), "N", "D", "C", "loss"]
    first = [name for name in first if runs[name].notna().any()]
    settings = [name for name in _SETTINGS if name not in first and runs[name].notna().any()]
    equal = [name for name in settings if _is_equal(runs[name])]
    table = runs[first + [name for name in settings if name not in equal]]
    # An imported file may have a C of its own, and so may what a program trained.
    if answer.runs["flops_convention"].isin([FLOPS, BY_SIZE]).all():
        table = table.rename(columns={"C": "C = 6 N D"})
    text = f"{_counted(answer)} {_told_of_all(runs, equal)}"
    return [Section("The runs", text.rstrip(), tables=[table])]


def _counted(answer: ReportedRuns) -> str:
    """How many runs there are and what each is for; those left out by name, with the reason."""
    reasons = [
        _why_left_out(status, role)
        for status, role in zip(answer.runs["status"], roles_in_words(answer.runs), strict=True)
    ]
    uses = [
        "left out" if why else next((use for word, use in _USES.items() if word in role), "beside")
        for why, role in zip(reasons, answer.runs["role"].fillna(""), strict=True)
    ]
    counts = Counter(uses)
    listed = [f"{counts[use]} {use}" for use in (*_USES.values(), "beside", "left out")]
    listed = [text for text in listed if not text.startswith("0 ")]
    total = f"{len(uses)} run{'s' * (len(uses) != 1)}"
    text = f"{total}: {', '.join(listed)}." if len(listed) > 1 else f"{total}, all {uses[0]}."
    named = [
        f"{run} ({why})" for run, why in zip(answer.runs["run_id"], reasons, strict=True) if why
    ]
    if not named:
        return text
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{text} Left out: {', '.join(named[:_NAMED])}{more}."


def _why_left_out(status: Any, role: str) -> str:
    """Why a run takes no part in the answer; empty of one that does."""
    if not pd.isna(status) and status != State.DONE:
        return str(status)
    return role.removeprefix(_LEFT_OUT_WORDS) if role.startswith(_LEFT_OUT_WORDS) else ""


def _is_equal(values: pd.Series) -> bool:
    return len(values) > 1 and bool(values.notna().all()) and values.nunique() == 1


def _told_of_all(runs: pd.DataFrame, equal: Sequence[str]) -> str:
    """What all runs have in common, and why some took no time."""
    texts = [f"{name} {columns_of(runs[[name]].head(1), 1)[0].texts[0]}" for name in equal]
    sentences = [f"The same in all runs: {', '.join(texts)}."] if texts else []
    if (runs["seconds"] == 0).any():
        sentences.append(
            "The seconds are of a run's own steps; with 0 it shares all its steps with other runs."
        )
    return " ".join(sentences)


def _in_order(runs: pd.DataFrame, answer: ReportedRuns) -> pd.DataFrame:
    """The runs sorted by the C that the table shows, size and arm; those without C come last."""
    shown = [float(f"{value:.{_DIGITS}e}") for value in runs["C"]]
    order: dict[str, Any] = {"C": shown}
    if answer.arm is not None and answer.compared is not None:
        arms = [str(arm) for arm in answer.compared.arms]
        places = runs[answer.arm].astype(str).map({arm: k for k, arm in enumerate(arms)})
        order["arm"] = places.fillna(len(arms)).to_numpy()
    keys = runs[["N", "D", "run_id"]].assign(**order)
    by = ["C", "N", "D", *(["arm"] if "arm" in order else []), "run_id"]
    return runs.loc[keys.sort_values(by).index]


def run_details(answer: ReportedRuns) -> pd.DataFrame:
    """The details that a page shows of each run: all columns that hold a value."""
    columns_with_values = answer.runs.dropna(axis=1, how="all")
    return columns_with_values.drop(columns=["study", "fingerprint"], errors="ignore")


def curves_of_runs(answer: ReportedRuns) -> dict[str, tuple[list, list]] | None:
    """run_id -> steps and losses of its thinned curve; None if there are too many runs."""
    if len(answer.runs) > _MOST_CURVES:
        return None
    try:
        curves = load_curves(answer.outputs, run_ids=answer.runs["run_id"])
    except (UserError, OSError):
        return {}  # an imported table has none
    return _thinned(curves) if len(curves) else {}


def _thinned(curves: pd.DataFrame) -> dict[str, tuple[list, list]]:
    """Validation losses of each run, thinned: the more the more runs there are."""
    thinned = {}
    groups = list(curves.groupby("run"))
    count = int(np.clip(_ALL_POINTS // len(groups), *_CURVE_POINTS))
    for run, curve in groups:
        measured = curve[curve["loss"].notna()]
        if len(measured) < 2:
            continue
        points_kept = measured.iloc[
            np.unique(np.linspace(0, len(measured) - 1, min(count, len(measured))).astype(int))
        ]
        losses = [round(float(v), 4) for v in points_kept["loss"]]
        thinned[str(run)] = ([int(v) for v in points_kept["step"]], losses)
    return thinned


def machine_sections(answer: ReportedRuns) -> list[Section]:
    """The table of machines and versions, if the runs have records."""
    if answer.machines.empty:
        return []
    table, text = answer.machines, ""
    if table["code"].nunique() > 1 == table["fingerprint"].nunique():
        text = (
            f"{table['code'].nunique()} versions of the code made these runs. The part that"
            " makes their numbers is the same in all: the fingerprint."
        )
    return [Section("Machines and versions", text, tables=[table])]

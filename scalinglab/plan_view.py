"""A plan as people, notebooks and programs see it: its runs, its cost, gaps in its design."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.analysis.decisions.served_approaches import served_in_words
from scalinglab.analysis.forecasts.norms import norm_warnings, planned_norms, recipe_without_lr
from scalinglab.analysis.intervals.expected import Expectation, expect_of_plan
from scalinglab.analysis.intervals.power import Design
from scalinglab.analysis.reporting.schedules import draw_schedules, schedule_table
from scalinglab.analysis.reporting.verdict import design_of_study
from scalinglab.plan_totals import Totals, causal_in_words, totals_of, totals_text
from scalinglab.prepare import Prepared
from scalinglab.scaling.data.mixed import amounts
from scalinglab.scaling.model.stated import size
from scalinglab.scaling.records.atomic import save_atomic
from scalinglab.scaling.records.data_spec import mixture_text
from scalinglab.scaling.records.identity import without
from scalinglab.scaling.run.resolve import Run
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.text.flatten import flatten
from scalinglab.show import blank, show_runs, with_varying
from scalinglab.sweeps.plan.gpus import about_gpus
from scalinglab.sweeps.plan.pack_sizes import about_packs
from scalinglab.sweeps.plan.places import about_idle_gpus
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.plan.timing import about_estimates, about_processes
from scalinglab.terminal import Screen

# Columns that a narrow terminal leaves out, in this order: what follows from N, D and the recipe
# first. What a plan is read for (N, D, C, new steps, seconds) always stays.
OPTIONAL = (
    "pack",
    "mixture",
    "beta2",
    "warm-up",
    "starts from",
    "width",
    "D/N",
    "LR",
    "batch",
    "WD",
    "seed",
    "role",
    "schedule",
    "state",
)

_OF_SEED = ("run", "seed", "starts from", "seconds")  # differ where runs differ by their seeds

# Hyper-parameter -> the column that shows it, if a rule sets it in any run.
GIVEN_COLUMNS: Mapping[str, tuple[str, Callable[[Run], str]]] = {
    "batch": ("batch", lambda run: f"{run.config.batch}"),
    "weight_decay": ("WD", lambda run: f"{run.config.optimizer.weight_decay:.3g}"),
    "warmup": ("warm-up", lambda run: f"{vars(run.config.schedule)['warmup_tokens']:,}"),
    "beta2": ("beta2", lambda run: f"{vars(run.config.optimizer)['beta2']:.4g}"),
}


@dataclass(frozen=True, repr=False)
class PlanView:
    """The plan of a study; a notebook shows its table.

    Attributes
    ----------
    prepared : Prepared
        The plan itself.
    """

    prepared: Prepared

    code = 0

    @property
    def plan(self) -> Plan:
        """The plan itself."""
        return self.prepared.plan

    @property
    def warnings(self) -> list[str]:
        """Gaps in the design, and what is confounded."""
        design = [] if self.design is None else self.design.warnings
        return [*self.plan.warnings, *design, *norm_warnings(self.norms)]

    @cached_property
    def norms(self) -> pd.DataFrame:
        """Norms of the planned runs, from finished runs of their recipe that measured some."""
        rows = [
            {
                "run_id": p.run.run_id,
                "recipe": recipe_without_lr(
                    p.run.science, asdict(p.run.config), asdict(p.run.shape)
                ),
                "N": size(p.run.counts),
                "lr": p.run.lr,
                "epsilon": getattr(p.run.config.optimizer, "epsilon", None),
            }
            for p in self.plan.runs
            if p.is_unfinished and not p.run.is_command
        ]
        return planned_norms(self.plan.outputs, rows)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a run.

        Columns ``run_id, role, varies, N, D, C, lr, schedule, seed, state, steps, new_steps,
        starts_from`` (a step), ``seconds`` (predicted, for the remaining steps) and ``pack`` (how
        many runs train together). ``varies`` has the settings in which the runs differ otherwise.
        """
        return pd.DataFrame([_row(p) for p in self.plan.runs])

    @cached_property
    def expected(self) -> Expectation | None:
        """Expected precision of the fit of the study's law; None if it cannot be computed."""
        points = self.frame[["N", "D", "C", "role"]]
        return expect_of_plan(self.plan.study.answer, points)

    @cached_property
    def design(self) -> Design | None:
        """The smallest effect that the study's comparison of arms can detect; None without arms."""
        rows = [
            {
                "block": ",".join(p.blocks),
                "N": p.run.counts["n_matmul"],
                "D": p.run.tokens,
                "lr": p.run.lr,
                "vocab": p.run.shape.vocab,
                "mixture": mixture_text(p.run.mixture),
                **flatten(without(p.run.science, ["schedule"])),
            }
            for p in self.plan.runs
        ]
        return design_of_study(self.plan.study.answer, pd.DataFrame(rows))

    @cached_property
    def totals(self) -> Totals:
        """Steps, time, memory and money of the plan."""
        return totals_of(self.prepared)

    @property
    def notes(self) -> list[str]:
        """Sentences about C, packs, processes, GPUs, times and approaches: not in the table."""
        plan, config = self.plan, self.prepared.config
        return [
            *filter(None, [causal_in_words(plan)]),
            *about_packs(plan, config),
            *about_processes(plan),
            *about_estimates(plan),
            *about_gpus(plan, config),
            *about_idle_gpus(config, plan.execution),
            *dict.fromkeys(f"read of {text}" for p in plan.runs for text in amounts(p.store)),
            *([] if self.design is None else [self.design.sentence()]),
            *filter(None, [served_in_words(plan.study.answer, self.frame)]),
        ]

    def schedules(self) -> tuple[pd.DataFrame, Path]:
        """A table of the different schedules with their areas S1 and S2, and a figure's file."""
        schedules = {name: lr_array(r.pieces) for name, r in distinct_schedules(self.plan).items()}
        path = self.plan.folder / "schedules.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure = draw_schedules(schedules)
        save_atomic(path, lambda aside: figure.savefig(aside, format="png", dpi=150))
        return schedule_table(schedules), path

    def as_json(self) -> dict[str, Any]:
        """The runs, the totals, the notes and the warnings."""
        expected = self.expected
        return {
            "study": self.plan.study.name,
            "outputs": self.plan.outputs,
            "runs": self.frame,
            "totals": asdict(self.totals),
            "notes": self.notes,
            "warnings": self.warnings,
            "norms": self.norms,
            "least_effect": None if self.design is None else self.design.least,
            "expected": None
            if expected is None
            else {
                "target": expected.target,
                "loss": expected.loss,
                "half_width": expected.width,
                "level": expected.level,
                "unidentified": expected.unidentified,
            },
        }

    def show(self, screen: Screen) -> None:
        """The table of runs, the notes, the totals and the warnings."""
        self._show_runs(screen, self.plan.runs)
        self._show_sentences(screen)

    def show_unfinished(self, screen: Screen) -> None:
        """As `show`, without the rows of finished runs: for a study that is being launched."""
        unfinished = [p for p in self.plan.runs if p.is_unfinished]
        if unfinished:
            self._show_runs(screen, unfinished)
        self._show_sentences(screen)

    def _show_runs(self, screen: Screen, runs: Sequence[PlannedRun]) -> None:
        frame, varies = plan_frame(runs), [p.varies for p in runs]
        if not screen.is_verbose:
            frame, varies = _seeds_joined(frame, varies, [p.seconds for p in runs])
        show_runs(screen, frame, varies, optional=OPTIONAL)

    def _show_sentences(self, screen: Screen) -> None:
        for sentence in (*self.notes, totals_text(self.totals, self.prepared)):
            screen.say(sentence)
        for warning in self.warnings:
            screen.say(f"! {warning}", style="yellow")
        if not self.warnings:
            screen.say("design: no gaps found")

    def __repr__(self) -> str:
        unfinished = sum(p.is_unfinished for p in self.plan.runs)
        return f"<PlanView: {len(self.plan.runs)} runs, {unfinished} to train>"

    def _repr_html_(self) -> str:
        warnings = "".join(f"<li>{_escaped(w)}</li>" for w in self.warnings)
        totals = _escaped(totals_text(self.totals, self.prepared))
        return f"{self.frame.to_html()}<p>{totals}</p><ul>{warnings}</ul>"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _row(p: PlannedRun) -> dict[str, Any]:
    return {
        "run_id": p.run.run_id,
        "role": ",".join(p.roles),
        "varies": p.varies,
        "N": p.run.counts["n_matmul"],
        "D": p.run.tokens,
        "C": p.run.C,
        "lr": p.run.lr,
        "schedule": p.run.config.schedule.kind,
        "seed": p.run.config.seed,
        "state": p.state,
        "steps": p.run.steps,
        "new_steps": p.new_steps,
        "starts_from": p.start,
        "seconds": p.seconds,
        "pack": p.pack,
    }


def plan_frame(runs: Sequence[PlannedRun]) -> pd.DataFrame:
    """Planned runs as text: one row a run, with a column for each hyper-parameter set by a rule."""
    names = {name for p in runs for name in p.run.given}
    rule_columns = dict(column for name, column in GIVEN_COLUMNS.items() if name in names)
    has_mixtures = any(p.run.mixture for p in runs)
    has_packs = any(_pack(p) for p in runs)
    rows = []
    for p in runs:
        row = {
            "run": p.run.run_id,
            "role": ",".join(p.roles),
            "width": p.run.shape.width,
            "N": f"{p.run.counts['n_matmul']:,}",
            "D": f"{p.run.tokens:,}",
            "D/N": f"{p.run.tokens / p.run.counts['n_matmul']:.1f}",
            "C (causal)": f"{p.run.C:.2e}",
            "LR": f"{p.run.lr:.4g}",
            **{column: form(p.run) for column, form in rule_columns.items()},
            "schedule": p.run.config.schedule.kind,
        }
        if has_mixtures:
            row["mixture"] = mixture_text(p.run.mixture)
        row |= {
            "seed": p.run.config.seed,
            "state": p.state,
            "new steps": f"{p.new_steps:,}/{p.run.steps:,}",
            "starts from": _start(p) if p.is_unfinished else "",
        }
        if has_packs:
            row["pack"] = _pack(p)
        row["seconds"] = _seconds(p.seconds if p.is_unfinished else math.nan)
        rows.append(row)
    return pd.DataFrame(rows)


def _seeds_joined(
    frame: pd.DataFrame, varies: Sequence[str], seconds: Sequence[float]
) -> tuple[pd.DataFrame, list[str]]:
    """A plan's table with one row for runs that differ by their seeds alone."""
    keys = with_varying(frame, varies)[0].drop(columns=list(_OF_SEED))
    rows, kept = [], []
    for places in keys.groupby([*keys], sort=False, dropna=False).indices.values():
        row, count = frame.iloc[places[0]].to_dict(), len(places)
        if count > 1:
            starts = frame["starts from"].iloc[places].unique().tolist()
            timed = [seconds[place] for place in places if row["seconds"]]
            row |= {
                "run": f"{row['run']} +{count - 1}",
                "seed": f"{count} seeds",
                "new steps": f"{count}x {row['new steps']}",
                "starts from": starts[0] if len(starts) == 1 else _each_start(starts),
                "seconds": f"{count}x {_seconds(sum(timed) / count)}" if timed else "",
            }
        rows.append(row)
        kept.append(varies[places[0]])
    return pd.DataFrame(rows), kept


def _each_start(starts: Sequence[str]) -> str:
    """The step from which runs of several seeds start, each of another run's checkpoint."""
    return f"one each{starts[0][starts[0].rindex(' at ') :]}" if " at " in starts[0] else "one each"


def _seconds(seconds: float) -> str:
    """A predicted time, which a tenth of a second tells nothing of from 100 on."""
    return blank(seconds, ".1f" if seconds < 99.95 else ",.0f")


def _pack(planned: PlannedRun) -> str:
    return f"of {planned.pack}" if planned.pack > 1 and planned.new_steps else ""


def _start(planned: PlannedRun) -> str:
    if planned.needs is not None:
        return f"{planned.needs[0]} at {planned.needs[1]}"
    if planned.start:
        return f"checkpoint at {planned.start}"
    return "" if planned.run.initial is None else planned.run.initial.source


def distinct_schedules(plan: Plan) -> dict[str, Run]:
    """One run for each different schedule of a plan, by a unique name of the schedule."""
    by_name: dict[str, Run] = {}
    for planned in plan.runs:
        run = planned.run
        if all(run.pieces != listed.pieces for listed in by_name.values()):
            kinds = dict.fromkeys((run.config.schedule.kind, run.pieces[-1].shape))
            name = f"{' '.join(kinds)}, {run.steps} steps, {run.lr:.3g}"
            namesakes = sum(n.partition(" #")[0] == name for n in by_name)
            by_name[f"{name} #{namesakes + 1}" if namesakes else name] = run
    return by_name

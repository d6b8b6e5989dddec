"""What runs share, what is planned twice and what has changed since."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from scalinglab.compose import compose
from scalinglab.plan_totals import causal_in_words
from scalinglab.plan_view import PlanView, plan_frame
from scalinglab.prepare import Prepared
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import read_json
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State
from scalinglab.scaling.run.memory import training_bytes
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.terminal import Screen


def by_size(plan, width: int, kind: str = "wsd"):
    found = [
        p for p in plan.runs if p.run.shape.width == width and p.run.config.schedule.kind == kind
    ]
    return sorted(found, key=lambda p: p.run.tokens)


def test_a_run_of_two_blocks_is_planned_once_with_both_roles(study) -> None:
    plan = make_plan(study())
    assert len(plan.runs) == 5
    _, long = by_size(plan, 8)
    assert set(long.roles) == {"fit", "curve"}


def test_a_shorter_run_starts_from_the_trunk_of_a_longer_one(study) -> None:
    plan = make_plan(study())
    short, long = by_size(plan, 16)
    # 40 steps with a cooldown of 8: the first 32 are those of the run of 80 steps.
    assert short.needs == (long.run.run_id, 32)
    assert long.pins == (32,) and long.needs is None
    assert (short.new_steps, long.new_steps) == (8, 80)
    order = [p.run.run_id for p in plan.runs]
    assert order.index(long.run.run_id) < order.index(short.run.run_id)


def test_schedules_share_the_stretch_before_they_part(study) -> None:
    plan = make_plan(study())
    (constant,) = by_size(plan, 8, "constant")
    _, long = by_size(plan, 8)
    ids = {constant.run.run_id, long.run.run_id}
    sharing = [p for p in (constant, long) if p.needs is not None]
    assert [(p.needs[0] in ids, p.needs[1]) for p in sharing] == [(True, 64)]  # the cooldown begins


def test_another_warm_up_shares_nothing(study) -> None:
    axis = "+study.blocks.ladder.grid.schedule={warmup_tokens: [256, 512]}"
    plan = make_plan(study(axis, "study.blocks.ladder.grid.tokens=[5120]"))
    assert all(p.needs is None for p in plan.runs if p.run.shape.width == 16)


def test_planning_spends_nothing(study, tmp_path) -> None:
    make_plan(study())
    assert not (tmp_path / "outputs" / "runs").exists()


def test_a_mistake_in_any_run_stops_the_plan_and_names_the_block(study) -> None:
    with pytest.raises(ConfigError, match="block 'ladder': model.width = 12 is not divisible"):
        make_plan(study("study.blocks.ladder.grid.model.width=[8,12]"))
    with pytest.raises(ConfigError, match="data.max_epochs = 1 allows"):
        make_plan(study("study.blocks.ladder.grid.tokens=[2560,1e9]"))
    with pytest.raises(ConfigError, match="schedule.warmup_tokens = 256 is 4 steps"):
        make_plan(study("study.blocks.ladder.grid.tokens=[128]"))


def test_the_processes_of_a_run_must_fit_into_the_memory_of_a_node(study, monkeypatch) -> None:
    """Of this machine, or of SLURM's nodes, which may be larger, and several."""
    room = max(training_bytes(p.run.architecture, 1) for p in make_plan(study()).runs)
    four = ("execution.processes=4", "launch=slurm")
    given = f"launch.slurm.memory_gb={1.5e-9 * room}"
    monkeypatch.setattr(machine, "memory_bytes", lambda: 1.5 * room)
    with pytest.raises(ConfigError, match="in 4 processes .execution.processes = 4, .* the m"):
        make_plan(study(*four[:1]))
    with pytest.raises(ConfigError, match="in 4 processes .execution.processes = 4, .* the m"):
        make_plan(study(*four, given))
    make_plan(study(*four))  # what its nodes have nobody says
    make_plan(study(*four, given, "launch.slurm.nodes=4"))
    make_plan(study(*four, given, "+launch.classes.large.memory_gb=1"))


@pytest.mark.long
def test_extending_by_a_longer_budget_trains_only_the_new_stretch(study, tmp_path) -> None:
    plan = make_plan(study())
    save_plan(plan)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert all(p.new_steps == 0 for p in make_plan(study()).runs)

    longer = make_plan(study("study.blocks.ladder.grid.tokens=[2560,5120,10240]"))
    new = [p for p in longer.runs if p.new_steps]
    assert {p.run.tokens for p in new} == {10240}
    wide = next(p for p in new if p.run.shape.width == 16)
    # The trunk of 5,120 tokens ended at step 64 of 80; the new one is trained from there.
    assert (wide.start, wide.new_steps) == (64, 160 - 64)
    save_plan(longer)
    launch(longer.outputs, "tiny", LaunchConfig("inline"))
    record = RunFolder(tmp_path / "outputs" / "runs" / wide.run.run_id).record()
    assert record.started_at_step == 64
    assert record.steps == 160


def test_a_changed_default_is_told(study) -> None:
    plan = make_plan(study())
    save_plan(plan)
    changed = make_plan(study("optimizer.beta2=0.99"))
    told = " ".join(changed.warnings)
    assert "5 of the 5 runs that this study had before are no longer in it" in told
    assert "optimizer.beta2: 0.95 -> 0.99" in told


@pytest.mark.long
def test_runs_of_other_code_are_told(study, monkeypatch) -> None:
    plan = make_plan(study())
    save_plan(plan)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    monkeypatch.setattr(
        "scalinglab.sweeps.plan.caveats.run_fingerprint", lambda science: "0123456789"
    )
    assert any("trained by other code" in w for w in make_plan(study()).warnings)
    trained = next(record.code.fingerprint for record in _records(plan))
    monkeypatch.setattr(
        "scalinglab.scaling.records.fingerprint.EQUAL_NUMBERS", {trained: "0123456789"}
    )
    assert not any("trained by other code" in w for w in make_plan(study()).warnings)


def _records(plan):
    return [plan.run_folder(p).record() for p in plan.runs]


def test_runs_that_differ_by_their_seeds_alone_share_a_row(study) -> None:
    """The cosine runs are told apart from them, and `-v` shows each run."""
    plan = make_plan(study("+study.blocks.ladder.grid.seed=[0,1,2]"))
    view = PlanView(Prepared({}, LaunchConfig(), plan))

    def rows(is_verbose: bool) -> list[str]:
        stream = io.StringIO()
        screen = Screen(stream)
        screen.is_verbose = is_verbose
        view.show(screen)
        return stream.getvalue().splitlines()

    shown, verbose = rows(False), rows(True)
    joined = [line for line in shown if " 3 seeds " in line]
    assert joined and all(" +2 " in line and " 3x " in line for line in joined)
    assert not any(" 3 seeds " in line for line in verbose)
    ids = {p.run.run_id for p in plan.runs}
    first = [{line.split(" ")[0] for line in lines} & ids for lines in (shown, verbose)]
    assert first[1] == ids and len(ids) - len(first[0]) == sum(
        int(count) for line in shown for count in re.findall(r"^\w{10} \+(\d+) ", line)
    )
    (total,) = [line for line in shown if "new steps, " in line]
    ratios = [p.run.C / (6 * p.run.counts["n_matmul"] * p.run.tokens) for p in plan.runs]
    assert " FLOPs (causal); " in total
    between = f"{min(ratios):.3g} to {max(ratios):.3g} times 6 N D"
    assert f"C (causal) is {between}, in which a report counts its budgets" in shown


def test_a_plan_names_the_compute_of_a_report_beside_its_own_where_they_differ(study) -> None:
    plan = make_plan(study())
    assert any("times 6 N D" in note for note in PlanView(Prepared({}, LaunchConfig(), plan)).notes)
    run = plan.runs[0].run
    plain = {"matmul": 6.0 * run.counts["n_matmul"], "attention_causal": 0.0}
    same = [replace(p, run=replace(run, flops=plain)) for p in plan.runs[:1]]
    assert causal_in_words(replace(plan, runs=same)) == ""


@pytest.mark.parametrize("is_done", [False, True])
def test_a_narrow_terminal_shows_what_a_plan_is_read_for(tmp_path, monkeypatch, is_done) -> None:
    """80 columns once left out the compute of the quickstart and kept the roles."""
    plan = make_plan(compose(["study=quickstart", f"outputs={tmp_path}"]))
    state = State.DONE if is_done else State.PLANNED
    runs = [replace(p, state=state, seconds=123.4) for p in plan.runs]
    monkeypatch.setattr(Screen, "width", 80)
    stream = io.StringIO()
    PlanView(Prepared({}, LaunchConfig(), replace(plan, runs=runs))).show(Screen(stream))
    lines = stream.getvalue().splitlines()
    assert all(cell_len(line) <= 80 for line in lines)
    heading = re.split(r"\s{2,}", lines[0])
    assert {"run", "N", "D", "C (causal)", "new steps", "schedule"} <= set(heading)
    assert ("seconds" in heading) is not is_done  # finished runs have none to go
    (told,) = [line for line in lines if line.startswith("no room for columns (-v shows them): ")]
    assert "width, D/N, LR" in told


def test_what_rules_gave_stands_in_the_table_and_the_file(study) -> None:
    by_rule = [
        "batch=null",
        "+rule/batch=porian",
        "rule.batch.coefficient=4e4",
        "optimizer.weight_decay=null",
        "+rule/weight_decay=timescale",
    ]
    plan = make_plan(study(*(o.replace("+", "") for o in by_rule)))
    frame = plan_frame(plan.runs)
    assert {"batch", "WD"} <= set(frame) and "beta2" not in frame
    assert len(set(frame["batch"])) == 2  # of two sizes
    assert any("rounded to whole sequences by more than 2%" in w for w in plan.warnings)
    save_plan(plan)
    given = read_json(plan.folder / "plan.json")["runs"][0]["given"]
    assert set(given) == {"lr", "batch", "weight_decay"}
    assert given["batch"]["used"] % 16 == 0 and given["batch"]["rule"] == "porian"


@pytest.mark.parametrize(
    ("chosen", "other"),
    [
        (["optimizer=lion"], True),
        (["optimizer=muon", "optimizer.adjust_lr=original"], True),
        (["optimizer=muon", "optimizer.adjust_lr=match_rms_adamw"], False),
        (["optimizer=nadamw"], False),
        (["optimizer=lion", "optimizer.lr=0.001"], False),
    ],
)
def test_a_rule_made_for_adamw_is_told_where_another_optimizer_takes_it(
    study, chosen, other
) -> None:
    warnings = make_plan(study("optimizer.lr=null", *chosen)).warnings
    assert any("come from the rule" in warning for warning in warnings) == other

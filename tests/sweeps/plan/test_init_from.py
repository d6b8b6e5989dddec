"""Which run's weights are meant, whether they are there, and what waits for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from scalinglab.compose import compose
from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.probes.folder import RequestedResult
from scalinglab.scaling.records.prefixes import stored_checkpoints
from scalinglab.scaling.records.state import State
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.order import packs
from scalinglab.sweeps.plan.plan import Plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.plan.selection import check_selections
from scalinglab.sweeps.store.probe_questions import ProbeQuestion, store_question, withdraw
from scalinglab.sweeps.store.status import status
from scalinglab.sweeps.store.stored_plan import read_plan
from scalinglab.sweeps.watch.gc import remove, survey

TUNED = """
# @package _global_
defaults:
  - override /data: markov
study:
  name: tuned
  question: Does it begin where another ended?
  blocks:
    BLOCKS
model: {depth: 1, head_dim: 8, context: 16}
data:
  options: {vocab: 8, successors: 4, tokens: 20001, validation_tokens: 1025}
  validation_tokens: 512
schedule: {warmup_tokens: 256}
tokens: 2560
batch: 4
"""
BASE = "code: {role: sweep, grid: {model.width: [8, 16]}}"
TUNE = "tune: {role: fit, grid: {model.width: [8, 16], seed: [5]}, base: {init_from: INIT}}"


@pytest.fixture
def tuned(finished: Path, tmp_path: Path, monkeypatch) -> Callable[..., dict[str, Any]]:
    """Compose a study of some blocks beside a copy of the finished one."""
    for name in ("conf", "outputs"):
        shutil.copytree(finished.parent / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)

    def composed(init: str, *overrides: str, blocks: tuple[str, ...] = (TUNE,)) -> dict[str, Any]:
        text = "\n    ".join(blocks).replace("INIT", init)
        (tmp_path / "conf" / "study" / "tuned.yaml").write_text(TUNED.replace("BLOCKS", text))
        return compose(["study=tuned", *overrides])

    return composed


def of_role(plan: Plan, role: str) -> dict[int, Any]:
    return {p.run.shape.width: p for p in plan.runs if role in p.roles}


LONGEST = "{study: tiny, runs: 'D == 20480 and schedule.kind == \"wsd\"'}"


def test_each_run_begins_with_the_run_of_its_model_in_a_study(tuned, tmp_path):
    plan = make_plan(tuned(LONGEST))
    runs = of_role(plan, "fit")
    sources = {r.run_id: r.spec() for r in read_plan(tmp_path / "outputs", "tiny").runs}
    for width, planned in runs.items():
        source = sources[planned.run.initial.run]
        assert (source.shape.width, source.tokens) == (width, 20480)
        assert planned.run.initial.step == source.steps and planned.needs is None
    again = of_role(make_plan(tuned("{step: 64, " + LONGEST[1:])), "fit")
    assert {p.run.run_id for p in again.values()}.isdisjoint(p.run.run_id for p in runs.values())


@pytest.mark.long
def test_runs_of_a_block_wait_for_those_of_another_and_gc_keeps_their_weights(tuned, tmp_path):
    plan = make_plan(tuned("{block: code}", blocks=(BASE, TUNE)))
    code, tune = of_role(plan, "sweep"), of_role(plan, "fit")
    for width, planned in tune.items():
        source = code[width].run
        assert planned.needs == (source.run_id, source.steps)
        assert source.steps in code[width].pins
    tune_ids = ", ".join(repr(p.run.run_id) for p in tune.values())
    with pytest.raises(ConfigError, match="chooses run .* and not run .*: choose both"):
        check_selections(plan, LaunchConfig(runs=f"run_id in [{tune_ids}]"))
    check_selections(plan, LaunchConfig(runs="state in ['planned', 'waiting']"))
    save_plan(plan)
    states = dict(status(plan.outputs, "tuned")[["run_id", "state"]].to_numpy())
    assert {states[p.run.run_id] for p in tune.values()} == {State.WAITING}
    code_ids = ", ".join(repr(p.run.run_id) for p in code.values())
    assert launch(plan.outputs, "tuned", LaunchConfig("inline", runs=f"run_id in [{code_ids}]"))
    remove(survey(plan.outputs, "needed"))
    assert launch(plan.outputs, "tuned", LaunchConfig("inline"))
    assert set(status(plan.outputs, "tuned")["state"]) == {State.DONE}
    remove(survey(plan.outputs, "needed"))  # now nothing begins with them
    assert not any(stored_checkpoints(plan.outputs, p.run.science) for p in code.values())
    make_plan(tuned("{block: code}", blocks=(BASE, TUNE)))  # and finished runs need them no more
    with pytest.raises(ConfigError, match="has no readable checkpoint of step 40.*keep=weights"):
        make_plan(tuned("{block: code}", blocks=(BASE, TUNE.replace("[5]", "[6]"))))


def test_no_pack_has_a_run_and_those_that_wait_for_its_weights(tuned):
    plan = make_plan(tuned("{block: code}", blocks=(BASE, TUNE)))
    for pack in packs(replace(plan, runs=[replace(p, pack=4) for p in plan.runs])):
        ids = {p.run.run_id for p in pack}
        assert not any(p.needs is not None and p.needs[0] in ids for p in pack)


def test_runs_with_the_same_weights_share_a_trunk_and_others_do_not(tuned):
    both = TUNE.replace("[5]}", "[5], tokens: [2560, 5120]}")
    plan = make_plan(
        tuned(
            LONGEST,
            blocks=(
                both,
                both.replace("tune:", "plain:").replace("base: {init_from: INIT}", "base: {}"),
            ),
        )
    )
    needs = {p.run.run_id: p.needs for p in plan.runs if p.needs is not None}
    initial = {p.run.run_id: p.run.initial and p.run.initial.content for p in plan.runs}
    assert len(needs) == 4
    assert all(initial[run_id] == initial[trunk] for run_id, (trunk, _) in needs.items())


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("{run: zzzz}", "init_from.run = 'zzzz' is the id of no run"),
        ("{step: 3}", "names no weights; give one of run, study or block, and file"),
        ("{run: a, file: b}", "names run and file; give one"),
        ("{file: b, step: 3}", "init_from.step = 3 is of a run"),
        ("{file: b, runs: done}", "chooses among the runs of a study or block"),
        ("{file: gone.safetensors}", "is not there"),
        ("{study: none}", "there is no study 'none'"),
        ("{study: tiny, runs: 'D == 1'}", "init_from.runs = 'D == 1' chooses none"),
        ("{study: tiny, block: lader}", "no block of study 'tiny' is so called"),
        ("{block: later}", "no block of this study before this one is so called"),
        ("{study: tiny, runs: 'D == 20480 and model.width > 8'}", "none of the .* runs of study"),
        ("{study: tiny, runs: 'status == 3'}", "status"),
        ("{study: tiny, block: ladder}", "3 runs of study 'tiny' have the model.*differ in tokens"),
        ("{study: tiny, block: wild}", "diverged and left no weights at step 80"),
        ("{study: tiny, block: held_out}", r"embedding.weight is 8 x 32 there and 8 x 8 here"),
        ("{study: tiny, block: held_out, step: 900}", "has 320 steps"),
        ("{study: tiny, block: held_out, names: {heed: x}}", "'heed' matches no tensor"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(tuned, init, message):
    with pytest.raises(ConfigError, match=message):
        make_plan(tuned(init, blocks=(TUNE.replace("[8, 16]", "[8]"),)))


def test_a_copy_of_a_file_stays_while_runs_may_begin_with_it(tuned, tmp_path):
    network = make_plan(tuned(LONGEST)).runs[0].run.architecture
    file = tmp_path / "w.safetensors"
    save_file(dict(initial_weights(network, 3)), file)
    plan = make_plan(tuned("{file: " + str(file) + "}", blocks=(TUNE.replace("[8, 16]", "[16]"),)))
    (copy,) = (plan.outputs / "weights").iterdir()
    os.utime(copy, (0, 0))

    def kind() -> str:
        table = survey(plan.outputs, "needed").set_index("path")
        return str(table.loc[copy, "kind"])

    assert kind() == "no run's"
    save_plan(plan)
    assert kind() == "needed"
    file.write_bytes(b"changed")
    assert launch(plan.outputs, "tuned", LaunchConfig("inline"))
    assert kind() == "begun with"
    (run_id,) = (p.run.run_id for p in plan.runs if p.run.initial is not None)
    start = RequestedResult(0, ((run_id, 0),))  # the weights at step 0 are those of the file
    store_question(plan.outputs, "tuned", ProbeQuestion("distance", "key", {}, {run_id: [start]}))
    assert kind() == "to be probed"
    withdraw(plan.outputs, "tuned", "distance", {})
    assert kind() == "begun with"
    remove(survey(plan.outputs, "needed"))
    assert not copy.exists()


def test_another_program_reads_its_weights_itself(tuned):
    program = ["trainer=command", "trainer.program=mine", "execution.command=[mine.sh]"]
    with pytest.raises(ConfigError, match="init_from is for trainer.kind = 'engine'"):
        make_plan(tuned(LONGEST, *program))

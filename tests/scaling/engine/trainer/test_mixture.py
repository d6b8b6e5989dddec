"""A run that draws from several pools: its curve never depends on how it came about."""

from __future__ import annotations

import pandas as pd
import pytest

from scalinglab.analysis.tables.runs import load
from scalinglab.scaling.data.mixed import open_data
from scalinglab.scaling.records.prefixes import stored_checkpoints
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.run.describe import describe
from scalinglab.scaling.run.resolve import resolve

LANGUAGE = {"vocab": 8, "successors": 4, "tokens": 20_001, "validation_tokens": 1_025}
OTHER = LANGUAGE | {"seed": 3, "successors": 2, "tokens": 801}
POOLS = {
    "data.source": "stdlib",
    "data.options": {},
    "data.pools": {
        "a": {"source": "markov", "options": LANGUAGE},
        "b": {"source": "markov", "options": OTHER, "max_epochs": 4, "noise": 0.1},
    },
}
STATIC = POOLS | {"data.weights": {"a": 0.75, "b": 0.25}}
ANNEALED = POOLS | {
    "data.mixture": [
        {"weights": {"a": 0.75, "b": 0.25}, "tokens": 64 * 30},
        {"end": {"a": 0.25, "b": 0.75}},
    ]
}


@pytest.fixture
def make_run(outputs, tiny_config):
    """A planned run in the pools' own form."""

    def make(changes, below=outputs):
        config = tiny_config(changes)
        store = open_data(config.data, below)
        run = resolve(config, store.manifest)
        folder = RunFolder(below / "runs" / run.run_id)
        folder.describe(describe(run, store))
        return folder

    return make


def test_a_run_of_one_pool_is_todays_run(make_run, train_run):
    """Its id and its bytes."""
    one = {"a": {"source": "markov", "options": LANGUAGE}}
    plain = make_run({})
    pooled = make_run({"data.source": "stdlib", "data.options": {}, "data.pools": one})
    assert pooled.run_id == plain.run_id
    assert train_run(pooled) == "done"
    assert "pools" not in pooled.record().plain
    data = pooled.record().spec.config["data"]
    assert (data["source"], data["pools"], data["weights"]) == ("markov", {}, {})


def test_losses_and_epochs_of_each_pool_are_recorded(make_run, train_run, outputs):
    folder = make_run(ANNEALED)
    assert train_run(folder) == "done"
    record = folder.record()
    by_pool = [record.measured[f"loss.{pool}"][-1] for pool in "ab"]
    assert record.final.validation_loss == pytest.approx(sum(by_pool) / 2, rel=1e-12)
    assert by_pool[0] != by_pool[1]
    (row,) = load(outputs).to_dict("records")
    assert row["tokens.a"] + row["tokens.b"] == row["D"] == 2560
    assert row["share.b"] == pytest.approx((0.25 * 30 + 0.5 * 10) / 40, abs=0.02)
    assert row["epochs.b"] == row["tokens.b"] / 800 and row["unique_tokens.b"] == 800
    assert row["loss.a"] == by_pool[0]


@pytest.mark.long
@pytest.mark.parametrize("changes", [STATIC, ANNEALED], ids=["static", "annealed"])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    make_run, train_run, elsewhere, curve_of, changes
):
    folder = make_run(changes)
    while folder.done() is None:
        train_run(folder, should_stop=lambda: True)
    assert curve_of(folder) == curve_of(elsewhere(changes))
    assert folder.record().plain["pools"] == elsewhere(changes).record().plain["pools"]


def test_a_change_of_the_mixture_branches_off_the_run_without_it(
    make_run, train_run, elsewhere, curve_of, outputs
):
    """The stretch before it is trained once, and sharing it changes no bit."""
    constant = {"schedule.kind": "constant"}
    trunk, branch = make_run(STATIC | constant), make_run(ANNEALED | constant)
    assert trunk.spec().family_id == branch.spec().family_id
    assert train_run(trunk, pins=[30]) == "done"
    assert next(step for step, _ in stored_checkpoints(outputs, branch.spec().science)) == 30
    assert train_run(branch) == "done"
    assert branch.record().started_at_step == 30
    assert curve_of(branch) == curve_of(elsewhere(ANNEALED | constant))


def test_members_of_a_pack_may_have_mixtures_of_their_own(make_run, train_run, elsewhere):
    changes = [STATIC | {"tokens": 64 * 12}, STATIC | {"tokens": 64 * 12, "data.weights": {"b": 1}}]
    members = [make_run(c) for c in changes]
    assert train_run(*members) == "done"
    assert len({m.spec().family_id for m in members}) == 1
    for member, own in zip(members, changes, strict=True):
        alone = elsewhere(own)
        columns = ["loss", "validation_loss"]
        pd.testing.assert_frame_equal(
            *(pd.read_csv(f.curve_file())[columns] for f in (member, alone)), rtol=1e-4
        )
        both = [f.record().measured["loss.a"] for f in (member, alone)]
        assert both[0] == pytest.approx(both[1], rel=1e-4)


@pytest.mark.slow
def test_two_ranks_train_the_run_of_one_process(make_run, elsewhere, run_with_ranks):
    changes = ANNEALED | {"batch": 5, "tokens": 80 * 40, "schedule.warmup_tokens": 320}
    folder = make_run(changes)
    assert run_with_ranks(folder) == "done"
    columns = ["loss", "grad_norm", "validation_loss"]
    one, other = (pd.read_csv(f.curve_file())[columns] for f in (folder, elsewhere(changes)))
    pd.testing.assert_frame_equal(one, other, rtol=1e-3)


def test_noise_changes_the_run_and_not_its_validation(make_run, train_run, tiny_run):
    noisy, clean = make_run({"data.noise": 0.5}), make_run({})
    assert noisy.run_id != clean.run_id == tiny_run().run_id
    assert train_run(noisy) == train_run(clean) == "done"
    losses = [f.record().final.validation_loss for f in (noisy, clean)]
    assert losses[0] > losses[1]
    assert noisy.spec().irreducible_loss == clean.spec().irreducible_loss

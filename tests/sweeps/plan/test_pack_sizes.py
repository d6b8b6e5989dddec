"""How many runs a pack holds: memory, workers, and what a measurement found."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.run.memory import training_bytes
from scalinglab.sweeps.config import LaunchConfig, check_launch
from scalinglab.sweeps.plan.cost import cost
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.order import finish_seconds, packs
from scalinglab.sweeps.plan.pack_sizes import FULL_STEP, about_packs, pack_sizes, seconds_of, spread
from scalinglab.sweeps.plan.timing import Target, about_processes, measure_here, with_seconds

SWEEP = [
    "~study.blocks.curves",
    "study.blocks.ladder.grid.model.width=[8]",
    "study.blocks.ladder.grid.tokens=[2560]",
    "+study.blocks.ladder.grid.optimizer={lr: [1e-3, 2e-3, 4e-3, 8e-3, 16e-3, 32e-3]}",
]
FASTER = {
    "step": 1.0,
    "token": 0.0,
    "packed": {"4": {"step": 1.6, "token": 0.0}, "6": {"step": 2.0, "token": 0.0}},
}
SLOWER = {"step": 1.0, "token": 0.0, "packed": {"4": {"step": 4.4, "token": 0.0}}}


def measured(timing, asked: list | None = None) -> Target:
    """A machine on which every shape takes so long; `asked` gets what was to be timed."""
    asked = [] if asked is None else asked

    def one(request):
        asked.append(request)
        packed = {
            str(k): {what: seconds_of(timing, what, k) for what in ("step", "token")}
            for k in request["packs"]
        }
        return {"step": timing["step"], "token": timing["token"], "packed": packed}

    return Target("test", lambda requests: [one(request) for request in requests])


@pytest.mark.long
def test_a_shape_is_timed_by_a_process_of_its_own(study) -> None:
    requests, slow = [], measured(SLOWER)
    noting = Target("test", lambda asked: requests.extend(asked) or slow.measure(asked))
    with_seconds(make_plan(study("~study.blocks.curves")), noting)
    (answer,) = measure_here(requests[:1])
    assert answer["step"] > 0 and answer["token"] > 0


@pytest.fixture
def sweep(study):
    return make_plan(study(*SWEEP))


@pytest.mark.parametrize(
    ("counts", "sizes", "alone", "workers", "expected"),
    [
        ([16], [16], 0, 1, [16]),
        ([16], [16], 0, 2, [8]),
        ([16], [16], 0, 3, [6]),
        ([16], [16], 3, 3, [16]),  # runs that are alone keep the workers busy
        ([16], [4], 0, 2, [4]),  # there is no memory for more
        ([5], [5], 0, 4, [1]),
        ([2, 8], [2, 8], 0, 3, [2, 4]),
        ([3], [3], 0, 64, [1]),
        ([], [], 0, 4, []),
    ],
    ids=str,
)
def test_no_worker_is_idle_that_could_take_a_pack(counts, sizes, alone, workers, expected) -> None:
    assert spread(counts, sizes, alone, workers) == expected


def test_on_a_cpu_only_a_number_packs(sweep) -> None:
    """Auto is alone, and nothing is timed to find out; which number a user gets is no accident."""
    config, asked = LaunchConfig("inline"), []
    plan = with_seconds(sweep, measured(FASTER, asked), config)
    assert {p.pack for p in plan.runs} == {1} and {tuple(r["packs"]) for r in asked} == {()}
    (said,) = about_packs(plan, config)
    assert (
        said
        == "6 runs could train together, but it is not faster on a CPU; launch.pack=4 forces it"
    )
    assert set(pack_sizes(sweep, LaunchConfig("inline", pack=5)).values()) == {5}
    assert pack_sizes(sweep, LaunchConfig("inline", pack="off")) == {}


@pytest.fixture
def on_a_gpu(sweep, monkeypatch):
    """The sweep as planned for a GPU of so many bytes, its members making steps of so many FLOPs."""

    def planned(flops: float = 1.0, held: float = 100.0):
        run = sweep.runs[0].run
        each = training_bytes(run.architecture, run.config.batch)
        monkeypatch.setattr(
            "scalinglab.sweeps.plan.pack_sizes.machine.gpu_memory_bytes", lambda: each * held / 0.8
        )
        monkeypatch.setattr(
            "scalinglab.sweeps.plan.pack_sizes.FULL_STEP", FULL_STEP * run.C / run.steps / flops
        )
        return replace(sweep, execution=replace(sweep.execution, device="cuda"))

    return planned


@pytest.mark.parametrize(
    ("flops", "held", "size"),
    [
        (1e8, 100, 6),  # the six there are
        (1e8, 3.5, 3),  # memory
        (1e12 / 3.5, 100, 3),  # three fill the device
        (1e12 / 4.5, 100, 3),  # two of three rather than four and two
        (4e12, 100, 1),  # one does
    ],
)
def test_on_a_gpu_the_size_is_a_rule_of_the_run(on_a_gpu, flops, held, size) -> None:
    """Whatever a few steps took: what was timed is the size that the rule gave."""
    plan = on_a_gpu(flops, held)
    sizes = set()
    for timing in (FASTER, SLOWER):
        asked: list = []
        found = with_seconds(plan, measured(timing, asked), LaunchConfig("inline"))
        sizes |= {p.pack for p in found.runs}
        (plan.outputs / "measurements.json").unlink()
        assert {tuple(r["packs"]) for r in asked} == {(size,) if size > 1 else ()}
    assert sizes == {size}


def test_what_a_person_asks_for_is_done(on_a_gpu) -> None:
    """Memory that lacks shows, and splits the pack."""
    plan = on_a_gpu(4e12, 1.5)
    assert set(pack_sizes(plan, LaunchConfig("inline", pack=5)).values()) == {5}


def test_times_between_and_beyond_the_measured_sizes() -> None:
    assert seconds_of(FASTER, "step", 1) == 1.0
    assert seconds_of(FASTER, "step", 5) == pytest.approx(1.8)
    assert seconds_of(FASTER, "step", 12) == 4.0


def test_the_plan_packs_where_that_is_faster_and_says_what_it_saves(sweep) -> None:
    config = LaunchConfig("inline", pack=6)
    plan = with_seconds(sweep, measured(FASTER), config)
    assert [len(pack) for pack in packs(plan)] == [6]
    steps = plan.runs[0].run.steps
    assert sum(p.seconds for p in plan.runs) == pytest.approx(steps * 2.0)
    assert sum(p.seconds_alone for p in plan.runs) == pytest.approx(6 * steps)
    assert finish_seconds(plan, 1) == pytest.approx(4.0 + steps * 2.0)
    assert cost(plan).longest_hours == pytest.approx(steps * 2.0 / 3600)
    (said,) = about_packs(plan, config)
    assert "6 runs of width 8" in said and "in 1 of up to 6" in said and "differ in LR" in said


def test_where_a_pack_is_slower_the_plan_says_so(sweep) -> None:
    config = LaunchConfig("inline", pack=4)
    plan = with_seconds(sweep, measured(SLOWER), config)
    assert [len(pack) for pack in packs(plan)] == [4, 2]
    (said,) = about_packs(plan, config)
    assert said.endswith("measured here, that is slower than each alone (launch.pack=off)")


def test_two_workers_get_a_pack_each(on_a_gpu) -> None:
    config = LaunchConfig("local", workers=2)
    plan = with_seconds(on_a_gpu(), measured(FASTER), config)
    assert [len(pack) for pack in packs(plan)] == [3, 3]
    assert finish_seconds(plan, 2) < finish_seconds(plan, 1)


def test_a_run_of_several_processes_is_timed_by_the_part_of_one_and_the_plan_says_so(study) -> None:
    asked = []

    def measure(requests):
        asked.extend(requests)
        return [{"step": 1.0, "token": 0.0, "packed": {}} for _ in requests]

    plans = {
        n: with_seconds(
            make_plan(study(*SWEEP, f"execution.processes={n}")),
            Target("test", measure),
            LaunchConfig("inline"),
        )
        for n in (1, 2)
    }
    assert [request["batch"] for request in asked] == [4, 2]
    assert about_processes(plans[1]) == []
    (said,) = about_processes(plans[2])
    assert "execution.processes = 2 send to each other comes on top" in said


def test_lengths_and_branches_do_not_mix(study) -> None:
    """Trunks of one length pack, their branches among themselves, after them."""
    plan = make_plan(study(*SWEEP, "study.blocks.ladder.grid.tokens=[2560,5120]"))
    config = LaunchConfig("inline", pack=6)
    plan = with_seconds(plan, measured(FASTER), config)
    found = packs(plan)
    assert [len(pack) for pack in found] == [6, 6]
    assert [{p.start for p in pack} for pack in found] == [{0}, {32}]
    said = about_packs(plan, config)
    assert "steps from step 32" in " ".join(said)


def test_what_is_alone_says_why(study) -> None:
    plan = make_plan(study(*SWEEP, "execution.processes=2"))
    said = " ".join(about_packs(plan, LaunchConfig("inline")))
    assert said == (
        "6 runs will train individually: 2 processes share each batch (execution.processes)"
    )


@pytest.mark.parametrize("pack", ["auto", "off", False, 1, 4])
def test_what_may_be_asked_for(pack) -> None:
    check_launch(LaunchConfig("local", pack=pack))


@pytest.mark.parametrize("pack", ["all", 0, -1, True, 2.5, None])
def test_what_may_not(pack) -> None:
    with pytest.raises(ConfigError, match=f"launch.pack = {pack!r}: allowed are auto, off and a"):
        check_launch(LaunchConfig("local", pack=pack))


def test_the_shipped_sweep_is_sixteen_rates_of_one_run() -> None:
    from scalinglab.compose import compose
    from scalinglab.sweeps.study.study import read_study

    _, wanted = read_study(compose(["study=lr_sweep"]))
    rates = sorted(w.config.optimizer.lr for w in wanted)
    assert len(rates) == 16 and len({replace(w.config.optimizer, lr=0.1) for w in wanted}) == 1
    assert all(1.39 < b / a < 1.44 for a, b in pairwise(rates))

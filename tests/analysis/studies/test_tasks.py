"""The chain of a task, and whether sizes share one curve, on tables whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.studies.tasks import judge, one_curve
from scalinglab.scaling.errors import UserError

SIZES = (1e4, 2e4, 4e4, 8e4, 1.6e5)


def checkpoints(beside: float = 0.0) -> pd.DataFrame:
    """Two seeds a size; the largest lies `beside` the curve of the others, as a share."""
    rows = []
    draw = np.random.default_rng(1)
    for n in SIZES:
        for seed in (0, 1):
            own = 0.01 * draw.standard_normal()
            for loss in np.linspace(2.0, 1.2 + 1e3 / n, 6):
                task = 0.8 * (loss - 0.9) ** 1.2 * np.exp(own) * (1 + beside * (n == SIZES[-1]))
                rows.append({"N": n, "cluster": f"{n}{seed}", "loss": loss, "task_loss": task})
    return pd.DataFrame(rows)


def test_sizes_on_one_curve_and_a_size_beside_it_are_told_apart() -> None:
    told, sizes = one_curve(checkpoints())
    assert "is one curve as far as can be told" in told and len(sizes) == len(SIZES)
    told, sizes = one_curve(checkpoints(beside=0.1))
    assert "is not one curve" in told
    assert sizes.set_index("N")["beside"].idxmax() == SIZES[-1]


def test_one_seed_a_size_cannot_tell() -> None:
    single = checkpoints().drop_duplicates(["N", "loss"])
    assert "cannot be told" in one_curve(single)[0]


def runs() -> pd.DataFrame:
    rows = [
        {"N": n, "D": d, "seed": s, "role": "fit"}
        for n in SIZES
        for d in (2e5, 4e5, 8e5)
        for s in (0, 1)
    ]
    rows += [{"N": 4e5, "D": 1.6e6, "seed": s, "role": "held_out"} for s in (0, 1)]
    table = pd.DataFrame(rows)
    noise = np.exp(0.01 * np.random.default_rng(0).standard_normal(len(table)))
    table["task.copy_2.bpb"] = (0.2 + 20 / table["N"] ** 0.4 + 500 / table["D"] ** 0.52) * noise
    table["task.copy_2.accuracy"] = 1 / (1 + np.exp(4 * (table["task.copy_2.bpb"] - 1)))
    table["loss"] = 1 + table["task.copy_2.bpb"] / 4
    names = [f"r{i}" for i in range(len(table))]
    return table.assign(status="done", run_id=names, cluster=names)


def test_the_accuracy_of_a_larger_model_is_forecast_and_compared() -> None:
    found = judge(runs(), tasks=["copy_2"], resamples=60)
    assert "the chain forecasts the accuracy within its interval" in found.sentences[0]
    assert "one curve" in found.sentences[1]
    better = runs()
    better.loc[better["role"] == "held_out", "task.copy_2.accuracy"] = 0.999
    missed = judge(better, tasks=["copy_2"], resamples=60).sentences[0]
    assert "the chain does not hold: the accuracy lies outside" in missed
    ahead = runs().query("role == 'held_out'")
    before = judge(runs().query("role == 'fit'"), tasks=["copy_2"], planned=ahead, resamples=60)
    assert "forecast before it is trained" in before.sentences[0]


def test_a_task_that_was_not_probed_names_the_command() -> None:
    with pytest.raises(UserError, match=r"did you mean 'copy_2'\?; scaling probe study=NAME"):
        judge(runs(), tasks=["copy_3"])

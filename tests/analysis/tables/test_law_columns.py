"""Every door takes the law's names of columns and the table's alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.tables.law_columns import as_law_columns


@pytest.fixture(scope="module")
def theirs(made_by) -> pd.DataFrame:
    runs, _ = made_by("chinchilla", noise=0.003)
    return (
        runs.assign(loss_milli=1e3 * runs["loss"])
        .rename(columns={"N": "params", "D": "tokens"})
        .drop(columns="loss")
    )


NAMES = {"N": "params", "D": "tokens", "loss": "loss_milli * 1e-3"}


def test_predict_takes_both(theirs) -> None:
    result = analysis.fit("chinchilla", theirs, columns=NAMES, resamples=0)
    new = pd.DataFrame({"params": [1e9, 2e9], "tokens": [2e10, 4e10]})
    same = new.rename(columns={"params": "N", "tokens": "D"})
    assert result.predict(same)["loss"].tolist() == result.predict(new)["loss"].tolist()
    assert result.predict(new.rename(columns={"params": "N"}))["loss"].notna().all()
    with pytest.raises(ValueError, match="needs column 'tokens' .D:"):
        result.predict(same[["N"]])


def test_exclude_takes_both(theirs) -> None:
    said = [
        analysis.fit("chinchilla", theirs, columns=NAMES, exclude=[rule], resamples=0)
        for rule in ("N > 1e9", "params > 1e9")
    ]
    assert said[0].params == said[1].params and said[0].points < len(theirs)
    twice = theirs.assign(N=theirs["params"])  # as a reader that knows the name leaves it
    again = analysis.fit("chinchilla", twice, columns=NAMES, exclude=["N > 1e9"], resamples=0)
    assert again.params == said[0].params
    both = theirs.assign(N=1.0)
    with pytest.raises(ValueError, match="'N' is ambiguous.*write 'params'"):
        analysis.fit("chinchilla", both, columns=NAMES, exclude=["N > 1e9"], resamples=0)


def test_held_out_predictions_take_both(theirs) -> None:
    how = {"columns": NAMES, "resamples": 20}
    one, other = (analysis.hold_out("chinchilla", theirs, by=by, **how) for by in ("N", "params"))
    assert one.table["predicted"].tolist() == other.table["predicted"].tolist()
    laws = ["chinchilla", "skaling"]
    found = [analysis.compare_laws(laws, theirs, by=by, **how) for by in ("D", "tokens", None)]
    assert found[0].table["held_out"].tolist() == found[1].table["held_out"].tolist()
    with pytest.raises(ValueError, match="no column 'size'"):
        analysis.hold_out("chinchilla", theirs, by="size", **how)
    with pytest.raises(ValueError, match="by='N' is ambiguous"):
        analysis.hold_out("chinchilla", theirs.assign(N=1.0), by="N", **how)


def test_a_law_of_one_variable_takes_a_table_with_seeds() -> None:
    """Repeats agree in what the law reads, whatever it is called."""
    x = np.repeat(np.geomspace(1e6, 1e9, 8), 3)
    runs = pd.DataFrame({"N": x, "seed": np.tile([0, 1, 2], 8)})
    noise = np.exp(0.01 * np.random.default_rng(0).standard_normal(len(x)))
    runs["loss"] = (1.7 + 400 / x**0.34) * noise
    result = analysis.fit("power_plus_constant", runs[["N", "loss", "seed"]], x="N", resamples=0)
    assert result.noise == pytest.approx(0.01, rel=0.5)
    odd = runs.rename(columns={"N": "size"})
    assert analysis.fit("power_plus_constant", odd, x="size", resamples=0).noise == result.noise


def test_what_a_law_reads_tells_runs_apart(made_by) -> None:
    """Runs of one N and D on pools of other sizes are no repeats."""
    runs, _ = made_by("data_constrained")
    table = runs.assign(seed=range(len(runs)))
    assert analysis.fit("data_constrained", table, resamples=0).noise is None


def test_checkpoints_of_one_run_are_one_cluster(made_by) -> None:
    runs, _ = made_by("chinchilla", noise=0.003)
    ten = runs.assign(run=runs["N"].astype(str))
    fitted = analysis.fit("chinchilla", ten, resamples=20)
    assert fitted.clusters == runs["N"].nunique() < fitted.points
    some = ten.assign(run=ten["run"].where(ten.index % 2 == 0))
    assert analysis.fit("chinchilla", some, resamples=0).clusters > fitted.clusters
    alone = runs.assign(run=[f"r{i}" for i in range(len(runs))])
    assert analysis.fit("chinchilla", alone, resamples=0).clusters == len(runs)


def test_runs_of_one_size_and_another_shape_are_no_tries_at_one_thing() -> None:
    """Else the best of one shape would leave out the other's."""
    rows = [
        (N, D, lr, batch, depth, (3 + np.log(lr / best) ** 2 + np.log(batch / D**0.5) ** 2) * worse)
        for N, best in ((1e7, 2e-3), (1e8, 1e-3))
        for D in (1e9, 1e10)
        for depth, worse in ((2, 1.0), (4, 1.1))
        for lr in (1e-3, 2e-3, 4e-3)
        for batch in (3e4, 1e5)
    ]
    sweep = pd.DataFrame(rows, columns=["N", "D", "lr", "batch", "depth", "loss"])
    laws = analysis.lr_batch(sweep, resamples=0)
    assert laws.sweep["cell"].nunique() == 8
    assert laws.sweep.groupby("cell")["excess"].min().max() == 0


def test_equal_points_have_one_interval(made_by) -> None:
    runs, _ = made_by("chinchilla", noise=0.01)
    result = analysis.fit("chinchilla", runs, resamples=100)
    new = pd.DataFrame({"N": [1e9, 2e9, 1e9], "D": [2e10] * 3})
    ends = result.predict(new, level=0.95)[["lower", "upper"]].to_numpy()
    assert (ends[0] == ends[2]).all() and (ends[0] != ends[1]).all()
    some = result.predict(new.iloc[:2], level=0.95)[["lower", "upper"]].to_numpy()
    assert (some == ends[:2]).all()


def test_a_column_may_be_read_for_another_and_hidden_by_one():
    """loss_to_loss reads a table's loss as loss_a, and another column for its loss."""
    table = pd.DataFrame({"loss": [3.0, 2.0], "loss.other": [5.0, 4.0], "seed": [0, 1]})
    found = as_law_columns(table, {"loss_a": "loss", "loss": "loss.other"})
    assert found.to_dict("list") == {"seed": [0, 1], "loss_a": [3.0, 2.0], "loss": [5.0, 4.0]}

"""Kinds of tables that once gave a wrong result without a word, through every door."""

from __future__ import annotations

import json
import math
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.tables.factors import read_formula
from scalinglab.wandb_client import filters


def surface(**more) -> pd.DataFrame:
    N, D = (g.ravel() for g in np.meshgrid([10**8, 10**9, 10**10], [2 * 10**10, 10**11, 10**12]))
    return pd.DataFrame({"N": N, "D": D, "loss": 1.7 + 400 / N**0.34 + 1800 / D**0.37} | more)


def write(path, text: str):
    path.write_text(text)
    return path


def curve(steps, floor: float = 3.0, name: str = "val_loss") -> pd.DataFrame:
    steps = np.asarray(list(steps))
    return pd.DataFrame({"step": steps, "lr": 1e-3, name: floor + 40 / (steps + 20)})


@pytest.mark.parametrize("rule", ["6*N*D < 2e19", "N*D*6 > 1e22"])
def test_whole_numbers_do_not_wrap_around(rule: str, tmp_path) -> None:
    table = surface()
    wanted = int(table.astype(float).eval(rule).sum())
    assert table["N"].dtype.kind == "i" and 0 < wanted < 9
    assert analysis.fit("chinchilla", table, exclude=[rule], resamples=0).excluded == {rule: wanted}
    table.to_csv(tmp_path / "t.csv", index=False)
    analysis.save_study(analysis.read_runs(tmp_path / "t.csv"), tmp_path, "own")
    for stored in (
        analysis.load(tmp_path, study="own"),
        analysis.read_table(tmp_path / "t.csv", "chinchilla"),
    ):
        assert int(stored.eval(rule).sum()) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("N,D,loss\n1e8,2e9,3.1\n1e9,2e10,2.6,7\n", "line 3: 4 cells under 3 headings"),
        ("N,D,loss\n1e8,2e9\n1e9,2e10,2.6\n", "line 2: 2 cells under 3 headings"),
        ("N,D,loss,loss\n1e8,2e9,3.1,3.2\n", "two columns called 'loss'"),
        ("1e8,2e9,3.1\n1e9,2e10,2.6\n", "the first line has numbers"),
        ("N,D,loss\n1e8,2e9,3.1\n1e9,2e10,2.6x\n", "row 3: loss = '2.6x' is no number"),
        (
            "N,D,loss\n1e8,2e9,3.1 nats\n1e9,2e10,2.6 nats\n",
            "row 2: loss = '3.1 nats' is no number",
        ),
        ("N,steps,batch,context,loss\n1,2,4 x,8,3\n", "row 2: batch = '4 x' is no number"),
        ("N,D,step,loss\n9,9,1,3 nats\n9,9,2,2 nats\n", "row 2: loss = '3 nats' is no number"),
        ("N,D,step,lr,loss\n9,9,1,low,3\n9,9,2,low,2\n", "row 2: lr = 'low' is no number"),
        ("N;D;loss\n1e8;2e9;3,141\n1e9;2e10;2,612\n", "is '3,141' a fraction or a thousand"),
        ("N,D,loss\ninf,2e9,3.1\n", "row 2: N = inf is no count"),
        ("N,D,ppl\n1e8,2e9,26.1\n1e9,2e10,16.2\n", r"columns.loss='log\(ppl\)'"),
        ("N,D,loss\n1e8,2e9,26.1\n1e9,2e10,16.2\n", "worse than guessing"),
        ("N,step,val_loss\n1e8,10,3\n1e9,10,2\n", "differ in N and have steps"),
        ("tokens,loss\n" + "".join(f"{k}e9,{9 / k}\n" for k in range(1, 20)), "that is one run"),
        ("step,lr,val_loss\n0,1,3\n1,1,-2\n", "row 3: loss = -2 is no loss"),
        ("step,tokens,val_loss\n0,0,3\n1,inf,2\n", "row 3: tokens = inf is no count"),
        ("step,tokens,val_loss\n0,5,3\n1,10,2\n2,7,1\n", "its tokens fall to 7 at step 2 .row 4"),
        (
            "run,step,val_loss\n" + "a,10,3\na,10,4\na,20,2\na,20,3\n",
            "two runs seem to be called 'a'",
        ),
    ],
)
def test_what_would_shift_or_merge_is_refused_through_every_door(text, said, tmp_path) -> None:
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(ValueError, match=said):
        analysis.read_runs(path)
    with pytest.raises(ValueError, match=said):
        analysis.read_table(path, "chinchilla")


def test_words_that_nothing_is_counted_with_are_labels(tmp_path) -> None:
    labels = {"loss_fn": "ce", "width": "wide", "lr": "cosine", "vocab": 64}
    surface(**{name: [label] * 9 for name, label in labels.items()}).to_csv(
        tmp_path / "t.csv", index=False
    )
    for table in (
        analysis.read_table(tmp_path / "t.csv", "chinchilla"),
        analysis.read_runs(tmp_path / "t.csv", n_count="n_total").runs,
    ):
        assert table.iloc[0][list(labels)].tolist() == list(labels.values())


def test_runs_that_crashed_are_fitted_through_no_door(tmp_path) -> None:
    table = surface(state=["finished"] * 8 + ["crashed"])
    table.to_csv(tmp_path / "t.csv", index=False)
    points = analysis.read_table(tmp_path / "t.csv", "chinchilla")
    result = analysis.fit("chinchilla", points, resamples=0)
    assert result.points == 8 and result.excluded == {"status 'crashed': not finished": 1}
    found = analysis.read_runs(tmp_path / "t.csv")
    assert "1 run is 'crashed' and not fitted" in found.notes
    analysis.save_study(found, tmp_path, "own")
    assert len(analysis.load(tmp_path, study="own", role="fit")) == 8


def test_a_law_is_given_the_ends_of_runs_their_curves_or_the_steps_themselves(tmp_path) -> None:
    runs = [
        curve(range(0, 501, 50), f).assign(
            run=f"r{k}", N=10 ** (7 + k), tokens=lambda t: t.step * 1e6 + 1
        )
        for k, f in enumerate((3.0, 2.7, 2.5))
    ]
    pd.concat(runs).to_csv(tmp_path / "t.csv", index=False)
    ends = analysis.read_table(tmp_path / "t.csv", "chinchilla")
    assert len(ends) == 3 and ends["D"].tolist() == [5e8 + 1] * 3
    assert len(analysis.read_table(tmp_path / "t.csv", "lr_annealing")) == 33
    assert len(analysis.read_table(tmp_path / "t.csv", "power", x="step")) == 33
    surface().to_csv(tmp_path / "points.csv", index=False)
    with pytest.raises(ValueError, match="is a law of curves and needs one row a step"):
        analysis.read_table(tmp_path / "points.csv", "lr_annealing")


def test_the_files_own_names_stand_beside_ours_and_cells_that_a_law_lacks_are_counted(
    tmp_path,
) -> None:
    table = surface().rename(columns={"N": "params", "D": "tokens", "loss": "Val Loss"})
    table.loc[4, "Val Loss"] = np.nan
    table.to_csv(tmp_path / "t.csv", index=False)
    points = analysis.read_table(tmp_path / "t.csv", "chinchilla")
    assert (points["params"] == points["N"]).all() and len(points) == 8
    result = analysis.fit("chinchilla", points, exclude=["params > 5e9"], resamples=0)
    assert sum(result.excluded.values()) == 1 + 3
    assert 6 not in points.index  # rows are called as an editor counts lines


def test_corpora_at_equal_size_are_told(tmp_path) -> None:
    both = pd.concat(
        [surface(corpus="web"), surface(corpus="code").assign(loss=lambda t: t.loss - 0.4)]
    )
    both.to_csv(tmp_path / "t.csv", index=False)
    said = "rows of equal N and D differ in corpus (code, web)"

    def fit(table):
        return analysis.fit("chinchilla", table, resamples=0).warnings

    assert any(w.startswith(said) for w in fit(both))
    assert any(n.startswith(said) for n in analysis.read_runs(tmp_path / "t.csv").notes)
    assert not any("differ in" in w for w in fit(both[both.corpus == "web"]))


def test_what_was_logged_comes_before_what_was_configured(tmp_path) -> None:
    history = [
        {"_step": s, "val_loss": 5 - s / 100, "lr-AdamW": 1e-3 * (1 - s / 101)}
        for s in range(0, 101, 10)
    ]

    def run(rows, **config):
        return SimpleNamespace(
            id="a", name="a", state="finished", config=config, scan_history=lambda: iter(rows)
        )

    found = analysis.read_wandb([run(history, lr=0.01)])
    assert found.curves["lr"].iloc[-1] == pytest.approx(1e-3 / 101)
    bare = [{k: v for k, v in row.items() if k != "lr-AdamW"} for row in history]
    found = analysis.read_wandb([run(bare, optimizer={"lr": 0.01})])
    assert "lr" not in found.curves and found.runs["lr"].tolist() == [0.01]
    assert any("peak of a run, not for its course" in note for note in found.notes)


@pytest.mark.parametrize(("second", "rate"), [(1.0, True), (0.5, False)])
def test_rates_of_groups_are_one_if_they_agree(second, rate, tmp_path) -> None:
    table = curve(range(0, 101, 10)).rename(columns={"lr": "lr-AdamW/pg1"})
    table.assign(**{"lr-AdamW/pg2": second * table["lr-AdamW/pg1"]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    found = analysis.read_runs(tmp_path / "t.csv")
    assert ("lr" in found.curves) == rate
    assert any("groups of parameters and differ" in note for note in found.notes) != rate


def test_logs_of_one_name_are_runs_of_their_own_and_one_file_is_not_read_twice(tmp_path) -> None:
    for name, floor in (("a", 3.0), ("b", 2.5)):
        (tmp_path / name).mkdir()
        curve(range(0, 101, 10), floor).to_csv(tmp_path / name / "log.csv", index=False)
    paths = [tmp_path / name / "log.csv" for name in "ba"]
    assert sorted(analysis.read_runs(paths).runs["run_id"]) == ["a/log", "b/log"]
    (tmp_path / "c").mkdir()
    write(tmp_path / "c" / "log.csv", "step,lr,val_loss\n0,1e-3,4\n1,1e-3,oops\n")
    found = analysis.read_runs([*paths, tmp_path / "c" / "log.csv"])
    assert len(found.runs) == 2 and any(
        "left out: c/log, row 3: val_loss = 'oops'" in note for note in found.notes
    )
    with pytest.raises(ValueError, match="is given twice"):
        analysis.read_runs([paths[0], paths[0]])


def test_a_final_step_beside_each_run_is_its_length_not_an_axis(tmp_path) -> None:
    surface(name=[f"r{k}" for k in range(9)], _step=1000, lr=1e-3).to_csv(
        tmp_path / "t.csv", index=False
    )
    found = analysis.read_runs(tmp_path / "t.csv")
    assert len(found.runs) == 9 and found.curves.empty and (found.runs["steps"] == 1000).all()


@pytest.mark.parametrize("zero_based", [None, False])
def test_steps_from_zero(zero_based, tmp_path) -> None:
    curve(range(9, 200, 10)).assign(batch=4, context=8).to_csv(tmp_path / "t.csv", index=False)
    found = analysis.read_runs(tmp_path / "t.csv", zero_based=zero_based)
    steps = 200 if zero_based is None else 199
    assert found.runs["steps"].tolist() == [steps] and found.runs["D"].tolist() == [steps * 32]


def test_a_batch_and_a_context_that_were_said_come_before_a_column_of_tokens(tmp_path) -> None:
    path = write(tmp_path / "t.csv", "step,tokens,val_loss\n0,5,3\n1,10,2\n2,7,1\n")
    found = analysis.read_runs(path, columns={"batch": 4, "context": 8})
    assert found.runs["D"].tolist() == [64]


def test_tokens_that_the_last_row_lacks_go_on_along_the_line(tmp_path) -> None:
    table = curve(range(0, 101, 10)).assign(tokens=lambda t: t.step * 1e6)
    table.loc[10, "tokens"] = np.nan
    table.to_csv(tmp_path / "t.csv", index=False)
    assert analysis.read_runs(tmp_path / "t.csv").runs["D"].tolist() == [1e8]


def test_a_wide_table_is_read_without_noise(tmp_path, capfd) -> None:
    wide = pd.DataFrame({f"task_{k}": np.linspace(0, 1, 9) for k in range(400)})
    pd.concat([surface(), wide], axis=1).to_csv(tmp_path / "t.csv", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(analysis.read_runs(tmp_path / "t.csv").runs.columns) > 400
        analysis.fit(
            "chinchilla", analysis.read_table(tmp_path / "t.csv", "chinchilla"), resamples=0
        )
    assert capfd.readouterr() == ("", "")


def test_names_that_are_patterns(tmp_path) -> None:
    folder = tmp_path / "runs [v2]*"
    folder.mkdir()
    table = curve(range(0, 101, 10), name="loss [nats] (val)*")
    table.to_csv(folder / "a?.csv", index=False)
    for source in (folder, folder / "a?.csv"):
        found = analysis.read_runs(source, columns={"loss": "loss [nats] (val)*"})
        assert len(found.runs) == 1
    analysis.save_study(found, tmp_path, "own")
    assert len(analysis.load(tmp_path, study="own")) == 1
    with pytest.raises(ValueError, match="there is no study"):
        analysis.load(tmp_path, study="ow[n]")


@pytest.mark.parametrize(
    ("source", "terms", "function"),
    [
        ("a + b", [("a", 1.0), ("b", 1.0)], ""),
        ("a*2 + 1e6 * b", [("a", 2.0), ("b", 1e6)], ""),
        ("log(a)", [("a", 1.0)], "log"),
        ("c + d", [("c + d", 1.0)], ""),
        ("a + c + d", [("a", 1.0), ("c + d", 1.0)], ""),
        ("log(b)", [("log(b)", 1.0)], ""),
    ],
)
def test_formulas_of_columns(source, terms, function) -> None:
    formula = read_formula(source, ["a", "b", "c + d", "log(b)"])
    assert list(formula.terms) == terms and formula.function == function


@pytest.mark.parametrize("source", ["a + x", "log(log(a))", "a * b", "a - b", "", "a +", "+" * 500])
def test_what_is_no_formula(source) -> None:
    assert read_formula(source, ["a", "b"]) is None


def test_a_text_log_needs_its_pattern_and_says_so(tmp_path) -> None:
    lines = "".join(f"step {s} | val {3 + 1 / (s + 1):.4f}\n" for s in range(0, 50, 10))
    path = write(tmp_path / "a.log", "hello\n" + lines)
    with pytest.raises(ValueError, match="say how its lines read, as in pattern="):
        analysis.read_runs(path)
    with pytest.raises(ValueError, match="no line fits pattern='it {step}'"):
        analysis.read_runs(path, pattern="it {step}")
    with pytest.raises(ValueError, match="name each column once in braces"):
        analysis.read_runs(path, pattern="step")
    found = analysis.read_runs(path, pattern="step {step} | val {loss}")
    assert found.runs["loss"].tolist() == [pytest.approx(3 + 1 / 41, abs=1e-4)]


def test_parts_of_a_project_are_asked_for() -> None:
    assert filters(None, [], []) == {}
    assert filters("x1", ["a"], ["finished"]) == {
        "sweep": "x1",
        "tags": {"$in": ["a"]},
        "state": {"$in": ["finished"]},
    }


def test_a_json_document_that_is_no_table_is_refused(tmp_path) -> None:
    for content in (
        [],
        {},
        [1, 2],
        3,
        "x",
        {"a": [1], "b": [1, 2]},
        {"columns": ["N"], "data": [[1, 2]]},
    ):
        path = write(tmp_path / "t.json", json.dumps(content))
        with pytest.raises(ValueError, match="t.json"):
            analysis.read_runs(path)


def test_perplexities_by_unit(tmp_path) -> None:
    table = surface()
    table.assign(loss=np.exp(table.loss)).to_csv(tmp_path / "t.csv", index=False)
    found = analysis.read_runs(tmp_path / "t.csv", unit="perplexity").runs
    assert np.allclose(found["loss"], table["loss"])
    points = analysis.read_table(tmp_path / "t.csv", "chinchilla", unit="perplexity")
    assert np.allclose(points["loss"], table["loss"]) and math.isfinite(points["loss"].sum())

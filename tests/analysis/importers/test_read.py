"""What other programs wrote, with the traps of real logs: read right, or refused with the row."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.importers.units import resolution_of

LAW = dict(L0=2.5, A=0.9, alpha=0.45, C=0.8, lam=0.985)


def truth() -> pd.DataFrame:
    """A trunk of 400 steps and a branch that cools down from step 200, by the momentum law."""
    step = np.arange(401)
    warm = 3e-3 * np.minimum(step / 40, 1)
    cool = np.where(step > 200, 3e-3 * np.clip((301 - step) / 100, 0, 1), warm)
    trunk = pd.DataFrame({"run": "trunk", "step": step, "lr": warm})
    branch = pd.DataFrame({"run": "branch", "step": step[:301], "lr": cool[:301]})
    curves = pd.concat([trunk, branch], ignore_index=True)
    law = analysis.LAWS["lr_annealing"]
    params = np.array([[LAW[name] for name in law.names]])
    return curves.assign(loss=law.predict(params, law.read(curves))[0])


def logged() -> pd.DataFrame:
    """The same as a tracker would leave it: every trap at once."""
    curves = truth()
    curves = curves[(curves.step % 20 == 0) & (curves.step > 0)]
    trunk = curves[curves.run == "trunk"]
    branch = curves[(curves.run == "branch") & (curves.step > 200)].assign(parent="trunk")
    # The trunk was killed at 280 and went on from 200; what the first attempt saw there is wrong.
    lost = trunk[(trunk.step > 200) & (trunk.step <= 280)].assign(loss=lambda f: f.loss + 0.5)
    rows = pd.concat(
        [
            trunk[trunk.step <= 200],
            lost,
            trunk[trunk.step > 200],
            branch.sample(frac=1, random_state=0),
        ]
    )
    # Training and validation stand in rows of their own; another set is .0355 worse throughout.
    train = rows[["run", "step", "lr", "parent"]].assign(train_loss=rows["loss"] + 0.1)
    val = rows[["run", "step", "parent"]].assign(
        val_bits=rows["loss"] / math.log(2), pile_bits=(rows["loss"] + 0.0355) / math.log(2)
    )
    order = np.argsort(np.concatenate([np.arange(len(rows))] * 2), kind="stable")
    return pd.concat([train, val]).iloc[order]


COLUMNS = {"loss": "val_bits", "loss_pile": "pile_bits", "batch": 8, "context": 128, "N": 1e6}


def read(tmp_path, table: pd.DataFrame, **options) -> analysis.Imported:
    path = tmp_path / "log.csv"
    table.to_csv(path, index=False)
    return analysis.read_runs(path, **({"columns": COLUMNS, "unit": "bits"} | options))


def test_a_log_with_every_trap_gives_the_curves_that_made_it(tmp_path) -> None:
    found = read(tmp_path, logged().assign(train_loss=lambda f: f.train_loss / math.log(2)))
    whole = truth().set_index(["run", "step"])
    curves = found.curves.set_index(["run", "step"])
    measured = curves["loss"].dropna()
    assert len(measured) == 19 + 5 and not curves.index.duplicated().any()
    assert np.allclose(measured, whole["loss"].loc[measured.index])
    assert np.allclose(curves["loss_pile"].dropna() - measured, 0.0355)
    # The branch has its parent's learning rates, from step 0 on.
    branch = found.curves[found.curves.run == "branch"]
    assert branch["step"].min() == 0 and (branch["loss"].notna() == (branch["step"] > 200)).all()
    assert np.allclose(branch["lr"], whole["lr"].loc["branch"].loc[branch["step"]])
    assert (
        found.curves["tokens"].dropna()
        == found.curves["step"][found.curves["tokens"].notna()] * 1024
    ).all()
    runs = found.runs.set_index("run_id")
    assert runs.loc["trunk", "D"] == 400 * 1024 and runs.loc["branch", "D"] == 300 * 1024
    assert runs["cluster"].nunique() == 1  # branches of one trunk are not independent
    said = " ".join(found.notes)
    for word in ("superseded", "not in order", "branch", "bits", "step x batch x context"):
        assert word in said


def test_the_law_that_made_a_log_is_recovered_from_it(tmp_path) -> None:
    found = read(tmp_path, logged())
    result = analysis.fit(
        "lr_annealing", found.curves.drop(columns="cluster", errors="ignore"), resamples=0
    )
    assert result.params["L0"] == pytest.approx(LAW["L0"], rel=0.02)
    assert result.params["alpha"] == pytest.approx(LAW["alpha"], rel=0.1)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (
            lambda f: f[f.run == "branch"].drop(columns="parent"),
            {},
            "run 'branch' begins at step 220: name the run",
        ),
        (
            lambda f: f.assign(lr=f.lr.astype(object).where(f.index != f.index[2], "3,1")),
            {},
            "log.csv, row",
        ),
        (lambda f: f, {"unit": None}, "column 'val_bits' does not sound like nats per token"),
        (lambda f: f, {"unit": "bits_per_byte"}, "how many bytes has a token on average?"),
        (lambda f: f, {"unit": "nat"}, "unit = 'nat' is not one of: nats, bits, bits_per_byte"),
        (lambda f: f, {"columns": {"loss": "val_bit"}}, "did you mean 'val_bits'?"),
        (lambda f: f, {"columns": {"lss": "val_bits"}}, "did you mean 'loss'?"),
        (lambda f: f, {"columns": COLUMNS | {"n_total": 0}}, "n_total = 0 is no count"),
        (
            lambda f: f.rename(columns={"val_bits": "val_loss", "pile_bits": "eval_loss"}),
            {"columns": {}},
            "val_loss and eval_loss could each be the loss",
        ),
        (
            lambda f: f.rename(columns={"val_bits": "a", "pile_bits": "b"}),
            {"columns": {}},
            "no column is the loss; say columns.loss=NAME",
        ),
        (lambda f: f.assign(step=-f.step), {}, "is no step"),
    ],
)
def test_what_cannot_be_read_without_guessing_is_refused(tmp_path, change, options, said) -> None:
    with pytest.raises(ValueError) as refused:
        read(tmp_path, change(logged()), **options)
    assert said.replace("log.csv", "log") in str(refused.value).replace("log.csv", "log")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop(columns="parent"), "run 'branch' begins at step 220: name the run"),
        (
            lambda f: f.assign(parent=f.parent.replace("trunk", "trnk")),
            "its parent 'trnk' is not among the runs",
        ),
    ],
)
def test_a_run_that_cannot_be_read_leaves_itself_out_and_is_named(tmp_path, change, said) -> None:
    found = read(tmp_path, change(logged()))
    assert found.runs["run_id"].tolist() == ["trunk"] and set(found.curves["run"]) == {"trunk"}
    assert f"left out: {said}" in " ".join(found.notes).replace(
        "left out: run 'branch': its", "left out: its"
    )


def test_rows_that_contradict_each_other_without_an_order_are_named(tmp_path) -> None:
    table = pd.DataFrame(
        {
            "step": [50, 10, 40, 10, 30, 20, 0, 60, 5],
            "lr": 1e-3,
            "val_loss": [3.0, 4.0, 3.1, 4.2, 3.3, 3.4, 9.0, 2.9, 5.0],
        }
    )
    with pytest.raises(ValueError, match="rows 3 and 5: run 'log' has loss = 4 and 4.2 at step 10"):
        read(tmp_path, table, columns={}, unit=None)
    timed = table.assign(time=[6, 2, 5, 3, 4, 3.5, 0, 7, 1])
    found = read(tmp_path, timed, columns={}, unit=None)
    assert found.curves.set_index("step")["loss"][10] == 4.2


def test_attempts_written_last_first_are_put_in_order(tmp_path) -> None:
    step = [*range(300, 1001, 100), *range(0, 401, 100)]
    loss = [*np.linspace(3.0, 2.3, 8), *np.linspace(9.0, 3.5, 5)]
    found = read(
        tmp_path, pd.DataFrame({"step": step, "val_loss": loss, "lr": 1e-3}), columns={}, unit=None
    )
    curve = found.curves.set_index("step")["loss"]
    assert curve[300] == 3.0 and curve[400] == pytest.approx(2.9) and len(curve) == 11


def test_a_loss_that_was_not_a_number_is_a_divergence_and_an_empty_one_is_not(tmp_path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        "run,step,lr,val_loss\na,0,1,5\na,1,1,nan\nb,0,1,5\nb,1,1,4\nb,2,1,\n" + "b,3,1,3\n"
    )
    found = analysis.read_runs(path)
    assert found.runs.set_index("run_id")["status"].to_dict() == {"a": "diverged", "b": "done"}
    assert found.curves["loss"].notna().sum() == 4


def test_a_run_that_ended_early_is_not_a_final_loss(tmp_path) -> None:
    table = pd.DataFrame(
        {
            "run": ["a"] * 10,
            "step": range(10),
            "lr": 1.0,
            "max_steps": 20,
            "val_loss": np.linspace(5, 3, 10),
            "N": 1e6,
            "tokens": range(10),
        }
    )
    found = read(tmp_path, table, columns={}, unit=None)
    assert found.runs["status"].tolist() == ["unfinished"]
    folder = analysis.save_study(found, tmp_path, "early")
    assert analysis.load(tmp_path, study="early", role="fit").empty and folder.is_dir()


def test_units_and_counts_follow_from_what_is_said(tmp_path) -> None:
    table = pd.DataFrame(
        {
            "N": [1e6, 2e6],
            "D": [1e8, 2e8],
            "val_bpb": [1.0, 0.9],
            "vocab": 1000,
            "d_model": [100, 200],
        }
    )
    how = {"columns": {"loss": "val_bpb", "bytes_per_token": 4.0}, "unit": "bits_per_byte"}
    runs = read(tmp_path, table, n_count="n_total", **how).runs
    assert np.allclose(runs["loss"], table["val_bpb"] * 4 * math.log(2))
    assert np.allclose(runs["bpb"], table["val_bpb"])
    assert runs["n_block"].tolist() == [8e5, 1.6e6] and runs["n_matmul"].tolist() == [9e5, 1.8e6]
    tied = read(tmp_path, table, n_count="n_total", tied=True, **how).runs
    assert tied["n_block"].tolist() == [9e5, 1.8e6]
    analysis.save_study(read(tmp_path, table, n_count="n_total", **how), tmp_path, "sizes")
    counted = analysis.load(tmp_path, study="sizes", n_count="n_block")
    assert counted["N"].tolist() == [8e5, 1.6e6] and set(counted["n_count"]) == {"n_block"}


def test_sizes_in_millions_are_noticed_and_multiplied(tmp_path) -> None:
    table = pd.DataFrame({"size (M)": [70.0, 160.0], "tokens (B)": [1.4, 3.2], "loss": [3.0, 2.8]})
    table.assign(flops=6 * table["size (M)"] * table["tokens (B)"] * 1e15).to_csv(
        tmp_path / "m.csv", index=False
    )

    def read(**columns):
        return analysis.read_runs(tmp_path / "m.csv", columns=columns)

    right = read(N="size (M) * 1e6", D="tokens (B) * 1e9")
    assert right.runs["N"].tolist() == [7e7, 1.6e8] and right.runs["D"].tolist() == [1.4e9, 3.2e9]
    assert not any("times 6 N D" in note for note in right.notes)
    assert "C is 1e+15 times 6 N D" in read(N="size (M)", D="tokens (B)").report()
    with pytest.raises(ValueError, match="no such column; did you mean 'size .M.'"):
        read(N="size (m) * 1e6")


def test_rounded_losses_are_noticed_and_widen_intervals(tmp_path) -> None:
    rng = np.random.default_rng(0)
    exact = 2 + rng.random(200)
    assert resolution_of(pd.Series(exact)) is None
    assert resolution_of(pd.Series(np.round(exact, 2))) == 0.01
    read_off = np.linspace(2, 3, 40)[rng.integers(0, 40, 200)]
    assert resolution_of(pd.Series(read_off)) == pytest.approx(1 / 39, rel=0.05)
    N = np.geomspace(1e6, 1e9, 12)
    table = pd.DataFrame({"N": N, "D": 20 * N, "loss": np.round(2 + (1e6 / N) ** 0.3, 2)})
    runs = read(tmp_path, table, columns={}, unit=None).runs
    sure = analysis.fit("power_plus_constant", runs.drop(columns="resolution"), x="N", resamples=50)
    fair = analysis.fit("power_plus_constant", runs, x="N", resamples=50)
    assert fair.noise == pytest.approx(0.01 / math.sqrt(12) / runs["loss"].mean(), rel=0.1)
    assert sure.noise is None


@pytest.mark.parametrize("name", ["model.pt", "model.ckpt", "runs.pkl", "array.npy", "x.joblib"])
def test_pickles_are_never_opened(tmp_path, name) -> None:
    bomb = tmp_path / name
    bomb.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises(ValueError, match="may hold pickles"):
        analysis.read_runs(bomb)
    assert not (tmp_path / "ran").exists()


def test_files_that_are_no_tables_are_refused_in_one_sentence(tmp_path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "head.csv").write_text("N,D,loss\n")
    (tmp_path / "shifted.csv").write_text("N,D,loss\n1,2,3\n4,5,6,7\n")
    (tmp_path / "odd.xlsx").write_text("x")
    (tmp_path / "bad.parquet").write_text("x")
    (tmp_path / "nothing").mkdir()
    for name, said in (
        ("empty.csv", "cannot be read as a table: it is empty"),
        ("head.csv", "has no rows"),
        ("shifted.csv", "line 3: 4 cells under 3 headings"),
        ("odd.xlsx", ".xlsx suffix; read are"),
        ("bad.parquet", "cannot be read"),
        ("nothing", "holds no .*tables"),
        ("gone.csv", "there is no such file"),
    ):
        with pytest.raises(ValueError, match=said):
            analysis.read_runs(tmp_path / name)


def test_the_published_cooldowns_are_read_from_raw_logs(public_data, tmp_path) -> None:
    """Resumed 20 % cooldowns, attempts written last first, branches without their trunk."""
    folder = public_data / "lr_schedules"
    known = pd.read_csv(folder / "runs.csv")
    own = known.resume_from.fillna("/0").str.endswith("/0")
    known["parent"] = pd.Series(190, index=known.index).where(~own).astype("Int64")
    known[["run", "n_params", "parent", "batch_seqs", "seq_len"]].to_csv(
        tmp_path / "runs.csv", index=False
    )
    for part in ("train", "val"):
        table = pd.read_parquet(folder / f"curves_{part}.parquet").drop(columns="superseded")
        table.to_csv(tmp_path / f"{part}.csv", index=False)
    found = analysis.read_runs(
        [tmp_path / "train.csv", tmp_path / "val.csv"], runs=tmp_path / "runs.csv"
    )
    assert len(found.runs) == 36
    assert found.runs.set_index("run_id")["D"].astype(int).sort_index().tolist() == (
        known.assign(run=known.run.astype(str)).set_index("run")["tokens"].sort_index().tolist()
    )
    final = found.runs.set_index("run_id")["loss"].sort_index()
    logged_last = known.assign(run=known.run.astype(str)).set_index("run").last_val_loss
    assert np.allclose(final, logged_last.sort_index())
    curves = found.curves.drop(columns="cluster", errors="ignore")
    # The trunk's last logged learning rate is zero, an artefact of its scheduler.
    assert curves.lr[curves.run == "190"].iloc[-1] == 1e-3
    assert any(
        note == "a learning rate of 0 at the last logged step was taken for the one before it: 190"
        for note in found.curves.attrs.get("notes", found.notes)
    )
    seen = curves.run.isin(["50", "174", "190"])
    law = analysis.fit("lr_annealing", curves[seen], resamples=0, starts=16)
    unseen = curves[~seen]
    predicted = law.predict(unseen)["loss"].where(unseen.loss.notna())
    missed = (predicted - unseen.loss).groupby(unseen.run).last()
    assert len(missed) == 33 and missed.abs().mean() < 0.012  # from hand-made tables: .0091

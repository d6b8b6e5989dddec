"""``scaling import`` as a person uses it."""

from __future__ import annotations

import json

import pandas as pd
import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import"], "name what is imported: scaling import FILE or FOLDER to=NAME"),
        (["import", "nope.csv"], "nope.csv: there is no such file or folder"),
        (["import", "model.ckpt"], "may hold pickles"),
        (["import", "x.csv", "collumns.N=n"], "unknown key 'collumns'; did you mean 'columns'?"),
        (["import", "x.csv", "law=chinchila"], "did you mean 'chinchilla'?"),
        (["import", "x.csv", "budgets=[-1]"], "budgets[0] = -1.0: allowed is above 0"),
        (["import", "wandb:a/b", "x.csv"], "wandb:a/b is imported alone"),
        (["import", "x.csv", "study=mine"], "runs made elsewhere become a study by to=mine"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr(run, arguments, message) -> None:
    code, _, error = run(*arguments)
    assert code == 2
    assert message in error and error.startswith("error: ") and "Traceback" not in error


def test_a_file_becomes_a_study_that_can_be_fitted(run, tmp_path) -> None:
    table = pd.DataFrame(
        [
            (n, d, 1.7 + 400 / n**0.34 + 1800 / d**0.37)
            for n in (1e7, 3e7, 1e8, 1e9)
            for d in (1e9, 1e10, 3e10, 1e11)
        ],
        columns=["params", "D", "loss"],
    )
    table.to_csv(tmp_path / "sweep.csv", index=False)
    out = f"outputs={tmp_path}"
    code, said, _ = run("import", str(tmp_path / "sweep.csv"), "to=sweep", "n_count=n_total", out)
    assert code == 0 and "16 of 16 runs can be fitted" in said
    assert "alpha" in run("fit", "study=sweep", "resamples=0", out)[1]
    assert "nothing was stored" in run("import", str(tmp_path / "sweep.csv"))[1]
    said = json.loads(run("import", str(tmp_path / "sweep.csv"), "--json")[1])
    assert len(said["runs"]) == 16 and said["study"] is None


def test_what_was_read_is_told_even_where_it_cannot_be_stored(run, tmp_path) -> None:
    (tmp_path / "t.csv").write_text("N,D,loss\n1e6,1e8,3.1\n1e7,1e8,3.0\n")
    code, out, error = run("import", f"{tmp_path}/t.csv", "to=tiny")
    assert code == 2 and "2 of 2 runs can be fitted" in out and "nothing was stored" not in out
    assert "a planned study is called so" in error and error.count("\n") == 1
    said = json.loads(run("import", f"{tmp_path}/t.csv", "to=tiny", "--json")[1])
    assert len(said["runs"]) == 2 and said["study"] is None

"""Records as tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.run_end import file_hash


def test_one_row_a_run_with_counts_and_conventions(finished) -> None:
    runs = analysis.load(finished, study="tiny")
    assert len(runs) == 3 * 3 + 1 + 1 + 2 + 1  # one wsd curve is a ladder run, one run is wild
    assert runs["run_id"].is_unique
    assert (runs["N"] == runs["n_matmul"]).all()
    narrow = runs[runs["width"] == 8].iloc[0]
    assert narrow["n_block"] == 12 * 8**2 and narrow["n_matmul"] == narrow["n_block"] + 8 * 8
    by_matmul = analysis.load(finished, study="tiny", flops="matmul")
    assert np.allclose(by_matmul["C"], 6 * by_matmul["N"] * by_matmul["D"])
    done = runs[runs["status"] == "done"]
    assert np.allclose(done["bpb"], done["loss"] / np.log(2))
    assert (done["loss"] > done["irreducible_loss"]).all()


def test_runs_that_share_initial_weights_and_order_are_one_cluster(finished) -> None:
    runs = analysis.load(finished, study="tiny")
    tame = runs[(runs["status"] == "done") & (runs["seed"] == 0)]
    assert (tame.groupby("width")["cluster"].nunique() == 1).all()
    seeds = runs[(runs["width"] == 8) & (runs["D"] == 5120) & (runs["status"] == "done")]
    assert seeds["cluster"].nunique() == 2


def test_roles_select_rows(finished) -> None:
    assert set(analysis.load(finished, role="held_out")["width"]) == {32}
    assert set(analysis.load(finished, role="curve")["schedule"]) == {"constant", "cosine", "wsd"}
    n_block = analysis.load(finished, n_count="n_block")
    assert (n_block["N"] == n_block["n_block"]).all()


def test_a_fit_says_how_sizes_were_counted_and_warns_of_two_ways(finished) -> None:
    tables = [analysis.load(finished, role="fit", n_count=n) for n in ("n_block", "n_total")]
    alone = analysis.fit("chinchilla", tables[0], resamples=0)
    assert "N (n_block), D" in alone.report()
    both = analysis.fit("chinchilla", pd.concat(tables), resamples=0)
    assert any("N is counted in different ways" in sentence for sentence in both.warnings)


def test_a_diverged_run_is_a_row_without_a_final_loss(finished) -> None:
    diverged = analysis.load(finished).query("status == 'diverged'")
    assert len(diverged) == 1 and diverged["loss"].isna().all()


def test_empty_and_mistaken_places_are_named(finished, tmp_path) -> None:
    assert analysis.load(tmp_path).empty and analysis.load_curves(tmp_path).empty
    with pytest.raises(ValueError, match="there is no folder"):
        analysis.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="there is no study 'tinny' in .*; there are: tiny"):
        analysis.load(finished, study="tinny")
    with pytest.raises(ValueError, match="n_count = 'params' is not one of: n_block"):
        analysis.load(finished, n_count="params")
    with pytest.raises(ValueError, match="unknown FLOP convention 'hoffman'"):
        analysis.load(finished, flops="hoffman")


def test_a_fit_refuses_to_mix_fingerprints(finished) -> None:
    runs = analysis.load(finished, role="fit")
    runs.loc[runs.index[-1], "fingerprint"] = "other"
    with pytest.raises(ValueError, match="fingerprint"):
        analysis.fit("chinchilla", runs, resamples=0)
    assert analysis.fit("chinchilla", runs, resamples=0, mix_fingerprints=True)


def test_a_table_of_runs_fits_as_it_is(finished) -> None:
    result = analysis.fit("chinchilla", analysis.load(finished, role="fit"), resamples=50)
    assert isinstance(result.summary, pd.DataFrame)
    assert sum(result.excluded.values()) == 1  # the diverged run


def test_runs_of_one_ladder_have_one_recipe(finished) -> None:
    runs = analysis.load(finished, role="fit")
    assert runs["recipe"].nunique() == 2  # and that of the run whose LR was set by hand
    assert runs[runs["status"] == "done"]["recipe"].nunique() == 1
    assert analysis.seed_noise(runs) is not None


def test_whatever_a_run_left_beside_its_losses_is_a_column(finished, tmp_path) -> None:
    outputs = Path(shutil.copytree(finished, tmp_path / "outputs"))
    done_file = min(outputs.glob("runs/*/DONE"))
    done = read_json(done_file)
    path = done_file.parent / done["record"]
    write_json(path, read_json(path) | {"extra": {"hellaswag": 0.3, "seed": 99.0}})
    done["sha256"][path.name] = file_hash(path)
    write_json(done_file, done)
    runs = analysis.load(outputs).set_index("run_id")
    assert runs["hellaswag"].dropna().to_dict() == {done_file.parent.name: 0.3}
    assert 99 not in set(runs["seed"])  # a column of ours keeps its value

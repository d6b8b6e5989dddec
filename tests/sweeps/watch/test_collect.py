"""The parquet files say what the records say, and are rebuilt from them at any time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.watch import collect as module
from scalinglab.sweeps.watch.collect import collect


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """The finished study, to be changed."""
    return shutil.copytree(finished, tmp_path / "outputs")


def test_the_files_hold_what_the_analysis_reads(copied: Path) -> None:
    runs, curves = (pd.read_parquet(path) for path in collect(copied, "tiny"))
    loaded = analysis.load(copied, study="tiny").set_index("run_id").loc[runs["run_id"]]
    same = ["N", "D", "C", "loss", "bpb", "lr", "seed", "status", "role"]
    pd.testing.assert_frame_equal(  # every bit
        runs[same], loaded[same].reset_index(drop=True), check_exact=True, check_dtype=False
    )
    assert set(runs["status"]) == {"done", "diverged"}
    assert runs["science.batch"].eq(4).all() and runs["code.fingerprint"].notna().all()
    by_analysis = analysis.load_curves(copied, study="tiny").rename(columns={"run": "run_id"})
    order = ["run_id", "step"]
    pd.testing.assert_frame_equal(  # every bit
        curves.sort_values(order, ignore_index=True),
        by_analysis[curves.columns].sort_values(order, ignore_index=True),
        check_exact=True,
    )


def test_only_new_curves_are_read(copied: Path, monkeypatch) -> None:
    hidden = sorted(copied.glob("runs/*/DONE"))[3]
    hidden.rename(hidden.with_name("LATER"))
    first = pd.read_parquet(collect(copied, "tiny")[1])
    assert hidden.parent.name not in set(first["run_id"])
    read = []
    curve = module._curve
    monkeypatch.setattr(module, "_curve", lambda f: (read.append(f.run_id), curve(f))[1])
    collect(copied, "tiny")
    assert read == []
    hidden.with_name("LATER").rename(hidden)
    second = pd.read_parquet(collect(copied, "tiny")[1])
    assert read == [hidden.parent.name] and len(second) > len(first)


def test_an_interrupted_collect_is_mended_by_the_next(copied: Path) -> None:
    runs, curves = collect(copied, "tiny")
    whole = pd.read_parquet(curves)
    for file in (runs, curves):
        file.unlink()
        assert pd.read_parquet(collect(copied, "tiny")[1]).equals(whole) and file.exists()
    assert not list(runs.parent.glob(".*"))


def test_a_run_whose_curve_was_changed_is_left_out_by_name(copied: Path, caplog) -> None:
    folder = RunFolder(next(copied.glob("runs/*/DONE")).parent)
    path = folder.curve_file()
    path.write_bytes(b"better")
    runs, curves = (pd.read_parquet(p) for p in collect(copied, "tiny"))
    assert f"{path} is damaged: it was changed after the run had recorded it" in caplog.text
    assert len(runs) == len(list(copied.glob("runs/*/DONE"))) - 1
    assert folder.run_id not in {*runs["run_id"], *curves["run_id"]}


def test_collected_curves_that_were_changed_are_read_again(copied: Path) -> None:
    _, curves = collect(copied, "tiny")
    whole, content = pd.read_parquet(curves), bytearray(curves.read_bytes())
    content[len(content) // 3] ^= 1
    curves.write_bytes(content)
    assert pd.read_parquet(collect(copied, "tiny")[1]).equals(whole)


def test_a_study_without_finished_runs_gives_empty_tables(copied: Path) -> None:
    for done in copied.glob("runs/*/DONE"):
        done.unlink()
    runs, curves = (pd.read_parquet(path) for path in collect(copied, "tiny"))
    assert len(runs) == len(curves) == 0
    assert "loss" in runs and {"loss", "train_loss"} <= set(curves)


def test_a_study_that_is_not_there(copied: Path) -> None:
    with pytest.raises(ConfigError, match="there is no study 'nope'"):
        collect(copied, "nope")

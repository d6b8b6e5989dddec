"""Losses on different validation sets are compared by nobody."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.tables.validation_sets import (
    pool_names,
    refuse_different_sets,
    set_names,
)
from scalinglab.scaling.errors import UserError


@pytest.fixture
def runs(made_by) -> pd.DataFrame:
    """Two arms: b is trained and validated on another corpus, where losses are lower."""
    one, _ = made_by("chinchilla", noise=0.003)
    return pd.concat(
        [
            one.assign(arm="a", validation_set="text-1"),
            one.assign(arm="b", validation_set="text-2", loss=0.8 * one["loss"]),
        ],
        ignore_index=True,
    )


@pytest.fixture
def common(runs) -> pd.DataFrame:
    """The same where the runs of b were validated on the set of a, too."""
    on_first = np.where(runs["arm"] == "b", 1.01 * runs["loss"] / 0.8, np.nan)
    return runs.assign(**{"loss.text-1": on_first})


MEASURED = r"2 validation sets \(36 on text-1, 36 on text-2\) and do not compare"


@pytest.mark.parametrize(
    "ask",
    [
        lambda runs: analysis.compare_arms(runs, resamples=0),
        lambda runs: analysis.fit("chinchilla", runs, resamples=0),
        lambda runs: analysis.fit(
            "chinchilla", runs.rename(columns={"loss": "bpb"}), columns={"loss": "bpb"}, resamples=0
        ),
        lambda runs: analysis.compare_laws(["chinchilla", "skaling"], runs, resamples=0),
        lambda runs: analysis.lr_batch(runs.assign(lr=1e-3, batch=1e5), resamples=0),
    ],
)
def test_every_door_refuses_them_and_names_the_sets(runs, ask) -> None:
    with pytest.raises(ValueError, match=MEASURED + ".*probe=validation"):
        ask(runs)


@pytest.mark.usefixtures("untested_sharing")
def test_a_set_that_all_have_is_named_and_used(runs, common) -> None:
    with pytest.raises(ValueError, match=MEASURED + "; columns.loss=loss.text-1 names one"):
        analysis.compare_arms(common, resamples=0)
    found = analysis.compare_arms(common, loss="loss.text-1", resamples=0)
    assert found.pairs.ratio == pytest.approx(1.01)
    names = {"loss": "loss.text-1"}
    fitted = analysis.fit("chinchilla", common, columns=names, resamples=0)
    assert fitted.points == len(runs)
    assert not any("validation" in text for text in fitted.warnings)
    with pytest.raises(ValueError, match="'loss.text-3': no run has such a measured column; there"):
        analysis.compare_arms(common, loss="loss.text-3", resamples=0)


def test_laws_of_their_own_may_rest_on_sets_of_their_own(runs) -> None:
    result = analysis.fit("chinchilla", runs, arm="arm", resamples=0)
    assert any("losses on different validation sets" in text for text in result.warnings)
    with pytest.raises(ValueError, match="validation sets"):
        analysis.fit("chinchilla", runs.assign(half=[*"xy"] * 36), arm="half", resamples=0)


def test_rows_that_do_not_count_are_not_compared(runs) -> None:
    status = np.where(runs["arm"] == "b", "diverged", "done")
    assert analysis.fit("chinchilla", runs.assign(status=status), resamples=0).points == 36
    only = analysis.fit("chinchilla", runs, exclude=["arm == 'b'"], resamples=0)
    assert only.points == 36


@pytest.mark.usefixtures("untested_sharing")
def test_a_table_that_does_not_tell_is_compared_with_an_assumption(runs) -> None:
    found = analysis.compare_arms(runs.drop(columns="validation_set"), resamples=0)
    assert any("one set is assumed for both arms" in text for text in found.warnings)
    half = runs.assign(validation_set=runs["validation_set"].where(runs["arm"] == "a"))
    assert any(
        "b was measured" in text for text in analysis.compare_arms(half, resamples=0).warnings
    )
    told = runs.assign(validation_set="text-1")
    assert not any("assumed" in text for text in analysis.compare_arms(told, resamples=0).warnings)


@pytest.mark.parametrize("content", ["", "[1]", '{"vocab": 3}'])
def test_a_store_that_cannot_be_read_counts_as_gone(tmp_path, caplog, content) -> None:
    (tmp_path / "data" / "text-a").mkdir(parents=True)
    (tmp_path / "data" / "text-a" / "manifest.json").write_text(content)
    assert set_names(tmp_path, [("text", "1" * 16)]) == {"1" * 16: "text-11111111"}
    assert "manifest.json" in caplog.text and "its store counts as gone" in caplog.text


def test_a_store_without_its_validation_part_is_a_set_of_its_own(tmp_path) -> None:
    for name, content in (("text-a", "1" * 16), ("text-b", "2" * 16)):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "manifest.json").write_text(
            json.dumps({"content_hash": content})
        )
    (tmp_path / "data" / "text-a" / "validation.bin").write_bytes(b"x")
    assert set(set_names(tmp_path, [("text", "1" * 16), ("text", "2" * 16)]).values()) == {
        "text-a",
        "text-b",
    }


def test_stores_with_one_validation_part_are_one_set(tmp_path) -> None:
    for name, content, part in (
        ("text-a", "1" * 16, b"x"),
        ("text-b", "2" * 16, b"x"),
        ("text-c", "3" * 16, b"y"),
    ):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"content_hash": content}))
        (folder / "validation.bin").write_bytes(part)
    told = [("text", str(k) * 16) for k in range(1, 5)]
    assert list(set_names(tmp_path, told).values()) == [
        "text-a",
        "text-a",
        "text-c",
        "text-44444444",
    ]


def test_what_is_selected_of_a_validation_part_is_a_set_of_its_own(tmp_path) -> None:
    told = [("text", "1" * 16), ("text", "1" * 16 + "/abcdef")]
    assert list(set_names(tmp_path, told).values()) == ["text-11111111", "text-11111111/abcdef"]
    pools = [{"a": "1" * 16}, {"a": "1" * 16 + "/abcdef"}]
    assert set(pool_names(pools).values()) == {"a-11111111", "a-11111111/abcdef"}
    table = pd.DataFrame({"loss": [1.0, 2.0], "validation_set": ["t/abc", "t"]})
    with pytest.raises(UserError, match=r"2 validation sets .* one data\.validation_select"):
        refuse_different_sets(table)


def test_records_tell_their_set_and_curves_do(finished) -> None:
    (store,) = set(analysis.load(finished)["validation_set"])
    assert (finished / "data" / store / "validation.bin").exists()
    curves = analysis.load_curves(finished, study="tiny", role="curve")
    assert set(curves["validation_set"]) == {store}
    again = analysis.load_curves(finished, study="tiny", role="curve", loss=f"loss.{store}")
    assert again["loss"].dropna().tolist() == curves["loss"].dropna().tolist()
    with pytest.raises(ValueError, match="no run has such a measured column"):
        analysis.load(finished, loss="loss.nope")

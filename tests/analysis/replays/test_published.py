"""Published tables give the published answers, or ours for a reason that is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis import REPLAYS, plot
from scalinglab.analysis.replays.replay import TABLES, Replay, texts
from scalinglab.scaling.errors import UserError

SHIPPED = [r for r in REPLAYS.values() if r.shipped]
# Quantities that must agree, and how closely; of the others the page says why they differ.
AGREE = {
    "chinchilla": {"E": 0.001, "alpha": 0.01, "beta": 0.01, "objective": 0.001},
    "parscale": {"pile: E": 0.001, "pile: k": 0.001, "pile: objective": 0.001},
    "datablations": {"objective": 0.002},
    "scalebench-parallel": {"R² on the costly runs": 0.02},
    "porian": {"exponent of N*(C), as Kaplan et al. counted and warmed up": 0.02},
    "steplaw": {"mean excess loss of the choice (%)": 0.1},
}


def test_what_is_in_the_package_may_be_passed_on() -> None:
    allowed = ("MIT", "Apache-2.0", "CC-BY-4.0")
    readme = (TABLES / "README.md").read_text()
    assert {p.name for p in TABLES.glob("*.csv")} == {r.file for r in SHIPPED}
    for replay in SHIPPED:
        assert replay.licence in allowed and f"`{replay.file}`" in readme
        assert (TABLES / replay.file).stat().st_size < 20_000


@pytest.mark.parametrize("replay", SHIPPED, ids=lambda r: r.name)
def test_a_shipped_table_is_answered(replay: Replay) -> None:
    agrees(replay, None)


@pytest.mark.parametrize(
    "replay", [r for r in REPLAYS.values() if not r.shipped], ids=lambda r: r.name
)
def test_a_fetched_table_is_answered(replay: Replay, public_data: Path) -> None:
    (file,) = public_data.glob(f"*/{replay.file}")
    agrees(replay, file.parent)


def agrees(replay: Replay, folder: Path | None) -> None:
    found = replay.run(folder)
    rows = found.table.set_index("quantity")
    if (recorded := replay.recorded()) is not None:  # pages show it: of the same code, by and large
        before = recorded.table.set_index("quantity")
        assert list(before.index) == list(rows.index)
        np.testing.assert_allclose(before["ours"], rows["ours"], rtol=0.01)
    for quantity, within in AGREE.get(replay.name, {}).items():
        row = rows.loc[quantity]
        assert row["ours"] == pytest.approx(row["published"], rel=within), quantity
    assert len(texts(found.table)) == len(rows) and len(plot.data(found.draw(None)))


def test_each_replay_has_an_answer_to_show() -> None:
    for replay in REPLAYS.values():
        assert replay.shipped == (replay.recorded() is None)


def test_a_table_that_may_not_be_passed_on_says_where_it_is() -> None:
    with pytest.raises(UserError, match=r"epoch-research.*data=FOLDER"):
        REPLAYS["chinchilla"].run()


def test_another_table_is_refused(tmp_path: Path) -> None:
    replay = REPLAYS["parscale"]
    with pytest.raises(UserError, match="there is no file"):
        replay.run(tmp_path)
    pd.DataFrame({"params": [1], "P": [1]}).to_csv(tmp_path / replay.file, index=False)
    with pytest.raises(UserError, match="no column 'corpus'; it has params, P"):
        replay.run(tmp_path)

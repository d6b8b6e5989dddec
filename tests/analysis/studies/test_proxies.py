"""Whether early numbers order runs as their losses do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.studies.proxies import proxies
from scalinglab.scaling.errors import UserError


def runs(count: int = 12) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    loss = np.linspace(3, 2, count)
    return pd.DataFrame(
        {
            "N": draw.permutation(count) + 1.0,
            "loss": loss,
            "status": "done",
            "probe.proxies.good": np.exp(-loss),
            "probe.proxies.noise": np.arange(count) % 2.0,
            "probe.proxies.same": 1.0,
        }
    )


def test_the_column_of_the_losses_order_is_found_among_noise() -> None:
    found = proxies(runs())
    table = found.tables["Kendall's tau with the loss"].set_index("column")
    assert table.loc["probe.proxies.good", "tau"] == pytest.approx(-1)
    assert found.sentences[0].startswith(
        "probe.proxies.good orders the runs as their losses do, more"
    )
    assert table.loc["probe.proxies.same", "p corrected"] == 1
    chance = proxies(runs(), columns=["probe.proxies.noise"])
    assert chance.sentences[0].startswith("no column orders the runs")


def test_a_lead_over_the_size_that_may_be_chance_is_told_as_that() -> None:
    draw = np.random.default_rng(1)
    table = runs(16).assign(N=lambda r: -r["loss"] + draw.normal(0, 0.1, 16))
    table["probe.proxies.good"] = -table["loss"] + draw.normal(0, 0.05, 16)
    sentence = proxies(table, columns=["probe.proxies.good"]).sentences[0]
    assert "more closely than N alone may be chance (p 0." in sentence


@pytest.mark.parametrize(
    ("table", "columns", "said"),
    [
        (runs().drop(columns=[c for c in runs() if c.startswith("probe")]), None, "scaling probe"),
        (runs(), ["probe.none"], "no run has the column 'probe.none'"),
        (runs(3), None, "3 finished runs have it"),
    ],
)
def test_what_cannot_be_judged_is_told(table, columns, said) -> None:
    with pytest.raises(UserError, match=said):
        proxies(table, columns=columns)

"""Fits of every law to small tables: what it predicts at known parameters, and whether it finds them.

A table is stored with the parameters that made it; of a fit only those parameters count that the
data determines: the ones that were found when the record was written.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from tests.golden import product

DATA = product.FOLDER / "fits"
FOUND = 1e-3  # of a parameter that the data determines
SHORT = {"schedules": 240, "sized_schedules": 120}  # steps, fewer than those of other tests


def table(law: str, record: dict[str, Any]) -> pd.DataFrame:
    """The table of a law, with its response."""
    frame = pd.read_csv(DATA / f"{record['table']}.csv")
    given = frame[[c for c in frame if not c.startswith("made.")]]
    return given.assign(**{product.response(law): frame[f"made.{law}"]})


def all_fits() -> dict[str, Any]:
    """Make the tables anew, and fit every law to its own."""
    from tests.analysis.conftest import EXAMPLES

    tables: dict[str, pd.DataFrame] = {}
    laws: dict[str, Any] = {}
    for law in product.laws():
        build, params = EXAMPLES[law]
        name = _name(build.__name__, law)
        if name not in tables:
            tables[name] = _rounded(_build(build, name))
        frame = tables[name]
        made = pd.Series(product.predict(law, params, frame), index=frame.index)
        if "measured" in frame:
            made = made.where(frame["measured"])
        tables[name] = frame.assign(**{f"made.{law}": made})
        laws[law] = {"table": name, "made_with": params}
    DATA.mkdir(exist_ok=True)
    for name, frame in tables.items():
        kept = frame.drop(columns="measured", errors="ignore")
        kept.to_csv(DATA / f"{name}.csv", index=False, float_format="%.10g")
    for law, record in laws.items():
        params = product.fit(law, table(law, record))
        record["fitted"] = {
            name: value
            for name, value in params.items()
            if math.isclose(value, record["made_with"][name], rel_tol=FOUND)
        }
    return {"laws": laws}


def _name(build: str, law: str) -> str:
    return law if build == "<lambda>" else build


def _build(build: Any, name: str) -> pd.DataFrame:
    if name not in SHORT:
        return build()
    from tests.analysis.conftest import schedules

    steps = SHORT[name]
    short = schedules(steps, every=steps // 20)
    if name == "schedules":
        return short
    sizes = (1e7, 3e7, 1e8, 3e8)
    return pd.concat(
        [short.assign(N=N, run=short["run"] + f" {N:g}") for N in sizes], ignore_index=True
    )


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """As a CSV with six digits has it: the stored table is what made the response."""
    numbers = frame.select_dtypes("float")
    return frame.assign(**{c: numbers[c].map(lambda v: float(f"{v:.6g}")) for c in numbers})

"""Which N a comparison takes, and what it answers by the other."""

from __future__ import annotations

import pandas as pd
import pytest

from scalinglab.answers.compare import _counts


def made(active: float) -> pd.DataFrame:
    """A dense arm, and one whose tokens pass through another share of its parameters."""
    return pd.DataFrame(
        {
            "arm": ["dense", "dense", "other", "other"],
            "n_matmul": [100.0, 200.0, 300.0, 600.0],
            "n_active": [100.0, 200.0, 300.0 * active, 600.0 * active],
            "n_total": [110.0, 210.0, 310.0, 610.0],
        }
    )


@pytest.mark.parametrize(
    ("active", "asked", "counts"),
    [
        (1.0, None, ("n_matmul", None)),
        (1.0, "n_total", ("n_total", None)),
        (1 / 3, None, ("n_active", "n_total")),  # experts
        (2.0, None, ("n_active", "n_total")),  # shared layers
        (1 / 3, "n_total", ("n_total", "n_active")),
        (1 / 3, "n_matmul", ("n_matmul", "n_active")),
    ],
)
def test_which_counts(active: float, asked: str | None, counts: tuple[str, str | None]) -> None:
    assert _counts(made(active), None, asked) == counts


def test_only_the_compared_arms_count() -> None:
    runs = pd.concat([made(1 / 3), made(1.0).replace({"arm": {"other": "third"}})])
    assert _counts(runs, ["dense", "third"], None) == ("n_matmul", None)

"""Which columns of a table a telephone shows."""

from __future__ import annotations

import pandas as pd

from scalinglab.analysis.reporting.cells import (
    beyond_a_phone,
    columns_of,
    interval_apart,
    is_wide,
)


def test_a_telephone_leaves_out_what_has_no_room_and_never_the_loss() -> None:
    wide = pd.DataFrame({"run_id": ["ysgj764urj"] * 2, "name": ["x" * 30] * 2, "loss": 2.3456})
    columns = columns_of(wide.assign(role="fit"), 10)
    assert is_wide(columns) and beyond_a_phone(columns) == {"name", "role"}
    narrow = columns_of(wide[["run_id", "loss"]], 10)
    assert not is_wide(narrow) and beyond_a_phone(narrow) == set()
    # Words of a text may break, numbers may not; an interval stands below its value.
    assert not is_wide(columns_of(pd.DataFrame({"text": ["many short words " * 3]}), 10))
    assert is_wide(columns_of(pd.DataFrame({"value": ["9" * 50]}), 10))
    assert interval_apart("1.2 (1.1 to 1.3)") == ("1.2", "(1.1 to 1.3)")

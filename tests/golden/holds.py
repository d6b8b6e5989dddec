"""Whether what is made now holds what was made then."""

from __future__ import annotations

from typing import Any

import pytest


def assert_holds(golden: Any, now: Any, rel: float = 1e-9, path: str = "") -> None:
    """Everything golden is there and equal, numbers to `rel`; what has joined since may be more."""
    if isinstance(golden, dict):
        missing = set(golden) - set(now)
        assert not missing, f"{path}: {sorted(missing)} is gone"
        for key, value in golden.items():
            assert_holds(value, now[key], rel, f"{path}.{key}")
    elif isinstance(golden, list):
        assert len(golden) == len(now), f"{path}: {len(now)} entries, were {len(golden)}"
        for i, value in enumerate(golden):
            assert_holds(value, now[i], rel, f"{path}[{i}]")
    elif isinstance(golden, float) and not isinstance(now, str | bool | None):
        assert now == pytest.approx(golden, rel=rel, abs=1e-12), f"{path}: {now}, was {golden}"
    else:
        assert golden == now, f"{path}: {now!r}, was {golden!r}"

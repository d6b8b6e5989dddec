"""What we find in published tables that may not be passed on, for those who have not fetched them.

    SCALING_PUBLIC_DATA=FOLDER python -m benchmarks.replays [NAME ...]

FOLDER has a folder for each publication, as for tests. The answers of replays whose table is not in
the package, or of those named, are written into `analysis/replays/recorded.json`.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from scalinglab.analysis import REPLAYS
from scalinglab.analysis.replays.replay import RECORDED, Findings

_DIGITS = 6  # more hang on the machine


def main(names: list[str]) -> None:
    """Answer the replays and write what was found."""
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    for replay in REPLAYS.values():
        if replay.shipped or (names and replay.name not in names):
            continue
        (file,) = Path(os.environ["SCALING_PUBLIC_DATA"]).glob(f"*/{replay.file}")
        found = replay.run(file.parent)
        recorded[replay.name] = {
            "date": datetime.now(UTC).date().isoformat(),
            "answers": _rows(found),
            "warnings": list(found.warnings),
        }
        print(f"{replay.name}: {len(found.table)} quantities", flush=True)
    RECORDED.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")


def _rows(found: Findings) -> list[dict[str, str | float]]:
    return [
        {name: _rounded(value) for name, value in row.items() if value == value}  # no NaN
        for row in found.table.to_dict("records")
    ]


def _rounded(value: str | float) -> str | float:
    return value if isinstance(value, str) else float(f"{value:.{_DIGITS}g}")


if __name__ == "__main__":
    main(sys.argv[1:])

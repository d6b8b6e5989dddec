"""Whether two folders of outputs hold the same runs: ids, curves and final losses, bit for bit.

    python benchmarks/same_runs.py OUTPUTS OTHER_OUTPUTS

Two versions of the code make the same numbers if each, on one machine, trains a study from the
start and this script finds no difference.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Sequence
from pathlib import Path

from scalinglab.scaling.records.run_folder import RunFolder


def main(words: Sequence[str]) -> int:
    """Print the differences and the number of equal runs; 1 if anything differs."""
    if len(words) != 2:
        print(__doc__)
        return 2
    one, other = (finished(Path(word)) for word in words)
    for run_id in sorted(one.keys() ^ other.keys()):
        print(f"{run_id}: in {words[0] if run_id in one else words[1]} alone")
    shared = sorted(one.keys() & other.keys())
    curves = [r for r in shared if curve(one[r]) != curve(other[r])]
    finals = [r for r in shared if one[r].record().final != other[r].record().final]
    for run_id in sorted({*curves, *finals}):
        print(f"{run_id}: another {'curve' if run_id in curves else 'final loss'}")
    print(
        f"{len(shared)} runs in both: {len(shared) - len(curves)} equal curves, "
        f"{len(shared) - len(finals)} equal final losses"
    )
    return int(not shared or bool(curves or finals) or one.keys() != other.keys())


def finished(outputs: Path) -> dict[str, RunFolder]:
    """Folders of the finished runs, by run_id."""
    folders = map(RunFolder, (outputs / "runs").iterdir())
    return {folder.run_id: folder for folder in folders if folder.done() is not None}


def curve(folder: RunFolder) -> str:
    """The text of a run's curve."""
    with gzip.open(folder.curve_file(), "rt", encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

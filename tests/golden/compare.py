"""Compare curves with the golden ones bit for bit: ``python -m tests.golden.compare [FILE]``.

Or with those of a file that other code wrote here (``python -m tests.golden.write curves``).

Equal bits are promised on one kind of machine with one version of torch: elsewhere the differences
are shown and are no failure. Exit code 1: the bits differ on such a machine.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.golden import curves, product
from tests.golden.write import read


def main(files: Sequence[str] = ()) -> int:
    """Train every case again and say what differs."""
    different, alike = differing(files)
    return int(bool(different) and alike)


def differing(files: Sequence[str] = ()) -> tuple[int, bool]:
    """How many columns differ, and whether they were made on a machine like this one."""
    golden = json.loads(Path(files[0]).read_text()) if files else read("curves")
    here = product.where()
    alike = golden["machine"] == here
    if not alike:
        print(f"made on {golden['machine']}, this is {here}: bits may differ")
    with tempfile.TemporaryDirectory() as folder:
        now = curves.all_curves(Path(folder))
    different, compared, elsewhere = 0, 0, golden.get("machines", {})
    for group in ("cases", "models", "engines"):
        for name, curve in golden[group].items():
            if name not in now[group]:
                print(f"{name}: not trained here")
                continue
            if elsewhere.get(name, golden["machine"]) != golden["machine"]:
                print(f"{name}: made on {elsewhere[name]}, so its bits are not compared")
                continue
            compared += 1
            for column, text in curve.items():
                if now[group][name][column] != text:
                    different += 1
                    print(f"{name}.{column}: up to {_largest(text, now[group][name][column]):.2g}")
    print(f"{different} columns of {compared} curves differ")
    return different, alike


def _largest(golden: str, now: str) -> float:
    """The largest relative difference of two columns; infinite where their lengths differ."""
    a, b = ([float(word) for word in text.split()] for text in (golden, now))
    if len(a) != len(b):
        return float("inf")
    return max(abs(x - y) / max(abs(x), 1e-30) for x, y in zip(a, b, strict=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

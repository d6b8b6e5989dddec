"""Compare curves with the golden ones bit for bit: ``python -m tests.golden.compare``.

Equal bits are promised on one kind of machine with one version of torch: elsewhere the differences
are shown and are no failure. Exit code 1: the bits differ on such a machine.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.golden import curves, product
from tests.golden.write import read


def main() -> int:
    """Train every case again and say what differs."""
    golden = read("curves")
    here = product.where()
    alike = golden["machine"] == here
    if not alike:
        print(f"made on {golden['machine']}, this is {here}: bits may differ")
    with tempfile.TemporaryDirectory() as folder:
        now = curves.all_curves(Path(folder))
    different, compared = 0, 0
    for group in ("cases", "models", "engines"):
        for name, curve in golden[group].items():
            if name not in now[group]:
                print(f"{name}: not trained here")
                continue
            compared += 1
            for column, text in curve.items():
                if now[group][name][column] != text:
                    different += 1
                    print(f"{name}.{column}: up to {_largest(text, now[group][name][column]):.2g}")
    print(f"{different} columns of {compared} curves differ")
    return int(bool(different) and alike)


def _largest(golden: str, now: str) -> float:
    """The largest relative difference of two columns; infinite where their lengths differ."""
    a, b = ([float(word) for word in text.split()] for text in (golden, now))
    if len(a) != len(b):
        return float("inf")
    return max(abs(x - y) / max(abs(x), 1e-30) for x, y in zip(a, b, strict=True))


if __name__ == "__main__":
    sys.exit(main())

"""Say that this code makes the golden numbers: ``python -m tests.golden.fingerprint``.

Trains every golden curve again. Where all are equal bit for bit, the fingerprint of this code takes
the place of the one that stood for them in ``scaling/records/fingerprint.py``.
"""

from __future__ import annotations

import sys

from tests.golden import compare, product


def main() -> int:
    """Compare, and write what the comparison allows."""
    now, table = product.fingerprint(), product.fingerprint_table()
    text = table.read_text()
    line = f'CURRENT = "{product.known_fingerprint()}"'
    assert text.count(line) == 1, f"{table} has no line {line}"
    if compare.main():
        print("the numbers are others: nothing is written")
        return 1
    table.write_text(text.replace(line, f'CURRENT = "{now}"'))
    print(f"{table.name}: {line} -> {now}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

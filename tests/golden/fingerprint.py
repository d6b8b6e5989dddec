"""Say that this code makes the same numbers: ``python -m tests.golden.fingerprint [FILE]``.

Trains every golden curve again. Where all are equal bit for bit, the fingerprint of this code takes
the place of the one that stood for them, which is kept as its equal, in
``scaling/records/fingerprint.py``. On another machine than that of the golden curves, first let the
older code write them anew in a checkout of its own (``python -m tests.golden.write curves``), and
name that file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.golden import compare, product


def main(files: Sequence[str] = ()) -> int:
    """Compare, and write what the comparison allows."""
    now, table = product.fingerprint(), product.fingerprint_table()
    text = table.read_text()
    line = f'CURRENT = "{product.known_fingerprint()}"'
    assert text.count(line) == 1, f"{table} has no line {line}"
    if now == product.known_fingerprint():
        print(f"{table.name}: {line} stands: the code is the same")
        return 0
    different, alike = compare.differing(files)
    if different or not alike:
        print("equal numbers are not shown: nothing is written")
        return 1
    entries = "EQUAL_NUMBERS: Mapping[str, str] = {\n"
    equal = f'    "{product.known_fingerprint()}": "{now}",  # all golden curves are equal\n'
    text = text.replace(line, f'CURRENT = "{now}"').replace(entries, entries + equal)
    table.write_text(text)
    print(f"{table.name}: {line} -> {now}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

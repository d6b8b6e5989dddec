"""Memory and time to build a store of text files.

    python benchmarks/corpus.py [MB]

Builds the store of a text of this many megabytes (default 200), in one file and in a thousand, each
in a separate process. Printed: its peak resident memory above that of its libraries, over the size
of the text, and its processor time.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CHILD = r"""
import re, sys, time
from pathlib import Path
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.data.sources import open_store

def peak():
    return 1000 * int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1])

before = peak()
options = {"path": sys.argv[1]}
manifest = open_store(DataConfig(source="text", options=options), Path(sys.argv[2])).manifest
print(peak() - before, time.process_time(), manifest.content_hash)
"""


def main() -> None:
    """Measure both and print a line each."""
    size = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 200_000_000
    with tempfile.TemporaryDirectory() as folder:
        for files in (1, 1000):
            corpus = Path(folder) / f"{files}"
            corpus.mkdir()
            for i in range(files):
                letters = np.random.default_rng(i).integers(97, 123, size // files, dtype=np.uint8)
                letters.tofile(corpus / f"{i:04d}.txt")
            told = subprocess.run(
                [sys.executable, "-c", CHILD, str(corpus), str(Path(folder) / "outputs")],
                check=True,
                capture_output=True,
                text=True,
                cwd=folder,
            ).stdout.split()
            print(
                f"{size / 1e6:,.0f} MB in {files} files: {int(told[0]) / 1e6:,.1f} MB of memory, "
                f"{int(told[0]) / size:.3f} of the text; {float(told[1]):.1f} s of the processor;"
                f" content {told[2]}"
            )


if __name__ == "__main__":
    main()

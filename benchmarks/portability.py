"""The tests under other floating point kernels, thread counts and standard libraries.

    python benchmarks/portability.py [tests ...] [--only NAME ...] [--stdlib FOLDER ...]

Every variant is one run of pytest with other environment variables: the kernels of OpenBLAS
(numpy and scipy bring one each), the instructions that torch may use, the number of threads, the
folder of another Python's standard library as the corpus `stdlib`. OpenBLAS kernels that this
processor cannot run, or that OpenBLAS replaces by another, are left out. Prints the kernels and
failures of each variant; the exit code is 1 if any test failed.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
KINDS = ("Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX", "Cooperlake")
BASE = {"OMP_NUM_THREADS": "1"}
OTHERS = {
    "torch without vectors": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
    "torch by AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2"},
    "two threads": {"OMP_NUM_THREADS": "2"},
}
# Python reads a file of this name at its start, if it lies in PYTHONPATH.
CUSTOMIZE = """
import sysconfig
original = sysconfig.get_path
sysconfig.get_path = lambda name, *rest, **more: (
    {folder!r} if name == "stdlib" else original(name, *rest, **more))
"""


def kernels() -> str:
    """OpenBLAS kernels of numpy and scipy in this process, and torch's vector instructions."""
    import numpy
    import scipy.linalg  # loads its OpenBLAS
    import torch

    named = []
    for package in (numpy, scipy):
        folder = Path(package.__file__).parent
        for path in sorted(folder.parent.glob(f"{package.__name__}.libs/*openblas*")):
            library = ctypes.CDLL(str(path))
            for name in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename"):
                if hasattr(library, name):
                    corename = getattr(library, name)
                    corename.restype = ctypes.c_char_p
                    named.append(f"{package.__name__} {corename().decode()}")
    return ", ".join([*named, f"torch {torch.backends.cpu.get_cpu_capability()}"])


def asked(environment: dict[str, str]) -> str:
    """`kernels` in a separate process; empty where that process fails."""
    command = [sys.executable, __file__, "--kernels"]
    done = subprocess.run(
        command, env=os.environ | BASE | environment, capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def variants(stdlib: list[str], scratch: Path) -> dict[str, dict[str, str]]:
    """Name -> environment of every variant."""
    found = {f"OpenBLAS {kind}": {"OPENBLAS_CORETYPE": kind} for kind in KINDS} | OTHERS
    for k, folder in enumerate(stdlib):
        (scratch / str(k)).mkdir()
        (scratch / str(k) / "sitecustomize.py").write_text(CUSTOMIZE.format(folder=folder))
        found[f"stdlib {folder}"] = {"PYTHONPATH": str(scratch / str(k))}
    return found


def runnable(
    variants: dict[str, dict[str, str]], only: list[str]
) -> Iterator[tuple[str, dict[str, str], str]]:
    """The requested variants with their kernels, without OpenBLAS kernels that were replaced."""
    seen = set()
    for name, environment in variants.items():
        if only and not any(word in name for word in only):
            continue
        found = asked(environment)
        if "OPENBLAS_CORETYPE" not in environment or (found and found not in seen):
            seen.add(found)
            yield name, environment, found


def tried(environment: dict[str, str], tests: list[str], processes: int) -> tuple[str, list[str]]:
    """The last line of pytest, and the tests that failed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        "-rfE",
        "--numprocesses",
        str(processes),
        *tests,
    ]
    done = subprocess.run(
        command, env=os.environ | BASE | environment, cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    lines = done.stdout.strip().splitlines()
    failed = [line for line in lines if re.match(r"(FAILED|ERROR) ", line)]
    if done.returncode and not failed:
        failed = ["ERROR pytest ended with code " + str(done.returncode)]
    return lines[-1], failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="*", help="default: the default tests")
    parser.add_argument("--only", nargs="*", default=[], help="variants whose name has this")
    parser.add_argument("--stdlib", nargs="*", default=[], help="folders as lib/python3.12")
    parser.add_argument("--numprocesses", type=int, default=2)
    parser.add_argument("--kernels", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kernels:
        print(kernels())
        return 0
    code = 0
    with tempfile.TemporaryDirectory() as scratch:
        every = variants(options.stdlib, Path(scratch))
        for name, environment, found in runnable(every, options.only):
            summary, failed = tried(environment, options.tests, options.numprocesses)
            print(f"{name} ({found}): {summary}", *failed, sep="\n  ", flush=True)
            code = code or int(bool(failed))
    return code


if __name__ == "__main__":
    sys.exit(main())

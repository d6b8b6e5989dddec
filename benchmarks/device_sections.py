"""The sections of ``device.py``; each yields findings, the most informative first.

    python benchmarks/device_sections.py NAME DEVICE QUICK SECONDS

A finding is a line of JSON: its subject, the figure as text, its value, and the aim if there is
one. On a CPU or with QUICK the sizes are toys, and compiled engines are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from device_case import DeviceCase, Finding, finding
from device_numbers import apart, capture, checkpoints, deterministic, memory
from device_speed import large, parts, speed
from launched import STUDY
from loops import ADAMW, LR

from scalinglab.scaling.records import machine
from scalinglab.scaling.records.run_folder import RunFolder

ROOT = Path(__file__).parent.parent


def launched(case: DeviceCase) -> Iterator[Finding]:
    """`scaling launch` of a small sweep: the plan, a record, tokens per second."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "conf" / "study" / "launched.yaml"
        study.parent.mkdir(parents=True)
        size, tokens = (16, 20_480) if case.toy else (64, 2_097_152)
        study.write_text(STUDY.format(width=size, tokens=tokens, seed="0,1,2,3"))
        words = ["study=launched", f"execution.device={case.device}", "launch=inline"]
        if case.toy:
            words += [
                "launch.pack=4",
                "model.context=16",
                "model.depth=1",
                "schedule.warmup_tokens=512",
                "data.options.tokens=60001",
                "data.options.validation_tokens=2001",
                "data.validation_tokens=1024",
                "data.options.vocab=16",
            ]
        done = subprocess.run(
            [sys.executable, "-m", "scalinglab.cli", "launch", *words],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-2000:])
            raise SystemExit(f"scaling launch ended with {done.returncode}")
        for sentence in done.stdout.splitlines():
            if sentence.startswith(("packs:", "precision =")) or (
                "could train together" in sentence
            ):
                yield finding("the plan says", sentence)
        for path in sorted(Path(folder).glob("outputs/runs/*/DONE"))[:1]:
            record = RunFolder(path.parent).record()
            place, rate = record.machine, record.throughput.tokens_per_second
            yield finding(
                "a record says",
                f"{place.engine} (asked {place.engine_asked}), packs of {place.packs}, "
                f"{rate or 0:,.0f} tokens per second, loss {record.final.validation_loss:.4f}",
            )


def tests(case: DeviceCase) -> Iterator[Finding]:
    """The tests that need a GPU; each failure by name."""
    if case.device == "cpu":
        chosen = ["tests/scaling/engine/steps/test_reduction.py", "-k", "filled"]
    else:
        chosen = ["tests", "-m", "gpu and not slurm"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-p",
        "no:cacheprovider",
        "-W",
        "default",
        *chosen,
    ]
    counts = {"PASSED": 0, "FAILED": 0, "ERROR": 0, "SKIPPED": 0}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            told = "::" in line.split(" ")[0]
            kind = next((k for k in counts if told and f" {k} " in line), None)
            if kind is None:
                print(line, end="")
                continue
            counts[kind] += 1
            if kind in ("FAILED", "ERROR"):
                yield finding(line.split(" ")[0], kind.lower(), 0.0, 1.0)
    good = counts["PASSED"] > 0 and not counts["FAILED"] + counts["ERROR"]
    said = ", ".join(f"{n} {kind.lower()}" for kind, n in counts.items() if n)
    yield finding("pytest", said or "none was run", float(good), 1.0)


SECTIONS: Mapping[str, Any] = {
    "capture": capture,
    "speed": speed,
    "large": large,
    "parts": parts,
    "determinism": deterministic,
    "memory": memory,
    "apart": apart,
    "checkpoints": checkpoints,
    "launched": launched,
    "tests": tests,
}


def main() -> None:
    """Print the findings of one section, each at once."""
    name, device, quick, seconds = sys.argv[1:]
    warnings.filterwarnings("ignore")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(min(8, machine.cores())))
    torch.set_num_threads(1)
    case = DeviceCase(device, quick == "1", float(seconds))
    said = machine.device_name(device)
    print(f"{said}, torch {torch.__version__}, LR {LR}, {ADAMW}")
    for row in SECTIONS[name](case):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

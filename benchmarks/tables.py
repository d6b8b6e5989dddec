"""Wall and processor seconds of the command line for wide and long tables.

    python benchmarks/tables.py [--rows 1000000] [--columns 5000] [--events 200000] [--images 100]

A table of 200 runs with thousands of further columns, one of a million runs, and the curves of
fifty runs with a million rows; each is imported, and the tables of runs are also fitted. Event
files of TensorBoard: one with many scalars, one with a few scalars among megabytes of images.
"""

from __future__ import annotations

import argparse
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import google_crc32c
import numpy as np
import pandas as pd

FIT = ["law=chinchilla", "resamples=0"]


def runs(count: int, seed: int = 0) -> pd.DataFrame:
    """Runs whose losses follow a law, with a little noise."""
    random = np.random.default_rng(seed)
    N = np.exp(random.uniform(np.log(1e7), np.log(1e9), count)).round()
    D = np.exp(random.uniform(np.log(1e8), np.log(1e11), count)).round()
    loss = 1.8 + 480 * N**-0.35 + 2100 * D**-0.37
    return pd.DataFrame({"N": N, "D": D, "loss": loss * np.exp(random.normal(0, 0.002, count))})


def wide(columns: int) -> pd.DataFrame:
    """Two hundred runs with so many further columns."""
    further = np.random.default_rng(1).normal(size=(200, columns)).round(4)
    names = [f"metric_{i}" for i in range(columns)]
    return pd.concat([runs(200), pd.DataFrame(further, columns=names)], axis=1)


def curves(rows: int) -> pd.DataFrame:
    """Fifty runs, step by step."""
    steps = rows // 50
    step = np.tile(np.arange(1, steps + 1), 50)
    N = np.repeat(np.geomspace(1e7, 1e9, 50).round(), steps)
    return pd.DataFrame(
        {
            "run": np.repeat([f"run{i}" for i in range(50)], steps),
            "step": step,
            "N": N,
            "tokens": step * 65_536.0,
            "lr": 1e-3,
            "loss": 1.8 + 480 * N**-0.35 + 2100 * (step * 65_536.0) ** -0.37,
        }
    )


def events(scalars: int, images: int = 0) -> bytes:
    """An event file of scalars, two a step, and of images of a megabyte each."""
    records = [
        _event(step, _field(1, tag) + b"\x15" + struct.pack("<f", 4.0 - step / scalars))
        for step in range(scalars // 2)
        for tag in (b"train/loss", b"validation/loss")
    ]
    picture = _field(1, b"weights") + _field(4, _field(4, bytes(range(256)) * 4096))
    return b"".join(records + [_event(step, picture) for step in range(images)])


def _event(step: int, value: bytes) -> bytes:
    data = b"\x09" + struct.pack("<d", 1e9 + step) + b"\x10" + _varint(step)
    data += _field(5, _field(1, value))
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def timed(words: list[str], folder: Path) -> str:
    """Processor seconds and seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "scalinglab.cli", *words],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return f"{worked:6.1f} s of the processor, {seconds:6.1f} s"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=5_000)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--images", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wide(given.columns).to_csv(folder / "wide.csv", index=False)
        runs(given.rows).to_csv(folder / "long.csv", index=False)
        curves(given.rows).to_csv(folder / "curves.csv", index=False)
        for file, what in (
            ("wide", f"200 runs x {given.columns + 3:,} columns"),
            ("long", f"{given.rows:,} runs"),
        ):
            print(f"{what:<28} import {timed(['import', f'{file}.csv'], folder)}", flush=True)
            print(
                f"{what:<28} fit    {timed(['fit', f'data={file}.csv', *FIT], folder)}", flush=True
            )
        what = f"{given.rows:,} rows of 50 curves"
        print(f"{what:<28} import {timed(['import', 'curves.csv'], folder)}", flush=True)
        for scalars, images in ((given.events, 0), (1_000, given.images)):
            run = folder / f"run{images}"
            run.mkdir()
            data = events(scalars, images)
            (run / "events.out.tfevents.1.host").write_bytes(data)
            what = f"TensorBoard, {len(data) / 1e6:.0f} MB, {scalars:,} scalars"
            print(f"{what:<28} import {timed(['import', str(run)], folder)}", flush=True)


if __name__ == "__main__":
    main()

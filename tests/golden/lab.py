"""The folder of a person, with runs in every state: makes it anew, and opens a copy of it.

``lab/`` holds the studies (``conf/``) and what the product made of them (``out/``): a finished
study, one with runs in each state, a pack, a model in parts, runs of another program, imported
runs, and launches of a pool and of SLURM whose runs were left in the middle. What says on which
machine they were made is taken out. The data is not kept: it is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.golden import product

LAB = product.FOLDER / "lab"
LONG_AGO = 1e9
# Keys that say on which machine or by which process a file was written -> what stands there now.
NEUTRAL: dict[str, Any] = {
    "host": "a-host-of-then",
    "node": "a-host-of-then",
    "processor": "a processor",
    "boot": "a boot",
    "process_space": "a space",
    "pid": 1,
    "process_start": "1",
    "log": None,
    "job": None,
    "launcher": None,
    "started": LONG_AGO,
    "ended": LONG_AGO,
    "launched": LONG_AGO,
    "submitted": LONG_AGO,
    "code": "/elsewhere/code",
}
# A cluster that takes every job and runs none.
CLUSTER = {
    "sinfo": 'echo "slurm 22.05"',
    "squeue": "true",
    "scontrol": 'echo "MaxArraySize = 100"',
    "srun": "true",
    "scancel": "true",
    "sbatch": '[ "$1" = --test-only ] || echo "Submitted batch job 7"',
}


def open_lab(folder: Path) -> Path:
    """Copy the lab into a folder as it was left; its outputs."""
    shutil.copytree(LAB, folder, dirs_exist_ok=True)
    outputs = folder / "out"
    running = run_of(outputs, "states", "running")
    for path in outputs.rglob("*"):
        # A run is alive as long as its heart beats; git keeps no times.
        alive = path.suffix == ".beat" and running in path.parts
        moment = time.time() + 3600 if alive else LONG_AGO
        os.utime(path, (moment, moment))
    return outputs


def run_of(outputs: Path, study: str, block: str, which: int = 0) -> str:
    """The id of a block's run, in the order of the plan."""
    plan = json.loads((outputs / "studies" / study / "plan.json").read_text())
    return [run["run_id"] for run in plan["runs"] if block in run["blocks"]][which]


def final_losses(outputs: Path, study: str) -> dict[str, float]:
    """run_id -> the final validation loss of each finished run of a study."""
    runs = product.table("runs", outputs, study)
    return dict(zip(runs["run_id"], runs["loss"].map(float), strict=True))


def launch_folder(outputs: Path, study: str) -> Path:
    """The folder of the one launch of a study."""
    (folder,) = (outputs / "studies" / study / "launches").iterdir()
    return folder


# ---------------------------------------------------------------------- making it


def make_lab(folder: Path) -> dict[str, dict[str, float]]:
    """Train everything in an empty folder and replace ``lab/out``; final losses of what was left.

    Returns
    -------
    dict
        study -> run_id -> loss, of the launches that later code is to bring to their end.
    """
    shutil.copytree(LAB / "conf", folder / "conf")
    shutil.copy(LAB / "program.py", folder)
    before = os.getcwd()
    os.chdir(folder)
    try:
        losses = _train_all(folder / "out", folder / "bin")
    finally:
        os.chdir(before)
    _tidy(folder / "out")
    _neutralize(folder / "out", folder)
    shutil.rmtree(LAB / "out", ignore_errors=True)
    shutil.copytree(folder / "out", LAB / "out")
    return losses


def _train_all(outputs: Path, cluster: Path) -> dict[str, dict[str, float]]:
    _launch("golden")
    _launch("packed", "launch.pack=2")
    _launch("sharded", "execution.processes=2", "execution.shard=true")
    _launch("program", "execution.command=['{python}',program.py,'{config}']", code=1)
    points = str(LAB / "points.csv")
    assert product.command("import", points, "to=imported", "outputs=out")[0] == 0
    losses = {"pool": _left_by_a_pool(outputs), "slurm": _left_by_slurm(outputs, cluster)}
    product.plan_only(outputs, ["study=states"])
    trunk = run_of(outputs, "states", "killed")
    for block in ("killed", "running", "stopped", "interrupted"):
        product.begin(outputs, run_of(outputs, "states", block), chunks=3)
    for run_id in (trunk, run_of(outputs, "states", "running")):  # killed, or not yet
        (outputs / "runs" / run_id / "attempts" / "0001.end").unlink()
    product.stop(outputs, run_of(outputs, "states", "stopped"))
    return losses


def _launch(study: str, *overrides: str, code: int = 0) -> None:
    overrides = ("outputs=out", "launch=inline", *overrides)
    ended, out, error = product.command("launch", f"study={study}", *overrides)
    assert ended == code, out + error


def _left_by_a_pool(outputs: Path) -> dict[str, float]:
    line = [
        sys.executable,
        "-m",
        "scalinglab.cli",
        "launch",
        "study=pool",
        "outputs=out",
        "launch=local",
        "launch.workers=1",
    ]
    subprocess.run(line, check=True, env=os.environ | {"PYTHONPATH": str(product.ROOT)})
    losses = final_losses(outputs, "pool")
    trunk = run_of(outputs, "pool", "both")
    _rewind(outputs, "pool", losses)
    product.begin(outputs, trunk, chunks=3)
    return losses


def _left_by_slurm(outputs: Path, cluster: Path) -> dict[str, float]:
    cluster.mkdir()
    for name, body in CLUSTER.items():
        (cluster / name).write_text(f"#!/bin/sh\n{body}\n")
        (cluster / name).chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{cluster}{os.pathsep}{path}"
    try:
        given = ["launch.watch=false", "launch.slurm.minutes=30", "launch.pack=2"]
        ended = product.command("launch", "study=slurm", "outputs=out", "launch=slurm", *given)
    finally:
        os.environ["PATH"] = path
    assert ended[0] == 0, ended
    product.work(launch_folder(outputs, "slurm"))
    losses = final_losses(outputs, "slurm")
    _rewind(outputs, "slurm", losses)
    product.begin(outputs, next(iter(losses)), chunks=3)
    return losses


def _rewind(outputs: Path, study: str, runs: dict[str, float]) -> None:
    """Take runs back to where they were planned, and the tables made of them with them."""
    for run_id in runs:
        folder = outputs / "runs" / run_id
        for path in [*folder.glob("record-*"), *folder.glob("curve-*"), folder / "DONE"]:
            path.unlink()
        shutil.rmtree(folder / "attempts")
        family = json.loads((folder / "run.json").read_text())["family_id"]
        shutil.rmtree(outputs / "checkpoints" / family, ignore_errors=True)


def _tidy(outputs: Path) -> None:
    """Remove what can be made again, and all checkpoints but those that something starts from."""
    for name in ("data", "code", "measurements.json", "track", "dashboard"):
        path = outputs / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in [*outputs.rglob("*.log"), *outputs.rglob(".*"), *outputs.rglob("*.npy")]:
        path.unlink()
    for study in ("golden", "packed", "sharded", "program"):
        shutil.rmtree(outputs / "studies" / study / "launches")
    shutil.rmtree(outputs / "studies" / "slurm" / "slurm", ignore_errors=True)
    for folder in (outputs / "studies").glob("*/launches/*/slurm"):
        shutil.rmtree(folder)
    kept = {
        json.loads((outputs / "runs" / run_id / "run.json").read_text())["family_id"]
        for study in ("states", "pool", "slurm", "sharded")
        for run_id in _runs(outputs, study)
    }
    for family in (outputs / "checkpoints").iterdir():
        if family.name not in kept:
            shutil.rmtree(family)


def _runs(outputs: Path, study: str) -> list[str]:
    plan = json.loads((outputs / "studies" / study / "plan.json").read_text())
    return [run["run_id"] for run in plan["runs"]]


def _neutralize(outputs: Path, folder: Path) -> None:
    """Take the machine out of every file; DONE names records by their hash."""
    for path in outputs.rglob("*"):
        if path.suffix in (".json", ".end", ".beat") or path.name in ("DONE", "STOPPED"):
            text = path.read_text()
            for place in (folder, product.ROOT):
                text = text.replace(str(place), "/elsewhere")
            path.write_text(json.dumps(_neutral(json.loads(text)), indent=1) + "\n")
    for done in outputs.rglob("DONE"):
        content = json.loads(done.read_text())
        content["sha256"] = {
            name: hashlib.sha256((done.parent / name).read_bytes()).hexdigest()
            for name in content["sha256"]
        }
        done.write_text(json.dumps(content, indent=1) + "\n")


def _neutral(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: NEUTRAL[k] if k in NEUTRAL and not isinstance(v, dict) else _neutral(v)
            for k, v in value.items()
        }
    return [_neutral(v) for v in value] if isinstance(value, list) else value


# ---------------------------------------------------------------------- reading it


def readings(outputs: Path) -> dict[str, Any]:
    """What today's readers say of every study of the lab."""
    studies = sorted(p.parent.name for p in outputs.glob("studies/*/plan.json"))
    found: dict[str, Any] = {}
    for study in studies:
        found[study] = {
            "status": rows(product.table("status", outputs, study)),
            "runs": rows(product.table("runs", outputs, study)),
            "curves": {run: _sums(curve) for run, curve in product.curves(outputs, study).items()},
        }
    if (outputs / "studies" / "imported").exists():
        found["imported"] = {"runs": rows(product.table("runs", outputs, "imported"))}
    return found


def rows(frame: Any) -> list[dict[str, Any]]:
    """A table as plain rows; what is not finite is null, what is JSON in a cell is read."""
    plain = json.loads(frame.to_json(orient="records", double_precision=15))
    return [
        {
            key: json.loads(v) if isinstance(v, str) and v.startswith("{") else v
            for key, v in row.items()
        }
        for row in plain
    ]


def _sums(curve: Any) -> dict[str, Any]:
    numbers = curve.select_dtypes("number")
    return {"rows": len(curve), "sums": {name: float(numbers[name].sum()) for name in numbers}}


def selected(outputs: Path) -> dict[str, list[str]]:
    """Selection -> the runs of the study "states" that it chooses, and those of "golden"."""
    asked = [
        ("states", "planned"),
        ("states", "interrupted"),
        ("states", "running"),
        ("states", "seed == 21 or seed == 22"),
        ("states", "state == 'stopped'"),
        ("golden", "done"),
        ("golden", "diverged"),
        ("golden", "model.width >= 16 and D > 2e3"),
        ("golden", "role == 'held_out'"),
        ("golden", "lr > 1"),
        ("program", "failed"),
    ]
    return {
        f"{study}: {selection}": _named(
            product.command("logs", f"study={study}", f"runs={selection}", f"outputs={outputs}"),
            outputs,
        )
        for study, selection in asked
    }


def _named(ended: tuple[int, str, str], outputs: Path) -> list[str]:
    """The runs that a verb has named, in their order."""
    code, out, error = ended
    assert code == 0, error
    runs = {path.name for path in (outputs / "runs").iterdir()}
    words = (word.strip(":,") for line in out.splitlines() for word in line.split()[:2])
    return list(dict.fromkeys(word for word in words if word in runs))


def remaining(folder: Path, make: Callable[[Path], Path] = open_lab) -> dict[str, list[str]]:
    """Rule -> the checkpoints that ``scaling gc`` leaves; a dry run leaves all."""
    left = {}
    for keep in ("all", "weights", "branch", "needed"):
        outputs = make(folder / keep)
        given = ["dry_run=true"] if keep == "all" else [f"keep={keep}", "dry_run=false"]
        code, _, error = product.command("gc", *given, f"outputs={outputs}")
        assert code == 0, error
        left[keep] = sorted(
            p.relative_to(outputs).as_posix() for p in (outputs / "checkpoints").rglob("*.*")
        )
    return left

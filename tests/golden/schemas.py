"""Keys and types of the JSON that verbs print and that is stored, and the exit codes of verbs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.golden import lab, product

TARGET = "target=loss at N=2000 D=8000"
GRID = ("law=kaplan_nd", "grid.model.width=[8,16]", "grid.model.depth=1", "grid.tokens=[1536,3072]")
TINY = (
    "data=markov",
    "data.options={vocab:8,successors:4,tokens:20001,validation_tokens:1025}",
    "data.validation_tokens=512",
    *(f"model.{key}" for key in ("depth=1", "width=8", "head_dim=8", "context=16")),
    "batch=4",
    "tokens=640",
    "schedule.warmup_tokens=64",
)
# Every verb, asked in the lab's folder.
ANSWERS: dict[str, tuple[str, ...]] = {
    "fit": ("fit", "study=golden", "resamples=20", "save=fit.json"),
    "fit of curves": ("fit", "study=golden", "law=lr_annealing", "resamples=0"),
    "report": ("report", "study=golden", "resamples=20", "multiverse=false", "to=report.html"),
    "compare": ("compare", "study=golden", "arm=seed", "between=[0,1]", "resamples=20"),
    "judge": ("judge", "data=duel.csv", "arm=arm", "baseline=a", "candidate=b", "at=2e16"),
    "multiverse": ("multiverse", "data=isoflop.csv", "target=N at C=1e20"),
    "allocate": ("allocate", "study=golden", "resamples=20"),
    "allocate, all": (
        "allocate",
        "data=isoflop.csv",
        "budgets=[1e19,1e20]",
        "resamples=20",
        "losses=[2.6]",
        "splits=[[1e9,1e10]]",
        "approaches=true",
        "inference_tokens=1e9",
    ),
    "tune": (
        "tune",
        "data=sweep.csv",
        "columns.batch=bs",
        "N=[1e9,1e10]",
        "D=[1e11,1e12]",
        "resamples=20",
    ),
    "tune by loss": (
        "tune",
        "data=critical.csv",
        "columns.loss=L",
        "losses=[2.5,3]",
        "resamples=20",
    ),
    "schedule": (
        "schedule",
        "study=golden",
        "steps=40",
        "warmup=4",
        "resamples=0",
        "refits=false",
        "to=best.csv",
    ),
    "next": ("next", "study=golden", TARGET, "runs=2", "resamples=50", *GRID),
    "forecast": ("forecast", "study=states"),
    "track": ("track",),
    "import": ("import", "points.csv"),
    "plan": ("plan", "study=golden"),
    "launch": ("launch", "study=golden", "launch=inline"),
    "add": ("add", "study=states", "block=wider", "grid.model.width=[24]", "grid.tokens=[1536]"),
    "status": ("status", "study=golden"),
    "status, why": ("status", "study=program", "why=true"),
    "logs": ("logs", "study=program"),
    "cancel": ("cancel", "study=golden"),
    "train": ("train", *TINY),
    "data": ("data", "data=markov"),
    "coordcheck": ("coordcheck", "widths=[16,32]", "depths=[1,2]", "steps=1", "seeds=1"),
    "doctor": ("doctor",),
    "collect": ("collect", "study=golden"),
    "gc": ("gc",),
    "sync": ("sync", "study=golden"),
}
# What ends well, and mistakes of the user.
ENDINGS: dict[int, list[tuple[str, ...]]] = {
    0: [
        ("--help",),
        ("help",),
        *((verb, "--help") for verb in ("plan", "fit")),
        ("status",),
        ("status", "study=golden"),
        ("status", "study=states", "why=true"),
        ("status", "study=program", "why=true"),
        ("logs", "study=program"),
        ("logs", "study=golden", "runs=done"),
        ("cancel", "study=golden"),
        ("gc",),
        ("data",),
        ("collect", "study=golden"),
        ("launch", "study=golden", "launch=inline"),
        ("plan", "study=golden"),
    ],
    2: [
        ("nonsense",),
        ("fit",),
        ("report",),
        ("logs",),
        ("add",),
        ("next",),
        ("reach",),
        ("tune",),
        ("import",),
        ("plan",),
        ("launch",),
        ("status", "study=none"),
        ("fit", "study=none"),
        ("launch", "study=none"),
        ("fit", "study=golden", "law=none"),
        ("fit", "study=golden", "resample=5"),
        ("launch", "study=golden", "tokns=5"),
        ("launch", "study=golden", "launch.pack=-1"),
        ("gc", "keep=nothing"),
        ("logs", "study=golden", "runs=nonsense === 1"),
        ("cancel", "study=none"),
        ("import", "missing.csv"),
        ("collect", "study=none"),
    ],
}
# Groups whose keys are those of the data: a parameter that it does not identify, a rule that took rows.
BY_THE_DATA = ("unidentified", "excluded")
# Kind of file -> where one lies after a study was trained.
STORED = {
    "run.json": "runs/*/run.json",
    "record": "runs/*/record-*.json",
    "DONE": "runs/*/DONE",
    "attempt": "runs/*/attempts/*.json",
    "end": "runs/*/attempts/*.end",
    "beat": "runs/*/attempts/*.beat",
    "plan.json": "studies/*/plan.json",
    "launch.json": "studies/*/launches/*/launch.json",
    "manifest.json": "data/*/manifest.json",
}


def all_schemas(folder: Path) -> dict[str, Any]:
    """The schemas of everything."""
    product.train(folder / "out", {"tiny": {}}, {})
    with inside(folder / "lab"):
        answers = {name: answer(name) for name in ANSWERS}
        saved = json.loads(Path("fit.json").read_text())
    return {"answers": answers, "fit": schema(saved), "stored": stored(folder / "out")}


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Be in a copy of the lab, as a person is; its outputs have their usual name there."""
    before = os.getcwd()
    lab.open_lab(folder).rename(folder / "outputs")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def answer(name: str) -> Any:
    """The schema of what a verb prints; it must end well."""
    code, out, error = product.command(*ANSWERS[name], "--json")
    assert code == 0, f"{' '.join(ANSWERS[name])}: {error}"
    return schema(json.loads(out))


def stored(outputs: Path) -> dict[str, Any]:
    """Kind of file -> the schema of one of them."""
    return {
        kind: schema(json.loads(min(outputs.glob(where)).read_text()))
        for kind, where in STORED.items()
    }


def schema(value: Any) -> Any:
    """Keys, and "number", "text", "truth" or null; of a list what all its entries hold together.

    Keys that are numbers (steps) are one.
    """
    if isinstance(value, dict) and value and all(key.isdigit() for key in value):
        return {"#": schema(list(value.values()))[0]}
    if isinstance(value, dict):
        return {key: schema(item) for key, item in value.items()}
    if isinstance(value, list):
        kinds = [kind for kind in map(schema, value) if kind is not None]
        if kinds and all(isinstance(kind, dict) for kind in kinds):
            keys = dict.fromkeys(key for kind in kinds for key in kind)
            return [
                {
                    key: next((kind[key] for kind in kinds if kind.get(key) is not None), None)
                    for key in keys
                }
            ]
        return kinds[:1]
    if value is None:
        return None
    names = {bool: "truth", int: "number", float: "number", str: "text"}
    return names[type(value)]


def differences(golden: Any, now: Any, path: str = "") -> list[str]:
    """What a reader of the golden kind would miss; null was or is no number here."""
    if golden is None or now is None or golden == now:
        return []
    if isinstance(golden, dict) and isinstance(now, dict):
        gone = [f"{path}.{key} is gone" for key in golden if key not in now]
        if path.rpartition(".")[2] in BY_THE_DATA:
            gone = []
        return gone + [
            line
            for key in golden
            if key in now
            for line in differences(golden[key], now[key], f"{path}.{key}")
        ]
    if isinstance(golden, list) and isinstance(now, list):
        return differences(golden[0], now[0], f"{path}[]") if golden and now else []
    return [f"{path} is {now}, was {golden}"]

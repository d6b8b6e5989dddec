"""The product's doors, as the golden tests go through them: the one file of theirs that imports it.

Where the product moves, this file follows and nothing else does. Names that were written into run
folders and jobs (``ENTRY_POINTS``) are no such thing: they stand there for good.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab import Study, analysis
from scalinglab.cli import main
from scalinglab.compose import compose
from scalinglab.scaling.config import ExecutionConfig, RunConfig, TrainerConfig
from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.mixed import pool_data, pooled_manifest
from scalinglab.scaling.data.selection import SelectedManifest
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.fields import keys_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.fingerprint import CURRENT, code_fingerprint, same_numbers
from scalinglab.scaling.records.identity import prefix_id
from scalinglab.scaling.run.resolve import Run, resolve
from scalinglab.scaling.schedule.schedule import SCHEDULES
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.study.study import read_study
from tests.golden.cases import MANIFEST, TINY, changed

# In jobs that wait in a queue, in launches that go on, and in pickles of submitit.
ENTRY_POINTS = (
    "scalinglab.sweeps.launch.worker:main",
    "scalinglab.scaling.engine.trainer.trainer:train",
    "scalinglab.scaling.training.ranks:train",
    "scalinglab.scaling.training.command:train",
    "scalinglab.scaling.engine.trainer.rank_main:main",
    "scalinglab.cli:main",
)
ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent


def command(*arguments: str) -> tuple[int, str, str]:
    """Run a command line in this process: (exit code, output, error)."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            main(arguments)
        except SystemExit as stopped:
            return int(stopped.code or 0), out.getvalue(), error.getvalue()
    raise AssertionError("main() ends by SystemExit")


def entry_point(name: str) -> Callable[..., Any]:
    """What a ``module:function`` names."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def commit() -> str:
    """The commit of the code that is running."""
    from scalinglab.scaling.records import machine

    return machine.code_commit() or "unknown"


def fingerprint() -> str:
    """The fingerprint of the code that makes the numbers."""
    return code_fingerprint()


def known_fingerprint() -> str:
    """The one that the table of equal ones has for it."""
    return CURRENT


def fingerprint_table() -> Path:
    """The file of that table."""
    return Path(inspect.getfile(same_numbers))


def where() -> dict[str, str]:
    """What decides the last bits of a curve: processor, system libraries, versions."""
    import torch

    from scalinglab.scaling.records import machine

    return {
        "processor": machine.processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }


# ---------------------------------------------------------------------- identity


def options() -> dict[str, set[str]]:
    """Group -> the keys of a run that a person can set."""
    groups = {
        "model": ModelConfig,
        "data": DataConfig,
        "trainer": TrainerConfig,
        "execution": ExecutionConfig,
    }
    return {name: {f.name for f in dataclasses.fields(kind)} for name, kind in groups.items()} | {
        "optimizer": set(OPTIMIZERS)
    }


def keys_of_other_choices(optimizer: str, schedule: str) -> set[str]:
    """The dotted keys that other optimizers and schedules have."""
    return {
        f"{group}.{key}"
        for group, registry, name in (
            ("optimizer", OPTIMIZERS, optimizer),
            ("schedule", SCHEDULES, schedule),
        )
        for kind in registry.values()
        for key in set(keys_of(kind)) - set(keys_of(registry[name]))
    }


def identity(changes: Mapping[str, Any]) -> str:
    """The ids of the tiny run with some keys changed, in a line."""
    return _ids(_resolve(from_dict(RunConfig, changed(TINY, dict(changes)))))


def identity_of(overrides: Sequence[str]) -> str:
    """The ids of the run that a command line names."""
    composed = compose(overrides)
    keys = RunConfig.__dataclass_fields__
    values = {k: v for k, v in composed.items() if k in keys}
    return _ids(_resolve(from_dict(RunConfig, values)))


def identities_of_study(name: str) -> list[str]:
    """The block, the role and the ids of each run of a shipped study, a line each."""
    _, wanted = read_study(compose([f"study={name}"]), vocab=lambda data: _manifest(data).vocab)
    return [f"{w.block} {w.role} {_ids(_resolve(w.config))}" for w in wanted]


def _ids(run: Run) -> str:
    quarter, half = math.ceil(run.steps / 4), math.ceil(run.steps / 2)
    prefixes = [prefix_id(run.science, step) for step in (quarter, half, run.steps)]
    return f"{run.run_id} {run.family_id} {run.steps} {' '.join(prefixes)}"


def _resolve(run: RunConfig) -> Run:
    return resolve(run, _manifest(run.data))


def _manifest(data: DataConfig) -> Manifest:
    if len(data.pools) > 1:
        return pooled_manifest({name: _manifest(pool_data(data, name)) for name in data.pools})
    options = {**data.options, **(data.tokenizer.options if data.tokenizer else {})}
    known = MANIFEST | {"vocab": options.get("vocab", MANIFEST["vocab"])}
    columns = {"columns": {"score": "0123456789abcdef"}}
    selected = {
        key: dataclasses.asdict(select) | columns
        for key in ("select", "validation_select")
        if (select := getattr(data, key))
    }
    if data.weight:
        selected["weight"] = {"column": data.weight} | columns
    return SelectedManifest(**known, chosen=selected) if selected else Manifest(**known)


# ---------------------------------------------------------------------- training


def train(
    outputs: Path, cases: Mapping[str, Mapping[str, Any]], execution: Mapping[str, Any], **how: Any
) -> dict[str, str]:
    """Plan and train cases as one study, in this process: case -> run_id.

    Parameters
    ----------
    outputs : Path
    cases : mapping
        Name -> what is changed in the tiny run.
    execution : mapping
        Of all of them.
    **how
        Keys of ``launch``.
    """
    groups = ("model", "data", "optimizer", "schedule", "trainer")
    blocks = {
        name: {
            "role": "fit",
            "base": {
                key: values[key]
                for key in (*groups, "tokens", "batch", "seed", "precision", "z_loss")
                if key in values
            },
        }
        for name, values in ((n, changed(TINY, dict(c))) for n, c in cases.items())
    }
    plain = {"checkpoint_seconds": 1000.0} | dict(execution)
    composed = changed(TINY, {"execution": plain}) | {
        "outputs": str(outputs),
        "study": {"name": "golden", "question": "Is it the same?", "blocks": blocks},
    }
    plan = make_plan(composed)
    save_plan(plan)
    with contextlib.redirect_stdout(io.StringIO()):
        assert launch(plan.outputs, "golden", LaunchConfig("inline", **how))
    notes = table("status", plan.outputs, "golden").set_index("state")["note"]
    assert set(notes.index) <= {"done", "diverged"}, notes.to_dict()
    return {block: p.run.run_id for p in plan.runs for block in p.blocks}


def plan_only(outputs: Path, overrides: Sequence[str]) -> None:
    """Store the plan of a study in the current folder's conf/, without timing anything."""
    save_plan(make_plan(compose([f"outputs={outputs}", *overrides])))


def curves(outputs: Path, study: str) -> dict[str, pd.DataFrame]:
    """run_id -> the curve of each finished run, by the analysis."""
    frame = analysis.load_curves(outputs, study=study).rename(
        columns={"loss": "validation_loss", "train_loss": "loss", "bpb": "validation_bpb"}
    )
    return {str(run_id): rows for run_id, rows in frame.groupby("run")}


def table(what: str, outputs: Path, study: str) -> pd.DataFrame:
    """What a study says of itself: "status", "results" or "runs" (of the analysis)."""
    if what == "runs":
        return analysis.load(outputs, study=study)
    return getattr(Study.open(study, outputs=outputs), what)()


def why(outputs: Path, study: str) -> list[list[Any]]:
    """What keeps a study: the kind of each failure, its words and its runs."""
    from scalinglab.sweeps.watch.causes import causes

    return causes(outputs, study)[["class", "error", "runs"]].to_numpy().tolist()


def described(outputs: Path, run_id: str) -> list[Any]:
    """What the reader of run.json says of a run: its ids, D, the peak LR, steps, the seed."""
    from scalinglab.scaling.records.run_folder import RunFolder

    run = RunFolder(outputs / "runs" / run_id).spec()
    prefix = prefix_id(run.science, run.steps)
    return [run.run_id, run.family_id, prefix, run.tokens, run.lr_peak, run.steps]


def laws() -> Iterator[str]:
    """The names of all laws."""
    yield from sorted(analysis.LAWS)


def fit(law: str, frame: pd.DataFrame) -> dict[str, float]:
    """The parameters of a law fitted to a table."""
    return dict(analysis.fit(law, frame, resamples=0).params)


def response(law: str) -> str:
    """The column that a law predicts."""
    return analysis.LAWS[law].response


# ---------------------------------------------------------------------- runs in the middle


def begin(outputs: Path, run_id: str, chunks: int, pins: Sequence[int] = ()) -> None:
    """Claim a run, train some chunks of it, and leave it interrupted with a checkpoint."""
    asked = iter(range(chunks - 1))
    assert _train(outputs, run_id, pins, lambda: next(asked, None) is None) == "interrupted"


def go_on(outputs: Path, run_id: str) -> None:
    """Claim a run and train it to its end."""
    assert _train(outputs, run_id, (), lambda: False) == "done"


def _train(outputs: Path, run_id: str, pins: Sequence[int], should_stop: Callable[[], bool]) -> str:
    from scalinglab.scaling.records.claim import Claim
    from scalinglab.scaling.records.run_folder import RunFolder

    folder = RunFolder(outputs / "runs" / run_id)
    execution = from_dict(ExecutionConfig, folder.spec().config["execution"])
    claim = Claim.acquire(folder, 60.0)
    assert claim is not None
    train = entry_point("scalinglab.scaling.engine.trainer.trainer:train")
    return train([claim], {run_id: pins}, execution, should_stop)


def stop(outputs: Path, run_id: str) -> None:
    """Record that a rule has stopped a run."""
    from scalinglab.sweeps.watch.early_stopping import stop_run

    stop_run(outputs, run_id, {"rule": "golden", "step": 0, "forecast": {"loss": 1.5}})


def work(launch_folder: Path) -> None:
    """What a worker process of a launch does, until nothing is left."""
    with contextlib.redirect_stdout(io.StringIO()):
        entry_point("scalinglab.sweeps.launch.worker:main")([str(launch_folder), "default", "inf"])


def has_gpu() -> bool:
    """Whether there is a device other than the processor."""
    from scalinglab.scaling.records import machine

    return bool(machine.gpus())


def predict(law: str, params: Mapping[str, float], frame: pd.DataFrame) -> list[float]:
    """What a law says of each row of a table, at given parameters."""
    import numpy as np

    known = analysis.LAWS[law]
    values = np.array([[params[name] for name in known.names]])
    return [float(v) for v in known.predict(values, known.read(frame))[0]]


def inputs(law: str) -> list[str]:
    """The columns that a law reads."""
    return list(analysis.LAWS[law].inputs)

"""Tiny runs on a tiny language, shared by all tests. Nothing here imports torch."""

from __future__ import annotations

import fcntl
import functools
import gc
import json
import multiprocessing
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from scalinglab.scaling.choices import with_choice
from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.run.describe import describe
from scalinglab.scaling.run.resolve import Run, resolve
from scalinglab.scaling.schedule.schedule import ScheduleConfig
from scalinglab.scaling.training.child import OURS
from scalinglab.sweeps.plan.init_from import InitialWeightsFinder

# As in processes that a launch starts: nobody else imports Lightning here, nor in children of tests.
os.environ[OURS] = "1"

# One step is 4 sequences of 16 tokens: 64 tokens. The pool holds 312 steps.
TINY = {
    "model": {"depth": 1, "width": 16, "heads": 2, "context": 16},
    "data": {
        "source": "markov",
        "options": {"vocab": 8, "successors": 4, "tokens": 20_001, "validation_tokens": 1_025},
        "validation_tokens": 512,
    },
    "optimizer": {"lr": 0.01},
    "schedule": {"kind": "wsd", "warmup_tokens": 256, "cooldown_fraction": 0.25},
    "tokens": 64 * 40,
    "batch": 4,
    "execution": {"checkpoint_seconds": 1000.0},
}


# A busy machine is slow: no example has a time limit.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """The engine silences these two itself, but pytest puts every test's own filters above."""
    config.addinivalue_line("filterwarnings", "ignore:There is a performance drop:UserWarning")
    config.addinivalue_line("filterwarnings", "ignore:grad and param do not obey:UserWarning")


REFERENCES = ("searchpath", "oc.", "hydra:", "now:")  # of a configuration, to what may change
MANY = 200  # modules, that a test has imported
_seen_modules = 0


def pytest_collection_finish() -> None:
    """What was imported and collected stays: no garbage collection looks through it again.

    Each would take seconds, and the trainer, a probe and a timing collect after every run.
    """
    _pass_over_in_collections()


def pytest_runtest_teardown() -> None:
    """The same of what a test was the first to import, as Lightning or matplotlib."""
    if len(sys.modules) > _seen_modules + MANY:
        _pass_over_in_collections()


def _pass_over_in_collections() -> None:
    global _seen_modules  # noqa: PLW0603 - hooks of pytest share nothing else
    gc.collect()
    gc.freeze()
    _seen_modules = len(sys.modules)


@pytest.fixture(autouse=True, scope="session")
def unflushed() -> Iterator[None]:
    """Nothing is forced to the disk, where no test could miss it: a run would wait ten times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


_COMPOSED: dict[tuple[Any, ...], bytes] = {}


@pytest.fixture(autouse=True)
def composed_once() -> None:
    """Hydra composes equal files and overrides once: it takes a tenth of a second or two.

    What this package does before and after, and each refusal, is done every time.
    """
    module = sys.modules.get("scalinglab.compose")  # nobody loads it for this
    if module is None or hasattr(module._composed, "__wrapped__"):
        return
    from scalinglab import own_parts

    def once(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def remembered(*arguments: Any) -> Any:
            *words, folders = arguments
            files = [path for folder in folders for path in sorted(folder.rglob("*.yaml"))]
            texts = [path.read_bytes() for path in files if path.is_file()]
            said = json.dumps(words) + b" ".join(texts).decode(errors="replace")
            if any(word in said for word in REFERENCES):
                return call(*arguments)
            names = [
                str(path.relative_to(f)) for f in folders for path in files if f in path.parents
            ]
            key = (call.__name__, said, *names, repr(list(own_parts.choices())))
            if key not in _COMPOSED:
                _COMPOSED[key] = pickle.dumps(call(*arguments))
            return pickle.loads(_COMPOSED[key])

        return remembered

    module._composed, module._file_keys = once(module._composed), once(module._file_keys)


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """No figure stays open for the next test: matplotlib warns of more than twenty."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")  # nobody loads it for this
    if pyplot is not None:
        pyplot.close("all")


@pytest.fixture(scope="session")
def processes() -> BaseContext:
    """Real processes, forked off a clean one that has imported trainer and launcher once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["scalinglab.scaling.engine.trainer.trainer", "scalinglab.sweeps.launch.launch"]
    )
    return context


@pytest.fixture(scope="session")
def tiny_values() -> Callable[..., dict[str, Any]]:
    """Plain values of a tiny run; dotted keys replace: ``tiny_values({"batch": 2})``."""

    def values(changes: dict[str, Any] | None = None) -> dict[str, Any]:
        changed = _copy(TINY)
        kind = (changes or {}).get("schedule.kind")
        if kind is not None:  # another kind may have other keys
            changed["schedule"] = with_choice(
                ScheduleConfig, changed["schedule"], "kind", kind, "schedule"
            )
        for path, value in (changes or {}).items():
            *groups, key = path.split(".")
            node = changed
            for group in groups:
                node = node.setdefault(group, {})
            node[key] = value
        return changed

    return values


@pytest.fixture(scope="session")
def tiny_config(tiny_values) -> Callable[..., RunConfig]:
    """The `RunConfig` of a tiny run with some dotted keys replaced."""
    return lambda changes=None: from_dict(RunConfig, tiny_values(changes))


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory) -> TokenStore:
    """The store of the tiny language, made once."""
    return open_store(from_dict(DataConfig, TINY["data"]), tmp_path_factory.mktemp("language"))


@pytest.fixture(scope="session")
def tiny_run(tiny_config, tiny_store) -> Callable[..., Run]:
    """A tiny run, resolved."""
    return lambda changes=None: resolve(tiny_config(changes), tiny_store.manifest)


@pytest.fixture
def outputs(tmp_path, tiny_store) -> Path:
    """An outputs folder that holds the tiny language and no runs."""
    shutil.copytree(tiny_store.folder.parent, tmp_path / "outputs" / "data")
    return tmp_path / "outputs"


@pytest.fixture
def make_run(outputs, tiny_config, tiny_store) -> Callable[..., RunFolder]:
    """A planned tiny run: its folder, with run.json."""

    def make(changes: dict[str, Any] | None = None, below: Path = outputs) -> RunFolder:
        weights = InitialWeightsFinder(below).of
        run = resolve(tiny_config(changes), tiny_store.manifest, weights)
        folder = RunFolder(below / "runs" / run.run_id)
        folder.describe(describe(run, tiny_store))
        return folder

    return make


@pytest.fixture
def early_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits end after a few steps, for tests of what is done with a fit, whatever it has found."""
    from scalinglab.analysis.fitting import best_fit
    from scalinglab.analysis.fitting.levenberg_marquardt import minimise

    def stopping(*places: Any, steps: int = 30, **options: Any) -> Any:
        return minimise(*places, steps=min(steps, 30), **options)

    assert minimise.__kwdefaults__ is not None
    monkeypatch.setitem(minimise.__kwdefaults__, "steps", 30)
    monkeypatch.setattr(best_fit, "minimise", stopping)  # which takes more to the last digits


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages hold empty pictures, for tests of what is written beside them."""
    from scalinglab.analysis.reporting.pictures import Picture

    monkeypatch.setattr(
        "scalinglab.analysis.reporting.page.picture",
        lambda _, key, runs: Picture(key, ('<svg viewBox="0 0 1 1"></svg>',), '{"layers":[]}'),
    )


@pytest.fixture
def undrawn_figures(blank_figures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of a report's law are not even drawn, for tests of how verbs show what they have.

    `tests/analysis/reporting/test_answer.py` draws those of the same study.
    """
    from matplotlib.figure import Figure

    from scalinglab.analysis.reporting import report_figures

    monkeypatch.setattr(report_figures, "drawn", lambda draw, *args, **options: Figure())


@pytest.fixture
def few_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    """A multiverse fits by one objective of three, for tests of what is done with its answers."""
    from scalinglab.analysis.judgement import study_multiverse

    name, options = next(iter(study_multiverse.OBJECTIVES.items()))
    monkeypatch.setattr(study_multiverse, "OBJECTIVES", {name: options})


_TIMED: dict[str, dict[str, Any]] = {}  # request, as JSON -> answer


@pytest.fixture(autouse=True)
def timed_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans have their shapes timed here, each once, and not by a process that loads torch anew.

    That process is run by `tests/sweeps/plan/test_pack_sizes.py`, and by all commands that are
    processes.
    """

    def measure_here(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        with pytest.MonkeyPatch.context() as patch:  # no test asks how long a step takes here
            patch.setattr("scalinglab.scaling.engine.trainer.measure.REPETITIONS", 1)
            return timings_of(requests)

    def timings_of(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        from scalinglab.scaling.engine.trainer.measure import measure
        from scalinglab.sweeps.plan.local_timing import CannotMeasure

        keys = [json.dumps(request, sort_keys=True) for request in requests]
        try:
            _TIMED.update(
                {
                    key: measure(request)
                    for key, request in zip(keys, requests, strict=True)
                    if key not in _TIMED
                }
            )
        except ValueError as error:
            raise CannotMeasure(str(error)) from error
        return [_TIMED[key] for key in keys]

    monkeypatch.setattr("scalinglab.sweeps.plan.timing.measure_here", measure_here)


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, dict) else value


FINISHED_STUDY = """
# @package _global_
defaults:
  - override /data: markov
study:
  name: tiny
  question: Does it <run>?
  blocks:
    ladder:
      role: fit
      grid: {model: {width: [8, 16, 24]}, tokens: [5120, 10240, 20480]}
    seeds:
      role: fit
      grid: {model: {width: [8]}, tokens: [5120], seed: [1]}
    held_out:
      role: held_out
      grid: {model: {width: [32]}, tokens: [20480]}
    curves:
      role: curve
      grid: {model: {width: [16]}, tokens: [20480], schedule: {kind: [constant, cosine, wsd]}}
    wild:
      role: fit
      grid: {model: {width: [8]}, tokens: [5120], optimizer: {lr: [1e30]}}
  answer: {law: chinchilla, budgets: [1e9, 1e10], curve_held_out: cosine}
model: {depth: 1, head_dim: 8, context: 16}
data:
  options: {vocab: 8, successors: 4, tokens: 20001, validation_tokens: 1025}
  validation_tokens: 512
  max_epochs: 2
schedule: {warmup_tokens: 256}
batch: 4
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outputs folder with a finished study named "tiny", one of whose runs diverged.

    The processes of one session of tests train it once and copy it.
    """
    folder = tmp_path_factory.mktemp("finished")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _train_finished(folder)
        return folder / "outputs"
    shared = tmp_path_factory.getbasetemp().parent / "finished"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            _train_finished(shared.with_suffix(".new"))
            shared.with_suffix(".new").rename(shared)
    shutil.copytree(shared, folder, dirs_exist_ok=True, symlinks=True)
    return folder / "outputs"


def _train_finished(folder: Path) -> None:
    from scalinglab.compose import compose
    from scalinglab.sweeps.config import LaunchConfig
    from scalinglab.sweeps.launch.launch import launch
    from scalinglab.sweeps.plan.make import make_plan
    from scalinglab.sweeps.plan.save import save_plan

    (folder / "conf" / "study").mkdir(parents=True)
    (folder / "conf" / "study" / "tiny.yaml").write_text(FINISHED_STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plan = make_plan(compose(["study=tiny"]))
        save_plan(plan)
        assert launch(plan.outputs, "tiny", LaunchConfig("inline"))


TINY_STUDY = """
# @package _global_
defaults:
  - override /data: markov
study:
  name: tiny
  question: Does it run?
  blocks:
    ladder:
      role: fit
      grid: {model: {width: [8, 16]}, tokens: [2560, 5120]}
    curves:
      role: curve
      grid: {model: {width: [8]}, tokens: [5120], schedule: {kind: [constant, wsd]}}
model: {depth: 1, head_dim: 8, context: 16}
data:
  options: {vocab: 8, successors: 4, tokens: 20001, validation_tokens: 1025}
  validation_tokens: 512
schedule: {warmup_tokens: 256}
batch: 4
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Compose the tiny study with overrides, in an empty folder that is now the current one."""
    from scalinglab.compose import compose

    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "tiny.yaml").write_text(TINY_STUDY)
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: compose(["study=tiny", *overrides])

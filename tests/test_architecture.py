"""The arrows between packages, and what each may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("scaling", "sweeps", "analysis")
COMMAND_LINE = (
    "scalinglab/cli.py",
    "scalinglab/verbs/",
)  # the one place that puts the three together

# Third-party modules and the only files that may import them (folders end with "/").
ONLY_IN = {
    "lightning": {"scaling/engine/trainer/trainer.py"},
    "hydra": {"scalinglab/compose.py"},
    "omegaconf": {"scalinglab/compose.py"},
    "torch": {
        "scaling/engine/network/transformer.py",
        "scaling/engine/network/initialization.py",
        "scaling/engine/trainer/coordcheck.py",
        "scaling/engine/optimizers/",
        "scaling/engine/network/stacked.py",
        "scaling/engine/network/loss.py",
        "scaling/engine/steps/eager.py",
        "scaling/engine/steps/captured.py",
        "scaling/engine/steps/compiled.py",
        "scaling/engine/steps/dealt.py",
        "scaling/engine/steps/sharded.py",
        "scaling/engine/steps/determinism.py",
        "scaling/engine/steps/measurements.py",
        "scaling/engine/network/arithmetic.py",
        "scaling/engine/steps/reduction.py",
        "scaling/engine/trainer/trainer.py",
        "scaling/engine/trainer/measure.py",
        "scaling/engine/trainer/parallel.py",
        "scaling/engine/trainer/group.py",
        "scaling/engine/trainer/checkpoint.py",
    },
    "submitit": {"sweeps/launch/slurm.py"},
    "rich": {"scalinglab/terminal.py", "scalinglab/show.py"},
    "wandb": {"scalinglab/dashboard.py", "scalinglab/wandb_runs.py"},
    "pyarrow": {"sweeps/watch/collect.py"},
    "matplotlib": {
        "analysis/reporting/figures.py",
        "analysis/reporting/page.py",
        "analysis/reporting/schedules.py",
        "analysis/reporting/coordinate_check.py",
        "analysis/studies/draw.py",
    },
    "filelock": {"scalinglab/dashboard.py"},
    "jinja2": {"analysis/reporting/page.py"},
    "markupsafe": {"analysis/reporting/page.py"},
    "google_crc32c": {"analysis/importers/formats/tensorboard.py"},
    "scipy": {"analysis/"},
    "pandas": {"analysis/", "sweeps/", "scalinglab/verbs/"},
}
# All of scaling/ but this can be used on a machine without torch, Lightning or Hydra.
IMPURE = {
    "scalinglab.cli",
    "scalinglab.verbs",
    "scalinglab.compose",
    "scalinglab.yaml_limits",
    "scalinglab.dashboard",
    "scalinglab.wandb_runs",
    "scalinglab.scaling.engine.network.transformer",
    "scalinglab.scaling.engine.network.initialization",
    "scalinglab.scaling.engine.trainer.coordcheck",
    "scalinglab.scaling.engine.optimizers",
    "scalinglab.scaling.engine.network.stacked",
    "scalinglab.scaling.engine.network.loss",
    "scalinglab.scaling.engine.steps.eager",
    "scalinglab.scaling.engine.steps.captured",
    "scalinglab.scaling.engine.steps.compiled",
    "scalinglab.scaling.engine.steps.dealt",
    "scalinglab.scaling.engine.steps.sharded",
    "scalinglab.scaling.engine.trainer.pack_engine",
    "scalinglab.scaling.engine.steps.determinism",
    "scalinglab.scaling.engine.steps.measurements",
    "scalinglab.scaling.engine.network.arithmetic",
    "scalinglab.scaling.engine.steps.reduction",
    "scalinglab.scaling.engine.trainer.member",
    "scalinglab.scaling.engine.trainer.loop",
    "scalinglab.scaling.engine.trainer.trainer",
    "scalinglab.scaling.engine.trainer.measure",
    "scalinglab.scaling.engine.trainer.checkpoint",
    "scalinglab.scaling.engine.trainer.parallel",
    "scalinglab.scaling.engine.trainer.group",
    "scalinglab.scaling.engine.trainer.rank_main",
}

# The rooms of the analysis: each may use those before it, for a type too.
ROOMS = (
    "laws",
    "intervals",
    "tables",
    "fitting",
    "importers",
    "arms",
    "decisions",
    "forecasts",
    "judgement",
    "reporting",
    "studies",
)

# In a notebook there is no command line to compose.
MAY_USE = {"scalinglab/study.py": {"scalinglab.compose"}}


def python_files() -> list[str]:
    files = (p for d in PACKAGES for p in (ROOT / d).rglob("*.py"))
    return sorted(p.relative_to(ROOT).as_posix() for p in files)


def imports(file: str, types: bool = False) -> set[str]:
    """Modules that a file imports anywhere in its code; with `types`, also those for types only."""
    found = set()
    nodes = [ast.parse((ROOT / file).read_text())]
    while nodes:
        node = nodes.pop()
        if not types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        nodes.extend(ast.iter_child_nodes(node))
    return found


def impure(modules: set[str]) -> set[str]:
    """Those of `IMPURE` that modules are, or are parts of."""
    return {i for i in IMPURE for m in modules if m == i or m.startswith(f"{i}.")}


def top(modules: set[str]) -> set[str]:
    return {m.partition(".")[0] for m in modules}


@pytest.mark.parametrize("file", python_files())
def test_arrows(file: str) -> None:
    """analysis -> scaling's pure files <- sweeps; only the command line joins them."""
    modules = imports(file)
    package = file.partition("/")[0]
    others = top(modules) & set(PACKAGES) - {package, "scaling"}
    if not file.startswith(COMMAND_LINE):
        assert not others
    if package != "scaling":
        assert impure(modules) <= MAY_USE.get(file, set())


@pytest.mark.parametrize(
    "file", [f for f in python_files() if f.count("/") == 2 and f.startswith("analysis/")]
)
def test_rooms_of_the_analysis_lean_one_way(file: str) -> None:
    modules = imports(file, types=True)
    used = {m.split(".")[2] for m in modules if m.startswith("scalinglab.analysis.")} & set(ROOMS)
    own = ROOMS.index(file.split("/")[1])
    assert {room for room in used if ROOMS.index(room) > own} == set()


def test_no_files_of_the_analysis_import_one_another_in_a_circle() -> None:
    """Types count; a package's own ``__init__`` stands for its files."""
    files = [f for f in python_files() if f.startswith("analysis/")]
    modules = {f"scalinglab.{f.removesuffix('.py').replace('/', '.')}": f for f in files}
    uses = {name: imports(file, types=True) & set(modules) for name, file in modules.items()}
    assert "scalinglab.analysis.laws.law" in uses["scalinglab.analysis.laws.chinchilla"]
    TopologicalSorter(uses).prepare()  # CycleError names the circle


@pytest.mark.parametrize("file", python_files())
def test_third_parties_stand_where_they_may(file: str) -> None:
    for module in top(imports(file)) & set(ONLY_IN):
        assert any(
            file == place or (place.endswith("/") and file.startswith(place))
            for place in ONLY_IN[module]
        ), f"{file} imports {module}"


@pytest.mark.parametrize(
    "file",
    [
        "scaling/engine/network/transformer.py",
        "scaling/engine/network/stacked.py",
        "scaling/engine/network/loss.py",
        "scaling/engine/steps/eager.py",
        "scaling/engine/steps/dealt.py",
        "scaling/engine/steps/sharded.py",
        "scaling/engine/steps/measurements.py",
        *(f for f in python_files() if f.startswith("scaling/engine/optimizers/")),
    ],
)
def test_the_engine_imports_torch_and_numpy_only(file: str) -> None:
    standard = sys.stdlib_module_names
    assert top(imports(file)) - standard <= {"torch", "numpy", "scaling"}


@pytest.mark.parametrize(
    "file",
    [
        f
        for f in python_files()
        if f.startswith("scaling/") and not impure({f.removesuffix(".py").replace("/", ".")})
    ],
)
def test_pure_files_import_standard_library_and_numpy_only(file: str) -> None:
    modules = imports(file)
    assert top(modules) - sys.stdlib_module_names <= {"numpy", "scaling"}
    assert not impure(modules)


def loaded_by(code: str) -> set[str]:
    program = f"{code}\nimport sys; print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    return top(set(out.splitlines()[-1].split()))


def test_import_analysis_loads_no_training_library() -> None:
    code = "from scalinglab import analysis; analysis.fit, analysis.load, analysis.LAWS, analysis.allocate"
    assert not loaded_by(code) & {"torch", "lightning", "hydra", "wandb", "submitit", "matplotlib"}


def test_help_loads_no_torch() -> None:
    code = "from scalinglab.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not loaded_by(code) & {"torch", "lightning", "hydra", "pandas", "numpy"}


def test_planning_loads_no_torch() -> None:
    code = "import scalinglab.sweeps.plan.plan, scalinglab.sweeps.plan.cost, scalinglab.sweeps.store.state, scalinglab.sweeps.launch.launch, scalinglab.sweeps.launch.worker"
    assert not loaded_by(code) & {"torch", "lightning", "hydra"}


def test_a_study_is_imported_on_first_use() -> None:
    assert not loaded_by("from scalinglab import sweeps; dir(sweeps)") & {
        "pandas",
        "hydra",
        "torch",
    }
    assert not loaded_by("from scalinglab import Study; Study.open('x')") & {"hydra", "torch"}


def test_training_loads_no_dashboard() -> None:
    assert "wandb" not in loaded_by(
        "import scalinglab.scaling.engine.trainer.trainer, scalinglab.sweeps.launch.worker, scalinglab.sweeps.launch.launch"
    )


# What speaks otherwise than by a `scalinglab.terminal.Screen`: JSON, help, logs, a notebook, and what
# answers another process.
SPEAKS = {
    "scalinglab/as_json.py",
    "scalinglab/cli.py",
    "scaling/training/guardian.py",
    "scaling/engine/trainer/measure.py",
    "sweeps/launch/worker.py",
    "scalinglab/study.py",
}


@pytest.mark.parametrize("file", [f for f in python_files() if f not in SPEAKS])
def test_people_are_told_by_one_screen(file: str) -> None:
    """What users and programs write is never markup, and no line is cut: so speaks one file."""
    nodes = list(ast.walk(ast.parse((ROOT / file).read_text())))
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    consoles = {name for name in called if name.split(".")[-1] in ("Console", "from_markup")}
    assert not called & {"print", "sys.stdout.write", "console.print"} and not consoles
    named = {k.arg: k.value for node in nodes if isinstance(node, ast.Call) for k in node.keywords}
    for option in {"markup", "highlight", "emoji"} & set(named):
        assert ast.unparse(named[option]) == "False"


def test_no_drawers() -> None:
    drawers = {"utils", "helpers", "common", "misc"}
    assert not drawers & {part for f in python_files() for part in Path(f).with_suffix("").parts}


def test_the_wheel_has_every_package() -> None:
    import tomllib

    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {
        p.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for d in PACKAGES
        for p in (ROOT / d).rglob("__init__.py")
    }
    assert there <= set(named)

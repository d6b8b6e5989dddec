"""The house: which room may lean on which, and what each may load. All is read from the imports.

A room is a folder; a file at the top of a package is a room of its own. What stands in a file under
``if TYPE_CHECKING`` counts as little as a comment.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

import pytest

from scalinglab.scaling.training.child import child_environment
from scalinglab.sweeps.launch.freeze import freeze

ROOT = Path(__file__).parent.parent
# Each package by its folder: a package may import those that stand before it in the tuple.
MAY_IMPORT = {
    "scaling": ("scaling",),
    "sweeps": ("sweeps", "scaling"),
    "analysis": ("analysis", "scaling"),
    "scalinglab": ("scalinglab", "sweeps", "analysis", "scaling", "conf"),
}
# What other people wrote, and the one folder whose files may import it.
ONLY_BELOW = {
    "torch": "scaling/engine/",
    "lightning": "scaling/engine/",
    "scipy": "analysis/",
    "matplotlib": "analysis/",
    "rich": "scalinglab/",
    "hydra": "scalinglab/",
    "omegaconf": "scalinglab/",
    "wandb": "scalinglab/",
    "submitit": "sweeps/launch/",
}
IN_ONE_FILE = ("lightning", "hydra", "omegaconf", "wandb", "submitit")
PURE = "scaling/"  # all of it but the engine needs the standard library and numpy only
# What reads files of other formats, in functions: nothing of it is loaded before such a file is read.
READERS = {
    "scaling/data/": {"pyarrow", "datasets"},
    "scaling/tokenizers/": {"tokenizers", "sentencepiece"},
}
ENGINE = "scaling/engine/"
# The parts of the engine that compute: they must not depend on how training is driven.
COMPUTING = ("scaling/engine/network/", "scaling/engine/steps/", "scaling/engine/optimizers/")


def python_files() -> list[str]:
    files = (p for d in MAY_IMPORT for p in (ROOT / d).rglob("*.py"))
    return sorted(p.relative_to(ROOT).as_posix() for p in files)


def module(file: str) -> str:
    """``scaling/records/claim.py`` is imported as ``scalinglab.scaling.records.claim``."""
    name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return name if name.partition(".")[0] == "scalinglab" else f"scalinglab.{name}"


FILE_OF = {module(file): file for file in python_files()}


@functools.cache
def parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


@functools.cache
def imports(file: str) -> frozenset[str]:
    """Modules that a file imports anywhere in its code, types-only imports left out."""
    names = set()
    nodes: list[ast.AST] = [parsed(file)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.expr):  # no statement stands in an expression
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole in FILE_OF else node.module)
        nodes.extend(ast.iter_child_nodes(node))
    return frozenset(names)


@functools.cache
def arrows(file: str) -> frozenset[str]:
    """Files of ours that a file imports; every file stands in the package `scalinglab` anyway."""
    used = {FILE_OF[m] for m in imports(file) if m in FILE_OF}
    return frozenset(used - {file, "scalinglab/__init__.py"})


def late_imports(file: str) -> list[tuple[int, bool]]:
    """Each import inside a function: its line, and whether the code says why it stands there.

    The reason is a comment at the import, or above its group of imports, or ``needs_extra(...)``
    around it, which says which extra of the installation has the library.
    """
    lines, tree = [*(ROOT / file).read_text().splitlines(), ""], parsed(file)
    of_extras: set[ast.stmt] = set()
    late: dict[int, ast.stmt] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and "needs_extra" in ast.unparse(node.items[0]):
            of_extras |= {s for s in ast.walk(node) if isinstance(s, ast.stmt)}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = (s for s in ast.walk(node) if isinstance(s, ast.Import | ast.ImportFrom))
            late |= {s.lineno: s for s in inside}

    def is_explained(statement: ast.stmt) -> bool:
        if statement in of_extras or "#" in lines[(statement.end_lineno or 0) - 1]:
            return True
        above = statement.lineno - 2
        while above > 0 and (not lines[above].strip() or above + 1 in late):
            above -= 1
        return lines[above].strip().startswith("#")

    return [(line, is_explained(statement)) for line, statement in sorted(late.items())]


def room(file: str) -> str:
    folder, _, _ = file.rpartition("/")
    return folder if "/" in folder else file


def top(modules: Iterable[str]) -> set[str]:
    return {m.partition(".")[0] for m in modules}


def circles(graph: Mapping[str, Set[str]]) -> list[set[str]]:
    """Sets of nodes from each of which all others can be reached."""
    reach = {node: set(targets) for node, targets in graph.items()}
    changed = True
    while changed:
        changed = False
        for targets in reach.values():
            more = set().union(*(reach.get(t, set()) for t in targets)) - targets
            targets |= more
            changed |= bool(more)
    met = {
        node: {n for n in targets if node in reach.get(n, ())} for node, targets in reach.items()
    }
    return [
        set(c) for c in {frozenset(members) for node, members in met.items() if node in members}
    ]


def test_no_circle_of_files() -> None:
    assert circles({file: arrows(file) for file in python_files()}) == []


def test_no_circle_of_rooms() -> None:
    graph: dict[str, set[str]] = {}
    for file in python_files():
        others = {room(used) for used in arrows(file)} - {room(file)}
        graph.setdefault(room(file), set()).update(others)
    assert circles(graph) == []


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_an_import_in_a_function_says_why(package: str) -> None:
    """Start-up time, an extra, a library that may be absent: the comment at the import says it."""
    files = [file for file in python_files() if file.startswith(f"{package}/")]
    bare = [f"{file}:{n}" for file in files for n, why in late_imports(file) if not why]
    assert not bare, f"imports inside functions without a reason: {', '.join(bare)}"


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]


def test_arrows_between_packages() -> None:
    """scalinglab -> sweeps, analysis, scaling; sweeps -> scaling; analysis -> scaling."""
    wrong = []
    for file in python_files():
        package = "scalinglab" if file.endswith("__main__.py") else file.partition("/")[0]
        others = {used.partition("/")[0] for used in arrows(file)} - set(MAY_IMPORT[package])
        # One name: a folder of ours that lies in the current folder is another module.
        others |= top(imports(file)) & {"scaling", "sweeps", "analysis", "conf"}
        wrong += [f"{file} imports {name}" for name in sorted(others)]
    assert not wrong


def test_third_parties_stand_where_they_may() -> None:
    wrong = [
        f"{file} imports {name}"
        for file in python_files()
        for name in sorted(top(imports(file)) & set(ONLY_BELOW))
        if not file.startswith(ONLY_BELOW[name])
    ]
    assert not wrong


@pytest.mark.parametrize("name", IN_ONE_FILE)
def test_what_may_be_absent_or_changes_often_stands_in_one_file(name: str) -> None:
    assert len([f for f in python_files() if name in top(imports(f))]) == 1


def test_pure_by_place() -> None:
    """All but the engine is used on machines without torch; what computes needs torch alone."""
    wrong = []
    for file in (f for f in python_files() if f.startswith(PURE)):
        others = top(imports(file)) - sys.stdlib_module_names - {"scalinglab"}
        if not file.startswith(ENGINE):
            readers = [names for room, names in READERS.items() if file.startswith(room)]
            others -= {"numpy"}.union(*readers)
            others |= {used for used in arrows(file) if used.startswith(ENGINE)}
        elif file.startswith(COMPUTING):
            others -= {"numpy", "torch"}
        else:
            continue
        wrong += [f"{file} imports {name}" for name in sorted(others)]
    assert not wrong


def loaded_by(code: str) -> set[str]:
    program = f"{code}\nimport sys; print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    return top(set(out.splitlines()[-1].split()))


LAB = "scalinglab"


def test_import_analysis_loads_no_training_library() -> None:
    code = f"from {LAB} import analysis as a; a.fit, a.load, a.LAWS, a.allocate"
    assert not loaded_by(code) & {"torch", "lightning", "hydra", "wandb", "submitit", "matplotlib"}


def test_help_loads_no_torch() -> None:
    code = f"from {LAB}.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not loaded_by(code) & {"torch", "lightning", "hydra", "pandas", "numpy"}


def test_planning_loads_no_torch() -> None:
    rooms = ", ".join(module(f) for f in python_files() if f.startswith("sweeps/"))
    others = set().union(*READERS.values()) - {"pyarrow"}  # which pandas imports
    assert not loaded_by(f"import {rooms}") & ({"torch", "lightning", "hydra", "rich"} | others)


def test_listing_sources_and_tokenizers_loads_no_reader() -> None:
    code = (
        f"from {LAB} import register; [list(register.registry(k)) for k in ('source', 'tokenizer')]"
    )
    assert not loaded_by(code) & set().union(*READERS.values())


def test_a_study_is_imported_on_first_use() -> None:
    assert not loaded_by(f"import {LAB}; dir({LAB})") & {"pandas", "hydra", "torch"}
    assert not loaded_by(f"from {LAB} import Study; Study.open('x')") & {"hydra", "torch"}


def test_a_frozen_worker_starts_without_the_application(tmp_path: Path) -> None:
    code = freeze(tmp_path)
    program = f"import sys, {LAB}.sweeps.launch.worker; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=child_environment(code),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout.split()
    assert f"{LAB}.sweeps.launch.worker" in modules
    application = {module(f) for f in python_files() if f.startswith(f"{LAB}/")} - {LAB}
    assert not application & set(modules)
    assert not any((code / file).exists() for file in python_files() if file.startswith(f"{LAB}/v"))


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


def test_people_are_told_by_one_screen() -> None:
    """What users and programs write is never markup, and no line is cut: so speaks one file."""
    wrong = []
    for file in (f for f in python_files() if f not in SPEAKS):
        calls = [node for node in ast.walk(parsed(file)) if isinstance(node, ast.Call)]
        called = {name(call.func) for call in calls}
        spoken = called & {"print", "sys.stdout.write", "console.print"}
        spoken |= {c for c in called if c.split(".")[-1] in ("Console", "from_markup")}
        spoken |= {
            f"{k.arg}={ast.unparse(k.value)}"
            for call in calls
            for k in call.keywords
            if k.arg in ("markup", "highlight", "emoji") and ast.unparse(k.value) != "False"
        }
        wrong += [f"{file}: {words}" for words in sorted(spoken)]
    assert not wrong


def name(node: ast.expr) -> str:
    """The dotted name of what is called; of what has no name, its last part."""
    if isinstance(node, ast.Attribute):
        return f"{name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_no_drawers() -> None:
    drawers = {"utils", "helpers", "common", "misc"}
    assert not drawers & {part for f in python_files() for part in Path(f).with_suffix("").parts}


def test_the_wheel_has_every_package() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    there = {module(f) for f in python_files() if f.endswith("/__init__.py")}
    assert there | {"scalinglab.conf"} == set(table["packages"])
    assert table["package-dir"] == {
        module(f"{folder}/__init__.py"): folder for folder in (*MAY_IMPORT, "conf")
    }

"""Every command of README, docs and examples is run as it stands, or its page says why it is not.

A reader's folder is made for each page; the training itself is replaced by the losses of a law, and
reports are not drawn: all else is what it is. A command that is not run (``<!-- not run: why -->``
before its block) must at least be one: its verb, options and overrides exist.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab import cli
from scalinglab.habits import read_flags
from scalinglab.options import OVERRIDES, MissingOption, read_arguments
from scalinglab.prepare import compose_configuration
from scalinglab.scaling.probes.probe import PROBES
from tests.commands_of_pages import PAGES, ROOT, blocks, files, inline
from tests.documents import write_documents
from tests.test_extending import forgotten  # noqa: F401 - a fixture
from tests.training_by_a_law import trained_by_a_law

SHOWN = {str(page.relative_to(ROOT)): page for page in PAGES}
# Of these pages all commands are checked, and run by the slow tests.
SLOW = (
    "README.md",
    "docs/coming-from/hydra.md",
    "docs/deciding.md",
    "docs/extending.md",
    "docs/tutorial.md",
    "examples/",
)
# So that the others take seconds: fewer resamples, no step is timed.
LESS = {"resamples": "8", "multiverse": "false", "refits": "false"}
LESS_OF = {"next": {"resamples": "80", "runs": "1"}}
UNTIMED = ("plan", "launch", "add")


def surface(sizes: int = 5) -> pd.DataFrame:
    """Runs on a grid of N and D, with the losses of a law and some noise."""
    rng, k = np.random.default_rng(0), sizes
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 3e8, k), np.geomspace(1e9, 3e10, k)))
    loss = (1.7 + 400 / N**0.34 + 1800 / D**0.37) * np.exp(0.002 * rng.standard_normal(N.size))
    return pd.DataFrame({"params": N, "tokens": D, "loss": loss})


def tables(folder: Path) -> None:
    """The tables that several pages name, with the columns that they name."""
    runs = surface()
    N, D = runs["params"], runs["tokens"]
    more = {"n_total": N * 1.2, "n_block": N * 0.8, "sweep": (6 * N * D).round(-16)}
    runs.assign(**more).to_csv(folder / "points.csv", index=False)
    runs.rename(columns={"loss": "val/loss"}).to_csv(folder / "sweep.csv", index=False)


def for_readme(folder: Path) -> None:
    write_documents(folder / "corpus")


def for_hydra(folder: Path) -> None:
    (folder / "scaling_conf/study/mine.yaml").unlink()  # the page writes it


def for_nanochat(folder: Path) -> None:
    runs = surface().rename(columns={"params": "params_scaling", "loss": "val_bpb"})
    runs.assign(bytes_per_token=4.8).to_csv(folder / "results.csv", index=False)


def for_olmo(folder: Path) -> None:
    (folder / "LOGS").mkdir()
    for k, run_row in enumerate(surface(4).itertuples(index=False)):
        N, D, loss = run_row.params, run_row.tokens, run_row.loss
        lines = [
            "2026-03-01 10:00:00 INFO [olmo_core.nn.transformer.config:250] Building transformer"
            f" with {N:,.0f} total params, {N:,.0f} non-embedding params"
        ]
        for share in (0.5, 1.0):
            lines += [
                "2026-03-01 10:01:00 INFO [olmo_core.train.callbacks.console_logger:68]"
                f" [step={1000 * share:.0f}/1000,epoch=1,eta=5h11m]",
                f"    train/CE loss={loss + 0.1 * (1 - share)}",
                f"    throughput/total tokens={share * D / 1e9}B",
                "2026-03-01 10:01:30 INFO [olmo_core.train.callbacks.evaluator_callback:110]"
                " Finished lm evals in 12.3 seconds. Metrics:",
                f"    c4_en-validation/CE loss={loss + 0.1 * (1 - share)}",
            ]
        (folder / "LOGS" / f"{k}.log").write_text("\n".join(lines) + "\n")


def for_measurements(folder: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "mine.txt").write_text("for k in range(10): print(k)\n" * 200_000)


def for_deciding(folder: Path) -> None:
    N = np.geomspace(1e7, 1e9, 6)
    ladder = pd.DataFrame({"N": N, "D": 20 * N})
    ladder["loss"] = 1.7 + 400 / N**0.34 + 1800 / ladder["D"] ** 0.37
    arms = [ladder.assign(recipe=name, seed=0, loss=ladder["loss"] * ratio) for name, ratio in ARMS]
    pd.concat(arms).to_csv(folder / "runs.csv", index=False)
    runs = surface(4).rename(columns={"params": "N", "tokens": "D"})
    rates = pd.concat([runs.assign(lr=lr, tokens_a_step=b) for lr in RATES for b in BATCHES])
    off = np.log(rates["lr"] / (3 / rates["N"] ** 0.4)) ** 2
    off += np.log(rates["tokens_a_step"] / (20 * rates["D"] ** 0.45)) ** 2
    rates.assign(loss=rates["loss"] * (1 + 0.01 * off)).to_csv(folder / "rates.csv", index=False)
    loss = np.linspace(2.4, 3.6, 8)
    critical = pd.DataFrame({"loss": loss, "critical_batch": 2e8 / loss**4.8})
    critical.to_csv(folder / "critical.csv", index=False)
    steps = np.geomspace(1e3, 1e5, 5)
    points = [(n, s, b) for n in N for s in steps for b in BATCHES]
    batches = pd.DataFrame(points, columns=["N", "steps", "tokens_a_step"])
    least = batches["steps"] / (1 + 3e5 / batches["tokens_a_step"])
    batches["loss"] = (6e13 / batches["N"]) ** 0.076 + (2e3 / least) ** 0.76
    batches.to_csv(folder / "batches.csv", index=False)
    optimizers = {"old": ["adamw"], "new": ["muon"], "recipes": ["adamw", "muon"]}
    with contextlib.chdir(folder), trained_by_a_law():
        for name, arms in optimizers.items():
            study = [f"  - /optimizer@study.blocks.{o}.base.optimizer: {o}" for o in arms]
            study += ["  - _self_", "study:", f"  name: {name}", "  question: Which?", "  blocks:"]
            study += [f"    {o}: {{role: fit, grid: {LADDER}}}" for o in arms]
            text = "\n".join(["# @package _global_", "defaults:", *study])
            Path(f"scaling_conf/study/{name}.yaml").write_text(text)
            assert run(with_less(["launch", f"study={name}"])) == (0, ""), name


LADDER = "{model: {width: [64, 112, 160]}, tokens: [2097152]}"


def for_own_tokens(folder: Path) -> None:
    shards = folder / "examples" / "own_tokens" / "shards"
    shards.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, count in (("train_000.bin", 9_000_000), ("validation.bin", 100_000)):
        rng.integers(0, 257, count, np.uint16).tofile(shards / name)


ARMS = (("old", 1.0), ("new", 0.99))
RATES = (5e-4, 1e-3, 2e-3, 4e-3)
BATCHES = (65_536, 131_072, 262_144, 524_288)
PREPARED: dict[str, Callable[[Path], None]] = {
    "README.md": for_readme,
    "docs/coming-from/hydra.md": for_hydra,
    "docs/coming-from/nanochat.md": for_nanochat,
    "docs/coming-from/olmo-ladder.md": for_olmo,
    "docs/deciding.md": for_deciding,
    "docs/measurements.md": for_measurements,
    "examples/own_tokens/README.md": for_own_tokens,
}


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two trained studies, the quickstart and one by ``scaling new``, and tables."""
    folder = tmp_path_factory.mktemp("laboratory")
    with contextlib.chdir(folder), trained_by_a_law():
        for command in ("launch study=quickstart", "new mine", "launch study=mine"):
            assert run(with_less(command.split())) == (0, "")
        tables(folder)
    return folder


def run(arguments: list[str]) -> tuple[int | str | None, str]:
    """The exit code of a command, and what it says is wrong."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main(arguments)
    is_told = "--json" not in arguments or ended.value.code  # else progress stands there
    return ended.value.code, stderr.getvalue() if is_told else ""


RUN = [
    pytest.param(name, marks=[pytest.mark.slow] * (name.startswith(SLOW)))
    for name, path in SHOWN.items()
    if any(not block.not_run for block in blocks(path))
]


@pytest.mark.long
@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("page", RUN)
def test_commands_of_a_page_run(page: str, laboratory: Path, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(laboratory, folder, symlinks=True)
    for name, text in files(SHOWN[page]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    if page in PREPARED:
        PREPARED[page](folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("scalinglab.wandb_mirror.WandbMirror.push", lambda *_, **__: 0)
    monkeypatch.setattr("scalinglab.wandb_mirror.WandbMirror.push_study", lambda *_: False)
    monkeypatch.setattr("scalinglab.analysis.reporting.report.report_html", lambda *_, **__: "")
    with trained_by_a_law():
        for block in blocks(SHOWN[page]):
            for command in block.commands:
                if not block.not_run:
                    assert carry_out(command) == (0, ""), (page, block.line, command)


def carry_out(command: list[str]) -> tuple[int | str | None, str]:
    """Do what a command says in this process; exit code and what is wrong."""
    program, *arguments = command
    if program == "cd":
        here = Path(arguments[0])
        if (ROOT / here).is_dir():  # an example, in a copy of its folder
            shutil.copytree(ROOT / here, here, dirs_exist_ok=True)
        os.chdir(here)
    elif program == "scaling":
        return run(with_less([filled_in(argument) for argument in arguments]))
    else:
        return None, f"{program} is not run here: the page must say why"
    return 0, ""


def filled_in(argument: str) -> str:
    """An argument with the names of this folder where some stand for a reader's own."""
    run_id = min((path.name for path in Path("outputs").glob("runs/*")), default="")
    plan = Path("outputs/studies/mine/plan.json")
    if plan.exists():
        run_id = json.loads(plan.read_text())["runs"][0]["run_id"]
    return argument.replace("k3v9", run_id[:4]).replace("NAME", "mine")


def with_less(arguments: list[str]) -> list[str]:
    """A command that takes less time."""
    verb, *rest = arguments
    known = {f.name for f in fields(cli.find_verb(verb).options)}
    values = LESS | LESS_OF.get(verb, {})
    less = [f"{key}={value}" for key, value in values.items() if key in known]
    return [verb, *rest, *less, *(["launch.measure=off"] if verb in UNTIMED else [])]


def check(command: list[str]) -> None:
    """Refuse a command that nobody could give."""
    program, *arguments = command
    if program == "make":
        assert f"\n{arguments[0]}:" in (ROOT / "Makefile").read_text()
    elif program.startswith("python") and arguments[0].endswith(".py"):
        scripts = [ROOT / arguments[0], *ROOT.glob(f"examples/*/{arguments[0]}")]
        script = next(path for path in scripts if path.exists()).read_text()
        assert all(a in script for a in arguments if a.startswith("--"))
    elif program.endswith("pip"):
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        named = [a.partition("[")[2].rstrip("]").split(",") for a in arguments if "[" in a]
        assert all(e in extras["optional-dependencies"] for names in named for e in names)
    elif program == "scaling":
        check_scaling(*arguments)


def check_scaling(name: str, *arguments: str) -> None:
    """Refuse a command without such a verb, option, or key."""
    verb = cli.find_verb(name)
    words = read_flags([a for a in arguments if "..." not in a and "=NAME" not in a]).arguments
    names = {f.name for f in fields(verb.options)}
    has_parts = any(a.startswith("extend=") for a in words)  # whose names are not known here
    if OVERRIDES not in names:
        words = [a for a in words if not a.startswith("extend=")]
    with contextlib.suppress(MissingOption):
        options = read_arguments(verb.options, [filled_in(word) for word in words])
        if OVERRIDES in names and not has_parts:
            study = [f"study={options.study}"] if getattr(options, "study", None) else []
            compose_configuration([*study, *getattr(options, OVERRIDES)])
        if getattr(options, "probe", None) and not has_parts:
            PROBES.find(options.probe)


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("page", SHOWN)
def test_every_command_of_a_page_is_one(page: str, tmp_path, monkeypatch) -> None:
    """Those of blocks, run or not, and those within sentences."""
    monkeypatch.chdir(tmp_path)
    assert run(["new", "mine"]) == (0, "")
    for name, text in files(SHOWN[page]):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    path = SHOWN[page]
    if path.parent.parent.name == "examples":
        shutil.copytree(path.parent, ".", dirs_exist_ok=True)
    of_blocks = [command for block in blocks(path) for command in block.commands]
    studies = ("to=conf/", "to=scaling_conf/study/")
    for written in {a[3:] for command in of_blocks for a in command if a.startswith(studies)}:
        Path(written).parent.mkdir(parents=True, exist_ok=True)  # an earlier command writes it
        text = Path("scaling_conf/study/mine.yaml").read_text()
        Path(written).write_text(text.replace("name: mine", f"name: {Path(written).stem}"))
    for command in (*of_blocks, *inline(path)):
        if command[1:2] != ["VERB"] and not command[1].startswith("--"):
            check(command)

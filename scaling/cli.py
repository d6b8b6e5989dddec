"""The command line: the one file that puts scaling, sweeps and analysis together.

Verbs import what they need when they run, so that ``scaling --help`` starts at once and loads no
torch. Functions elsewhere return values; only this file prints.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling.config import ConfigError, unknown_key

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130


@dataclass(frozen=True)
class Verb:
    """One verb: what it does in a line, how it is called, and the function that does it.

    `options` is the dataclass of its keys; None for verbs that take Hydra's overrides.
    """

    summary: str
    usage: str
    run: Callable[[Sequence[str]], int]
    options: type | None = None


@dataclass(frozen=True)
class StatusOptions:
    """Options of ``scaling status``."""

    study: str | None = None
    outputs: str = "outputs"


@dataclass(frozen=True)
class FitOptions:
    """Options of ``scaling fit`` and ``scaling allocate``."""

    law: str | None = None
    data: str | None = None  # a CSV or parquet file made elsewhere
    columns: dict[str, Any] = field(default_factory=dict)  # columns.N=params
    study: str | None = None
    outputs: str = "outputs"
    n_count: str = "n_matmul"
    flops: str = "causal"
    resamples: int = 1000
    seed: int = 0
    delta: float = 1e-3
    level: float = 0.95
    x: str | None = None  # of the one-variable laws
    mix_fingerprints: bool = False
    save: str | None = None
    budgets: list[float] = field(default_factory=list)  # FLOPs, to allocate


@dataclass(frozen=True)
class ReportOptions:
    """Options of ``scaling report``."""

    study: str
    outputs: str = "outputs"
    to: str | None = None
    resamples: int = 1000
    mix_fingerprints: bool = False


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console command ``scaling``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        sys.exit(0)
    name, *rest = arguments
    if name not in VERBS:
        _fail(unknown_key(name, VERBS).replace("key", "verb", 1))
    if rest and rest[0] in ("-h", "--help"):
        print(_help_of(VERBS[name]))
        sys.exit(0)
    try:
        sys.exit(VERBS[name].run(rest))
    except ValueError as error:  # ConfigError among them
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or ''}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _help() -> str:
    lines = [f"  {name:<9} {verb.summary}" for name, verb in VERBS.items()]
    return "\n".join([
        "scaling: plan, launch, watch, fit, decide, report scaling-law studies", "",
        "usage: scaling VERB [key=value ...]", "", *lines, "",
        "Overrides are Hydra's: model.width=64 schedule=cosine study=quickstart.",
        "scaling VERB --help says more.",
    ])


def _help_of(verb: Verb) -> str:
    parts = [f"usage: {verb.usage}", inspect.cleandoc(verb.run.__doc__ or "")]
    if verb.options is not None:
        options = {f.name: f for f in dataclasses.fields(verb.options)}
        parts.append("options: " + "  ".join(
            name if f.default in (None, dataclasses.MISSING) else f"{name}={f.default}"
            for name, f in options.items()))
    return "\n\n".join(parts)


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _console() -> Console:
    from rich.console import Console

    # Tables must not be cut where the output goes to a file.
    return Console() if sys.stdout.isatty() else Console(width=200)


def _say(console: Console, text: str, style: str = "") -> None:
    """A sentence: broken at words on a terminal, whole in a file."""
    console.print(text, style=style, highlight=False, soft_wrap=not console.is_terminal)


# ---------------------------------------------------------------------------- plan and launch


def plan_verb(arguments: Sequence[str]) -> int:
    """Show every run of a study with N, D, C, LR, what it shares and its predicted seconds.

    Checks the whole study and its design first; trains nothing. The step time of each new shape
    is measured for about a second.
    """
    from scaling.compose import compose

    composed = compose(arguments)
    _show_plan(_make_plan(composed, arguments), _launch_config(composed))
    return 0


def launch_verb(arguments: Sequence[str]) -> int:
    """Train what a study still lacks, on a pool of workers or in this process.

    The plan is made and stored first. Ctrl-C saves all runs; the same command goes on.
    """
    from scaling.compose import compose
    from sweeps.launch import check_launch, launch
    from sweeps.plan import save_plan
    from sweeps.show import Watch, counts
    from sweeps.state import status

    composed = compose(arguments)
    config = _launch_config(composed)
    check_launch(config)
    plan = _make_plan(composed, arguments)
    _show_plan(plan, config)
    save_plan(plan)
    console, name = _console(), plan.study.name
    if any(p.new_steps for p in plan.runs):
        with Watch(console, plan.outputs, name) as watch:
            finished = launch(plan.outputs, name, config, watch.tick)
            watch.tick()
        if not finished:
            _say(console, "interrupted; all runs are saved, the same command goes on")
            return INTERRUPTED
    final = status(plan.outputs, name)
    _say(console, f"{name}: {counts(final['state'])}")
    return _end_of_launch(console, final, plan.outputs, name)


def _end_of_launch(console: Console, final: Any, outputs: Path, name: str) -> int:
    left = final[~final["state"].isin(["done", "diverged"])]
    for row in left.to_dict("records"):
        _say(console, f"  {row['run_id']} {row['state']}: {row['note']}")
    if len(left):
        _say(console, f"tracebacks: {outputs}/runs/<run>/attempts/*.end; "
                      f"{outputs}/studies/{name}/workers.log")
    return 1 if len(left) else 0


def status_verb(arguments: Sequence[str]) -> int:
    """Show the state of a study, derived from its run folders: scaling status study=NAME."""
    from scaling.options import read_options
    from sweeps.show import STATUS_OPTIONAL, counts, status_frame, table
    from sweeps.state import status

    options = read_options(StatusOptions, arguments)
    outputs = Path(options.outputs).absolute()
    names = [options.study] if options.study else sorted(
        p.parent.name for p in outputs.glob("studies/*/plan.json"))
    if not names:
        raise ConfigError(f"there is no study in {outputs}; scaling launch study=quickstart")
    console = _console()
    for name in names:
        frame = status_frame(status(outputs, name))
        title = f"{name}: {counts(frame['state'])}"
        console.print(table(frame, console.width, STATUS_OPTIONAL, title))
    return 0


def _make_plan(composed: dict[str, Any], overrides: Sequence[str]) -> Any:
    import analysis
    from scaling.config import one_of
    from sweeps.cost import with_costs
    from sweeps.plan import make_plan
    from sweeps.study import check_overrides

    plan = make_plan(composed)
    check_overrides(composed, overrides)
    for key in ("law", "curve_law"):  # known to the analysis; asked before anything is spent
        one_of(f"study.answer.{key}", getattr(plan.study.answer, key), analysis.LAWS)
    return with_costs(plan)


def _launch_config(composed: dict[str, Any]) -> Any:
    from scaling.config import from_dict
    from sweeps.launch import LaunchConfig

    return from_dict(LaunchConfig, composed["launch"], "launch")


def _show_plan(plan: Any, config: Any) -> None:
    from sweeps.launch import worker_count
    from sweeps.show import PLAN_OPTIONAL, plan_frame, table

    console = _console()
    frame = plan_frame(plan)
    console.print(table(frame, console.width, PLAN_OPTIONAL))
    _say(console, _totals(plan, worker_count(config, plan.execution.threads, len(plan.runs))))
    for warning in plan.warnings:
        _say(console, f"! {warning}", style="yellow")
    if not plan.warnings:
        _say(console, "design: nothing found against it")


def _totals(plan: Any, workers: int) -> str:
    """What a plan comes to, in a sentence or two."""
    import pandas as pd

    from sweeps.cost import finish_seconds
    from sweeps.show import counts, duration

    runs = f"{len(plan.runs)} runs ({counts(pd.Series([p.state for p in plan.runs]))})"
    new = sum(p.new_steps for p in plan.runs)
    if not new:
        return f"{runs}: nothing is left to train."
    flops = sum(p.run.C * p.new_steps / p.run.steps for p in plan.runs)
    return (
        f"{runs}: {new:,} new steps, {flops:.2e} FLOPs; "
        f"{sum(p.run.steps for p in plan.runs) - new:,} steps are shared or done. Predicted "
        f"{duration(sum(p.seconds for p in plan.runs))} of training, "
        f"{duration(finish_seconds(plan, workers))} on {workers} worker(s)."
    )


# ---------------------------------------------------------------------------- one run, data


def train_verb(arguments: Sequence[str]) -> int:
    """Train one run in this process: scaling train model.width=64 schedule=cosine tokens=1e6.

    A finished run is not trained again; one that was begun goes on from its last checkpoint.
    """
    from scaling.compose import compose
    from scaling.config import RunConfig, from_dict
    from scaling.data.sources import open_store
    from scaling.describe import describe
    from scaling.memory import check_memory
    from scaling.resolve import resolve
    from scaling.run_folder import RunFolder

    composed = compose(arguments)
    if composed.get("study"):
        raise ConfigError("scaling train trains one run; a study is trained by scaling launch")
    fields = RunConfig.__dataclass_fields__
    config = from_dict(RunConfig, {k: v for k, v in composed.items() if k in fields})
    outputs = Path(composed["outputs"]).absolute()
    store = open_store(config.data, outputs)
    run = resolve(config, store.manifest)
    check_memory(run.shape, config)
    folder = RunFolder(outputs / "runs" / run.run_id)
    folder.describe(describe(run, store))
    print(f"run {run.run_id}: N {run.counts['n_matmul']:,} (n_matmul), D {run.tokens:,}, "
          f"C {run.C:.2e}, peak LR {run.lr:.4g}, {run.steps:,} steps")
    outcome = "done" if folder.done() else _train(folder, config.execution)
    return _say_outcome(folder, outcome)


def _train(folder: Any, execution: Any) -> str:
    from scaling.claim import Claim
    from scaling.engine import check_device
    from sweeps.stop import StopFlag

    check_device(execution.device)
    claim = Claim.acquire(folder, execution.lease_seconds)
    if claim is None:
        return "held"
    from scaling.trainer import train

    stop = StopFlag()
    stop.install()
    interval = 0.5 if sys.stdout.isatty() else 5.0
    said = time.monotonic()

    def between_chunks() -> bool:
        nonlocal said
        if time.monotonic() - said >= interval:
            said = time.monotonic()
            show(folder.progress(claim.number))
        return stop()

    def show(progress: dict[str, Any]) -> None:
        print(f"step {progress['step']:,}/{progress['steps']:,}  loss {progress['loss']:.4f}  "
              f"{progress['tokens_per_second']:,.0f} tokens/s",
              end="\r" if sys.stdout.isatty() else "\n", flush=True)

    try:
        return train([claim], {}, execution, between_chunks)
    finally:
        stop.uninstall()


def _say_outcome(folder: Any, outcome: str) -> int:
    if outcome == "held":
        owner = folder.latest_attempt().owner
        print(f"process {owner['pid']} on {owner['host']} is training it")
        return 1
    if outcome == "interrupted":
        print("interrupted; the run is saved, the same command goes on")
        return INTERRUPTED
    if outcome != "done":
        end = folder.latest_attempt().end
        print(f"{end['reason']}: {end.get('error', '')}\n{end.get('traceback', '')}")
        return 1
    record = folder.record()
    final = record["final"]
    if record["status"] == "diverged":
        print(f"diverged after {record['steps']:,} steps: recorded as a result")
    else:
        print(f"validation loss {final['validation_loss']:.4f} nats/token, "
              f"{final['validation_bpb']:.4f} bits/byte; record in {folder.path}")
    return 0


def data_verb(arguments: Sequence[str]) -> int:
    """Show the token sources, make the store of the one that is chosen (data=markov), show all."""
    from dataclasses import asdict

    import pandas as pd

    from scaling.compose import compose
    from scaling.config import DataConfig, from_dict
    from scaling.data.sources import SOURCES, open_store
    from scaling.data.store import TokenStore
    from sweeps.show import table

    composed = compose(arguments)
    outputs = Path(composed["outputs"]).absolute()
    open_store(from_dict(DataConfig, composed["data"], "data"), outputs)
    stores = [TokenStore(p.parent) for p in sorted(outputs.glob("data/*/manifest.json"))]
    rows = [asdict(s.manifest) | {"folder": s.folder.name} for s in stores]
    frame = pd.DataFrame({
        "store": [r["folder"] for r in rows],
        "vocab": [r["vocab"] for r in rows],
        "train tokens": [f"{r['train_tokens']:,}" for r in rows],
        "validation tokens": [f"{r['validation_tokens']:,}" for r in rows],
        "content": [r["content_hash"] for r in rows],
        "facts": [", ".join(f"{k} {v}" for k, v in r["facts"].items()) for r in rows],
    })
    console = _console()
    console.print(table(frame, console.width, ("facts", "validation tokens")))
    for name, source in SOURCES.items():
        _say(console, f"{name}: {(source.__doc__ or '').splitlines()[0]}")
    return 0


# ---------------------------------------------------------------------------- fit and decide


def fit_verb(arguments: Sequence[str]) -> int:
    """Fit a law: scaling fit study=NAME, or scaling fit law=chinchilla data=points.csv columns.N=n.

    A study is fitted by its own law to its runs with the role "fit"; law=... chooses another.
    """
    from scaling.options import read_options

    options = read_options(FitOptions, arguments)
    result = _fit(options)
    print(result.report())
    if options.save:
        result.save(options.save)
        print(f"saved to {options.save}")
    return 0


def allocate_verb(arguments: Sequence[str]) -> int:
    """Split compute budgets between N and D: scaling allocate study=NAME budgets=[1e18,1e20]."""
    import analysis
    from scaling.options import read_options
    from sweeps.show import table

    options = read_options(FitOptions, arguments)
    budgets = options.budgets
    if not budgets and options.study:
        plan = analysis.study_plan(options.outputs, options.study)
        budgets = plan["study"]["answer"]["budgets"]
    if not budgets:
        raise ConfigError("budgets is not set; give FLOPs, as in budgets=[1e18,1e20]")
    allocation = analysis.allocate(_fit(options), budgets)
    console = _console()
    _say(console, "C = 6 N D")
    shown = analysis.with_intervals(allocation.table)
    console.print(table(shown, console.width, ("inside", "loss")))
    for warning in allocation.warnings:
        _say(console, f"! {warning}", style="yellow")
    return 0


def _fit(options: FitOptions) -> Any:
    import analysis

    runs, law = _points(options)
    more = {} if options.x is None else {"x": options.x}
    return analysis.fit(
        law, runs, columns=options.columns or None, resamples=options.resamples,
        seed=options.seed, delta=options.delta, level=options.level,
        mix_fingerprints=options.mix_fingerprints, **more,
    )


def _points(options: FitOptions) -> tuple[Any, str]:
    import pandas as pd

    import analysis

    if (options.data is None) == (options.study is None):
        raise ConfigError("name what is fitted: either data=FILE or study=NAME")
    if options.data is not None:
        path = Path(options.data)
        if not path.is_file():
            raise ConfigError(f"data = {options.data!r}: there is no such file")
        read = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
        return read(path), options.law or "chinchilla"
    answer = analysis.study_plan(options.outputs, options.study)["study"]["answer"]
    law = options.law or answer["law"]
    if analysis.LAWS[law].curve if law in analysis.LAWS else False:
        curves = analysis.load_curves(options.outputs, study=options.study, role="curve")
        seen = curves[curves["schedule"] != answer["curve_held_out"]]
        return seen.assign(loss=seen["validation_loss"]).drop(columns="cluster"), law
    runs = analysis.load(options.outputs, study=options.study, role="fit",
                         n_count=options.n_count, flops=options.flops)
    return runs, law


def report_verb(arguments: Sequence[str]) -> int:
    """Answer a study's question in words and as one self-contained HTML file."""
    import analysis
    from scaling.options import read_options

    options = read_options(ReportOptions, arguments)
    answer = analysis.answer_study(options.outputs, options.study, resamples=options.resamples,
                             mix_fingerprints=options.mix_fingerprints)
    print(answer.text())
    path = Path(options.to or f"{options.outputs}/studies/{options.study}/report.html")
    analysis.write_report(answer, path)
    print(f"\nreport: {path}")
    return 0


VERBS: dict[str, Verb] = {
    "plan": Verb("show a study's runs, their cost and what is confounded; train nothing",
                 "scaling plan study=quickstart [key=value ...]", plan_verb),
    "launch": Verb("train what a study still lacks",
                   "scaling launch study=quickstart [launch=inline] [key=value ...]", launch_verb),
    "status": Verb("show the state of studies",
                   "scaling status [study=NAME] [outputs=outputs]", status_verb, StatusOptions),
    "train": Verb("train one run in this process",
                  "scaling train [model.width=64 schedule=cosine tokens=1e6 ...]", train_verb),
    "data": Verb("show the token sources and stores", "scaling data [data=markov]", data_verb),
    "fit": Verb("fit a law to a study or to a file",
                "scaling fit study=NAME | data=FILE [law=chinchilla columns.N=NAME ...]", fit_verb,
                FitOptions),
    "allocate": Verb("split compute budgets between N and D",
                     "scaling allocate study=NAME | data=FILE ['budgets=[1e18,1e20]']",
                     allocate_verb, FitOptions),
    "report": Verb("answer a study's question; write the HTML report",
                   "scaling report study=NAME [to=report.html]", report_verb, ReportOptions),
}


if __name__ == "__main__":
    main()

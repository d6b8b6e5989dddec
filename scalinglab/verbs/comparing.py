"""The verb that compares two recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.as_json import print_json
from scalinglab.options import LEVEL, RESAMPLES, SEED, option
from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.records.state import FINISHED
from scalinglab.verb import Verb, open_console, say
from scalinglab.verbs.deciding import loss_asked


@dataclass(frozen=True)
class CompareOptions:
    """Options of ``scaling compare``."""

    study: str | None = option("the study that holds both arms", None)
    studies: list[str] = option("or two studies, each an arm", [])
    data: str | None = option("or a CSV or parquet file made elsewhere", None)
    columns: dict[str, Any] = option(
        "of that file: columns.N=params says which is N; of a study"
        " columns.loss=loss.STORE: the set that both arms have",
        {},
    )
    arm: str | None = option(
        "what tells the arms apart: a setting (optimizer.name), or a column of the file", None
    )
    between: list[str] = option("baseline and the other, where there are more values", [])
    law: str = option("the law of both", "chinchilla")
    shared: list[str] = option("parameters that both arms have in common, where runs are few", [])
    budgets: list[float] = option("FLOPs (6 N D) at which the arms are compared", [])
    outputs: str = option("the folder of all runs", "outputs")
    n_count: str = option("what N counts: n_matmul, n_block or n_total", "n_matmul")
    resamples: int = option("refits for the intervals; 0 for none", 1000, RESAMPLES)
    seed: int = option("of the resamples", 0, SEED)
    level: float = option("of the intervals", 0.95, LEVEL)
    json: bool = option("print one JSON object; --json says the same", False)


def compare_verb(arguments: Sequence[str]) -> int:
    """Compare two recipes: scaling compare study=NAME arm=optimizer.name [between=[adamw,muon]].

    Or two studies, scaling compare studies=[a,b], or a file, data=FILE arm=COLUMN. Laws of both
    arms with what they share, pairs of equal size, tokens and seed, speed-up and equivalent data,
    crossover, and the probability that the second is better; whole curves where there are some.
    """
    from scalinglab import analysis
    from scalinglab.options import read_options

    options = read_options(CompareOptions, arguments)
    outputs = Path(options.outputs).absolute()
    runs = _runs(options, outputs)
    between = options.between or (options.studies or None)
    settings = _settings(options, outputs, runs, between)
    found = analysis.compare_arms(
        runs,
        arm="arm",
        between=between,
        law=options.law,
        shared=options.shared,
        budgets=options.budgets,
        resamples=options.resamples,
        seed=options.seed,
        level=options.level,
        differences=settings,
    )
    curves = _curves(options, outputs, runs, found.arms)
    if options.json:
        from scalinglab.analysis.reporting.facts import facts_of_arms

        print_json(facts_of_arms(found) | {"curves": curves})
        return 0
    console = open_console()
    say(console, found.report())
    if isinstance(curves, str):
        say(console, f"curves: {curves}")
    elif curves is not None:
        from scalinglab.analysis.arms.curves import curves_in_words

        say(console, curves_in_words(curves))
    return 0


def _runs(options: CompareOptions, outputs: Path) -> Any:
    """Runs with the column ``arm``."""
    from scalinglab import analysis

    sources = [bool(options.study), bool(options.studies), bool(options.data)]
    if sum(sources) != 1:
        raise ConfigError(
            "name what is compared: study=NAME arm=KEY, studies=[A,B], or data=FILE arm=COLUMN"
        )
    loss = None if options.data else loss_asked(options.columns)
    if options.studies:
        if len(set(options.studies)) != 2 or len(options.studies) != 2 or options.arm:
            raise ConfigError(
                f"studies = {options.studies}: two different ones are compared, without arm="
            )
        return analysis.runs_by_arm(
            outputs, options.studies, None, n_count=options.n_count, loss=loss
        )
    if options.arm is None:
        raise ConfigError(
            "arm is not set; say which setting or column tells the recipes apart, as"
            " in arm=optimizer.name"
        )
    if options.study:
        return analysis.runs_by_arm(
            outputs, [options.study], options.arm, n_count=options.n_count, loss=loss
        )
    runs = analysis.read_runs(options.data, columns=options.columns).runs
    runs = runs[runs["status"].isin(FINISHED)]
    if options.arm not in runs:
        raise ConfigError(
            f"arm = {options.arm!r}: {options.data} has no such column; it has {', '.join(runs)}"
        )
    return runs.assign(arm=runs[options.arm])


def _settings(options: CompareOptions, outputs: Path, runs: Any, between: Any) -> Any:
    """What differs between the arms' records; None where there are no records."""
    from scalinglab import analysis

    names = between or sorted(runs["arm"].dropna().astype(str).unique())
    if options.data or len(names) != 2 or "seed" not in runs:
        return None
    return analysis.arm_settings(outputs, runs, names, options.arm)


def _curves(options: CompareOptions, outputs: Path, runs: Any, arms: tuple[str, str]) -> Any:
    """Whole curves of both arms; why not, in a sentence; None where there are none."""
    from scalinglab import analysis

    if options.data:
        return None
    ids = dict(zip(runs["run_id"], runs["arm"].astype(str), strict=True))
    loss = options.columns.get("loss")
    tables = [
        analysis.load_curves(outputs, study=name, run_ids=ids, loss=loss)
        for name in options.studies or [options.study]
    ]
    tables = [t for t in tables if len(t) and "lr" in t]
    if not tables:
        return None
    import pandas as pd

    curves = pd.concat(tables, ignore_index=True)
    try:
        return analysis.compare_arm_curves(
            curves.assign(arm=curves["run"].map(ids)), arm="arm", between=arms
        )
    except ValueError as error:
        return str(error)


VERBS = {
    "compare": Verb(
        "compare two recipes: laws, pairs, speed-up, crossover",
        "scaling compare study=NAME arm=KEY | studies=[A,B] | data=FILE arm=COLUMN",
        compare_verb,
        CompareOptions,
    ),
}

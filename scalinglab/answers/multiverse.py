"""How an answer varies with each choice of the analysis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglab import analysis
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.judgement.multiverse import table_multiverse
from scalinglab.analysis.laws.registry import AUTO
from scalinglab.options import option
from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.source import ReadOptions, Source

if TYPE_CHECKING:
    from scalinglab.analysis.judgement.multiverse import Multiverse


@dataclass(frozen=True, kw_only=True)
class MultiverseOptions(ReadOptions):
    """Options of a multiverse: the question, and what may vary."""

    target: str = option("the question: 'N at C=1e13', 'loss at N=1e6 D=1e9', 'alpha'")
    n_columns: list[str] = option("columns of a file that count N in different ways", [])
    law: str | None = option(
        "the first of the two laws; default: that of the study, or chinchilla", None
    )
    exclude: list[str] = option(
        "rows that no variant fits, by name (unmeasured, unfinished, mid_schedule)"
        " or condition: 'exclude=[unmeasured,D < 1e9]'",
        [],
    )


def multiverse(source: Source, asked: MultiverseOptions) -> Multiverse:
    """Answer a question under every combination of analysis choices.

    Raises
    ------
    UserError
        If the question cannot be read, the source has no runs to fit, or no variant gives an
        answer.
    """
    target = analysis.read_target(asked.target)
    law = asked.law or (LAW if source.law == AUTO else source.law)  # laws are one of the choices
    return table_multiverse(
        source.counted(asked, law, asked.n_columns),
        target,
        law=law,
        exclude=asked.exclude,
        delta=source.delta,
        mix_fingerprints=asked.mix_fingerprints,
    )


def write_figure(found: Multiverse, to: str | Path) -> Path:
    """Draw all variants with their answers, and the share of each choice in their variance.

    Raises
    ------
    ConfigError
        If no choice has two options with an answer.
    """
    # matplotlib takes half a second to import: only drawing waits for it.
    from scalinglab.analysis.reporting.figures import multiverse as draw
    from scalinglab.analysis.reporting.page import svg

    figure = draw(found)
    if figure is None:
        raise ConfigError("there is nothing to draw: no choice has two options with an answer")
    path = Path(to)
    write_atomic(path.absolute(), svg(figure))
    return path

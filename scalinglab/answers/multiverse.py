"""The multiverse: an answer under each choice of the analysis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglab import analysis
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.judgement.study_multiverse import table_multiverse
from scalinglab.analysis.laws.registry import AUTO
from scalinglab.options import option
from scalinglab.run_options import ReadOptions
from scalinglab.scaling.errors import ConfigError
from scalinglab.source import Source

if TYPE_CHECKING:
    from scalinglab.analysis.judgement.multiverse import Multiverse


_WIDTH = 11.0  # inches, of two panels


@dataclass(frozen=True, kw_only=True)
class MultiverseOptions(ReadOptions):
    """Options of a multiverse: the question, and the choices that vary."""

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


def multiverse(source: Source, options: MultiverseOptions) -> Multiverse:
    """Answer a question under every combination of analysis choices.

    Raises
    ------
    UserError
        If the question cannot be read, the source has no runs to fit, or no variant gives an
        answer.
    """
    target = analysis.read_target(options.target)
    law = options.law or (LAW if source.law == AUTO else source.law)  # laws are one of the choices
    return table_multiverse(
        source.counted(options, law, options.n_columns),
        target,
        law=law,
        exclude=options.exclude,
        delta=source.delta,
        mix_fingerprints=options.mix_fingerprints,
    )


def write_figure(answer: Multiverse, to: str | Path) -> Path:
    """Draw the answers of all variants, and the share of each choice in their variance.

    The file's suffix is the format: svg, png, pdf, or csv for the data.

    Raises
    ------
    ConfigError
        If no choice has two options with an answer.
    """
    # Imported here, because matplotlib takes half a second to import.
    from scalinglab.analysis import plot
    from scalinglab.analysis.plot.style import panels

    if answer.shares.empty:
        raise ConfigError("there is nothing to draw: no choice has two options with an answer")
    left, right = panels(_WIDTH, columns=2)
    plot.multiverse(answer, ax=left)
    plot.multiverse_shares(answer, ax=right)
    (path,) = plot.save(left, to)
    return path

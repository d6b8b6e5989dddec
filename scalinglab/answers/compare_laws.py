"""Laws compared by their predictions of held-out points."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scalinglab import analysis
from scalinglab.analysis.default_laws import MIXED_CURVES, MIXED_SURFACES
from scalinglab.analysis.laws.registry import AUTO, read_as
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.answers.fit import delta_option
from scalinglab.options import option
from scalinglab.run_options import CountOptions
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within
from scalinglab.source import Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.judgement.comparison import Comparison


@dataclass(frozen=True, kw_only=True)
class CompareLawsOptions(CountOptions):
    """Options of a comparison of laws."""

    laws: list[str] = option(
        "the laws; default: that of the study and those that law=auto mixes, where the runs allow"
        " them",
        [],
    )
    by: str | None = option(
        "the column whose largest values are predicted from the rest: N, D, C; default: C where"
        " there is one, else the first column of the first law",
        None,
    )
    beyond: float | None = option(
        "how many times beyond the largest of these the question lies; default 2", None, Within(1)
    )
    x: str | None = option("for laws in one variable: the column that varies", None)
    exclude: list[str] = option(
        "rows to leave out, by name (unmeasured, unfinished, mid_schedule)"
        " or condition: 'exclude=[unmeasured,D < 1e9]'",
        [],
    )
    delta: float | str | None = delta_option()


@dataclass(frozen=True, repr=False)
class ComparedLaws(Shown):
    """Laws compared, and default laws that could not be fitted to the runs.

    Attributes
    ----------
    comparison : Comparison
    refused : dict
        Law -> why it was left out.
    """

    comparison: Comparison
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> Overview:
        """As `Shown`: a row a law, and why some are left out."""
        left_out = [f"{law} is left out: {why}" for law, why in self.refused.items()]
        return self.comparison.shown.also(warnings=left_out)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """By how much each law missed each held-out point."""
        return self.comparison.plot(ax=ax)


def compare_laws(source: Source, options: CompareLawsOptions) -> ComparedLaws:
    """Fit several laws to the runs of a source and compare their predictions of held-out runs.

    Raises
    ------
    UserError
        If the source has no runs to fit, one of the named laws cannot be fitted, fewer than two
        can, or as `analysis.compare_laws`.
    """
    if AUTO in options.laws:
        raise ConfigError("laws: auto is an average of laws; name single ones")
    first = options.laws[0] if options.laws else source.law
    table, first = source.runs(options, None if first == AUTO else first, options.x)
    fitting = {
        "columns": options.columns or None,
        "delta": source.delta if options.delta is None else options.delta,
        "exclude": options.exclude,
        "mix_fingerprints": options.mix_fingerprints,
        "resamples": 0,
        **({"x": options.x} if options.x else {}),
    }
    refused: dict[str, str] = {}
    usual = MIXED_CURVES if read_as(first).curve else MIXED_SURFACES
    laws = options.laws or list(dict.fromkeys([*([] if first == AUTO else [first]), *usual]))
    by = options.by or ("C" if "C" in table and not read_as(first).curve else None)
    comparison = analysis.compare_laws(
        laws,
        table,
        by=by,
        beyond=options.beyond,
        refused=None if options.laws else refused,
        **fitting,
    )
    return ComparedLaws(comparison, refused)

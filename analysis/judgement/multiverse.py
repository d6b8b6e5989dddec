"""How an answer varies with each analysis choice, and which choice matters most.

How FLOPs and parameters are counted, which law is fitted under which objective, which runs are left
out: each choice has good reasons, and published exponents differ by these choices
(arXiv:2406.19146). Here all combinations are fitted.

The variance of the answers is divided among the choices by Sobol' indices of a full factorial
(Saltelli et al. 2008). The main effect of a choice (``main_effect``) is the variance of the means
over its options; its total effect (``total_effect``) is the mean variance that is left when all
other choices are fixed. The difference between the two is its interaction with the other choices.

Two differences are told apart from the spread. A way of counting parameters is a definition, so the
range is that of one count, and the other counts follow. A run far from the law has nothing to do
with the choices: the range is without it, and what changes with it is said.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.lockstep import in_lockstep
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.progress import each
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.exclusion import unmet_in_words
from scalinglab.analysis.tables.powers import short
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray

_SAME = 1.01  # ratio below which two answers are one
_EMBEDDINGS = {
    "n_block": "without embeddings",
    "n_matmul": "with the output layer",
    "n_total": "with embeddings",
    "n_active": "what one token passes through",
}
_COUNTED = ("N", "D", "N*", "D*")  # beginnings of quantities that are parameters or tokens
# Columns of the shares -> what people read, also in its figure.
SHARES = {
    "main_effect": "main effect",
    "total_effect": "total effect",
    "factor": "largest over smallest mean",
}
CHOICES = ("convention", "law", "objective", "exclusion")
IN_WORDS = {
    "convention": "how N is counted",
    "law": "which law is fitted",
    "objective": "which objective is minimised",
    "exclusion": "which runs are left out",
}
EXCLUSIONS: Mapping[str, tuple[str, ...]] = {"all runs": ()}
OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
    "Huber 1e-3": {"delta": 1e-3},
    "Huber 1e-2": {"delta": 1e-2},
    "least squares": {"objective": "least_squares"},
}


@dataclass(frozen=True, repr=False)
class Multiverse(Shown):
    """One answer for each combination of choices.

    Attributes
    ----------
    table : DataFrame
        ``convention, law, objective, exclusion`` and the ``answer``; it is NaN where a fit gives
        none, with the reason in ``why``.
    shares : DataFrame
        Of the variants of the range (`in_range`), one row for each choice with several options:
        ``choice``, ``options``, ``main_effect`` and ``total_effect`` as shares of
        the variance of log answer, and ``factor``, the largest over the smallest mean answer of its
        options.
    of : str
        The quantity that is answered.
    convention : str
        The convention in which the range is told; empty: all of them are one range.
    far_runs : str
        Runs far from the law, in words; the exclusion `with_far` alone fits them.
    unmet : tuple of str
        Sentences on conditions of ``exclude=`` that no run met.
    """

    table: pd.DataFrame
    shares: pd.DataFrame
    of: str
    convention: str = ""
    far_runs: str = ""
    unmet: tuple[str, ...] = ()

    @property
    def shown(self) -> Overview:
        """As `Shown`: the range, and a row a choice."""
        answered = self.table["answer"].notna()
        failed = self.table.loc[~answered, "why"].value_counts(sort=False)
        return Overview(
            f"{self.of} by {answered.sum()} analysis variants",
            {"": self.shares_in_words()},
            tuple(self.sentences()),
            tuple(f"{count} variants give no answer: {why}" for why, count in failed.items()),
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The answer of each variant, sorted."""
        return self._draw("multiverse", self, ax=ax)

    def shares_in_words(self) -> pd.DataFrame:
        """`shares` with the names of each choice's options in place of their number."""
        answered = self.in_range.dropna(subset="answer")
        names = [", ".join(map(str, answered[c].unique())) for c in self.shares["choice"]]
        return self.shares.assign(options=names).rename(columns=SHARES)

    @property
    def without_far(self) -> pd.DataFrame:
        """The variants without runs far from the law."""
        return self.table[self.table["exclusion"] != with_far(self.far_runs)]

    @property
    def in_range(self) -> pd.DataFrame:
        """The variants of the range: without runs far from the law, in one convention."""
        return self._in_one_convention(self.without_far)

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest answer."""
        return _ends(self.in_range)

    def sentences(self) -> list[str]:
        """The range, and the ranges by other conventions."""
        return [sentence for sentence in (self.sentence(), self.by_convention()) if sentence]

    def sentence(self) -> str:
        """The range of the answer, the choice that matters most, and what runs far off change."""
        return " ".join(filter(None, [self._range(), self._with_far()]))

    def by_convention(self) -> str:
        """The ranges by the other conventions; empty if there is none."""
        if not self.convention:
            return ""
        groups = self.without_far.dropna(subset="answer").groupby("convention", sort=False)
        ranges = {
            str(name): self._between(*_ends(group))
            for name, group in groups
            if name != self.convention
        }
        if not ranges:
            return ""
        (first, between), *others = ranges.items()
        listed = "".join(f", as {in_words(name)} {text}" for name, text in others)
        return (
            f"N is counted as {in_words(self.convention)} in these variants. Counted as"
            f" {in_words(first)} the range is {between}{listed}: another definition of N, no"
            " uncertainty."
        )

    def _in_one_convention(self, variants: pd.DataFrame) -> pd.DataFrame:
        return variants[variants["convention"] == self.convention] if self.convention else variants

    def _with_far(self) -> str:
        """The objectives that answer outside the range once runs far from the law are fitted."""
        if not self.far_runs:
            return ""
        low, high = self.range
        with_them = self._in_one_convention(
            self.table[self.table["exclusion"] == with_far(self.far_runs)]
        )
        outside = (with_them["answer"] < low / _SAME) | (with_them["answer"] > high * _SAME)
        if not outside.any():
            return ""
        objectives = with_them[outside].groupby("objective", sort=False)
        listed = ", ".join(
            f"{name} gives {self._between(*_ends(group))}" for name, group in objectives
        )
        return f"With {self.far_runs} {listed}."

    def _between(self, low: float, high: float) -> str:
        ends = dict.fromkeys((self._written(low), self._written(high)))
        return " to ".join(ends)

    def _range(self) -> str:
        low, high = self.range
        has_answer = self.in_range["answer"].notna()
        count = (
            f"{has_answer.sum()} of {len(has_answer)}"
            if not has_answer.all()
            else f"{len(has_answer)}"
        )
        without = f" without {self.far_runs} (far from the law)" if self.far_runs else ""
        text = (
            f"Across {count} analysis variants{without} {self.of.replace('C=', 'C = ')} is"
            f" {self._written(low)} to {self._written(high)}"
        )
        if self.shares.empty or high == low:
            return text + "."
        most = self.shares.iloc[0]
        return (
            f"{text}, mainly by {IN_WORDS[most['choice']]} ({most['total_effect']:.0%} of the"
            f" variance, alone or together with other choices; a factor of {most['factor']:.3g}"
            " between its options)."
        )

    def _written(self, value: float) -> str:
        """Counts of parameters and tokens as tables have them."""
        return short(value) if self.of.partition(" ")[0] in _COUNTED else f"{value:.4g}"


@dataclass(frozen=True)
class Choices:
    """The options of each choice, by name.

    Attributes
    ----------
    conventions : mapping of str to DataFrame
        How N and C are counted -> the points counted so.
    laws : sequence of str
    objectives : mapping of str to dict
        -> options of `analysis.fit`.
    exclusions : mapping of str to sequence of str
        -> what ``exclude=`` of `analysis.fit` takes.
    convention, far_runs : str
        As in `Multiverse`.
    """

    conventions: Mapping[str, pd.DataFrame]
    laws: Sequence[str] = (LAW,)
    objectives: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: dict(OBJECTIVES))
    exclusions: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict(EXCLUSIONS))
    convention: str = ""
    far_runs: str = ""


def fit_multiverse(
    choices: Choices, answer: Callable[[Result], float], of: str, **options: Any
) -> Multiverse:
    """Fit every combination and divide the variance of the answers among the choices.

    Parameters
    ----------
    choices : Choices
    answer : callable
        ``answer(result)``: one positive number, as ``lambda r: read_target("N at C=1e20")
        .draws(r)[0]``; UserError where a fit gives none.
    of : str
        The quantity that it gives, in words.
    **options
        Options of all fits; see `analysis.fit`. No resamples by default.

    Raises
    ------
    UserError
        If no combination gives an answer.
    """
    variants = list(
        itertools.product(choices.conventions, choices.laws, choices.objectives, choices.exclusions)
    )
    answers: dict[tuple[str, ...], _Answered] = {}
    pairs = list(itertools.product(choices.laws, choices.objectives))
    for shared in each(pairs, "groups of variants"):
        # Fits of one law and objective to other rows and counts of N share their steps.
        group = [variant for variant in variants if variant[1:3] == shared]
        calls = [partial(_answered, choices, variant, answer, options) for variant in group]
        answers |= dict(zip(group, in_lockstep(calls), strict=True))
    rows = [
        dict(zip(CHOICES, variant, strict=True))
        | {"answer": answers[variant].answer, "why": answers[variant].why}
        for variant in variants
    ]
    unmet = [found.unmet for found in answers.values() if found.unmet is not None]
    table = pd.DataFrame(rows)
    if table["answer"].isna().all():
        raise UserError(f"no analysis variant gives {of}: {table['why'].iloc[0]}")
    told = tuple(sorted(frozenset.intersection(*unmet))) if unmet else ()  # a rule that no fit met
    without_far = table[table["exclusion"] != with_far(choices.far_runs)]
    if without_far["answer"].isna().all():  # then nothing is without the runs far from the law
        return Multiverse(table, shares(table), of, unmet=told)
    convention = choices.convention
    if without_far.loc[without_far["convention"] == convention, "answer"].isna().all():
        convention = ""
    in_range = without_far[without_far["convention"] == convention] if convention else without_far
    return Multiverse(table, shares(in_range), of, convention, choices.far_runs, told)


class _Answered(NamedTuple):
    """What one combination says."""

    answer: float  # NaN where there is none
    why: str  # there is none
    unmet: frozenset[str] | None = (
        None  # rules of exclusion that no run met, of a law that was fitted
    )


def _answered(
    choices: Choices,
    variant: tuple[str, str, str, str],
    answer: Callable[[Result], float],
    options: Mapping[str, Any],
) -> _Answered:
    """The answer of one combination."""
    convention, law, objective, exclusion = variant
    unmet = None
    try:
        result = fit(
            law,
            choices.conventions[convention],
            exclude=list(choices.exclusions[exclusion]),
            **{"resamples": 0, **options, **choices.objectives[objective]},
        )
        every = result.points + sum(result.excluded.values())
        unmet = frozenset(unmet_in_words(result.excluded, every))
        value = float(answer(result))
    except UserError as error:
        return _Answered(np.nan, str(error), unmet)
    if np.isfinite(value) and value > 0:
        return _Answered(value, "", unmet)
    return _Answered(np.nan, "no answer", unmet)


def with_far(far: str) -> str:
    """The exclusion that fits runs far from the law, too."""
    return f"with {far}" if far else ""


def in_words(convention: str) -> str:
    """A way of counting N, and whether embeddings are in it."""
    meaning = _EMBEDDINGS.get(convention)
    return f"{convention} ({meaning})" if meaning else convention


def _ends(variants: pd.DataFrame) -> tuple[float, float]:
    answers = variants["answer"].dropna()
    return float(answers.min()), float(answers.max())


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """The shares of the choices in the variance of log answer, the largest first.

    Combinations without an answer are left out.
    """
    answered = table[table["answer"].notna()]
    log = np.log(answered["answer"])
    variance = float(log.var(ddof=0))
    rows = []
    for choice in CHOICES:
        if answered[choice].nunique() < 2:
            continue
        means = log.groupby(answered[choice]).mean()
        main_variance = log.groupby(answered[choice]).transform("mean").var(ddof=0)
        other_choices = [answered[c] for c in CHOICES if c != choice]
        within = (log - log.groupby(other_choices).transform("mean")).var(ddof=0)
        rows.append(
            {
                "choice": choice,
                "options": answered[choice].nunique(),
                "main_effect": float(main_variance) / variance if variance > 0 else 0.0,
                "total_effect": float(within) / variance if variance > 0 else 0.0,
                "factor": float(np.exp(means.max() - means.min())),
            }
        )
    columns = ["choice", "options", "main_effect", "total_effect", "factor"]
    shares_table = pd.DataFrame(rows, columns=columns)
    return shares_table.sort_values("total_effect", ascending=False, ignore_index=True)

"""Laws judged by what they predicted, and that as text."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from scalinglab.analysis.fitting.result import Result

_RIVAL = 0.05  # a law that wins so often by the luck of the points is not told apart
_BEYOND_BELIEF = 2.0  # times the best error: laws farther off say nothing about its doubt
_SIDES = 0.9  # share of errors on one side that is worth a sentence


@dataclass(frozen=True)
class Comparison:
    """Laws, judged by what they predict without having seen it.

    Attributes
    ----------
    table : DataFrame
        One row a law, best first. ``free``: its free parameters; ``in_sample``: mean absolute
        relative error of the points it was fitted to; ``held_out``: the same of the points one step
        beyond, mean over the origins; ``last``: of the outermost step alone; ``bias``: mean signed
        error held out (predicted / measured - 1); ``one_sided``: share of the held-out errors on
        the larger side; ``wins``: how often the law would be the best for other draws of the same
        points.
    predictions : DataFrame
        One row a held-out point and law: ``law, origin, row`` (of the data), ``measured``,
        ``predicted``, ``error``.
    results : dict of str to Result
        Each law fitted to all points.
    by : str
        The column along which points were held out.
    skipped : tuple of str
        Origins that a law could not be fitted at, which were left out for all.
    """

    table: pd.DataFrame
    predictions: pd.DataFrame
    results: dict[str, Result]
    by: str
    skipped: tuple[str, ...] = ()

    @property
    def winner(self) -> str:
        """The law of least held-out error."""
        return str(self.table.index[0])

    @property
    def best(self) -> Result:
        """The winner, fitted to all points."""
        return self.results[self.winner]

    @property
    def rivals(self) -> tuple[str, ...]:
        """Laws that the held-out points do not tell apart from the winner."""
        others = self.table.iloc[1:]
        return tuple(others.index[others["wins"] >= _RIVAL])

    @property
    def error_of_choice(self) -> tuple[str, float]:
        """The law that all origins but the last would have chosen, and its error at the last.

        The winner's own error flatters it: it was chosen for being small. With one origin there is
        nothing to choose by but that.
        """
        origins = self.predictions["origin"]
        before = self.predictions[origins < origins.max()]
        if before.empty:
            return self.winner, float(self.table["last"][self.winner])
        chosen = str(mean_error(before).idxmin())
        return chosen, float(self.table["last"][chosen])

    def predict(self, data: pd.DataFrame, level: float | None = None) -> pd.DataFrame:
        """The winner at other points; beyond the range its intervals carry the other laws too.

        Of the others, those whose held-out error is at most twice the winner's.
        """
        error = self.table["held_out"]
        near = error.index[error <= _BEYOND_BELIEF * error.iloc[0]][1:]
        return self.best.predict(data, level, beside=[self.results[name] for name in near])

    def report(self) -> str:
        """The table, and what it does and does not say."""
        predictions = self.predictions
        points = predictions[["origin", "row"]].drop_duplicates()
        title = (
            f"[[{len(self.table)} laws by {self.by}: {len(points)} points ahead of"
            f" {points['origin'].nunique()} origins]]"
        )
        lines = [_row(name, row) for name, row in self.table.iterrows()]
        header = f"{'law':<24}{'free':>5}{'in sample':>11}{'held out':>10}{'last':>8}{'bias':>9}"
        body = [header + f"{'one side':>10}{'wins':>6}", *lines, *_sentences(self)]
        return "\n".join([title, *(f"    {line}" for line in body)])


def mean_error(predictions: pd.DataFrame) -> pd.Series:
    """Mean absolute error of each law, every origin counting the same."""
    size = predictions["error"].abs()
    each = size.groupby([predictions["law"], predictions["origin"]], sort=False).mean()
    return each.groupby("law", sort=False).mean()


def _row(name: object, row: pd.Series) -> str:
    return (
        f"{name:<24}{row['free']:>5.0f}{row['in_sample']:>11.2%}{row['held_out']:>10.2%}"
        f"{row['last']:>8.2%}{row['bias']:>+9.2%}{row['one_sided']:>10.0%}{row['wins']:>6.0%}"
    )


def _sentences(comparison: Comparison) -> list[str]:
    row = comparison.table.loc[comparison.winner]
    sentences = [
        f"{comparison.winner} predicts best: error {row['held_out']:.2%} one step ahead,"
        f" {row['in_sample']:.2%} in sample."
    ]
    if comparison.rivals:
        sentences.append(f"The data do not distinguish it from {', '.join(comparison.rivals)}.")
    if comparison.predictions["origin"].nunique() > 1:
        law, error = comparison.error_of_choice
        sentences.append(
            f"Without the last origin the choice would have been {law}, with an error of {error:.2%}"
            " there: expect errors of that size."
        )
    else:
        sentences.append("One origin both selects and scores the law: its true error is larger.")
    if row["one_sided"] >= _SIDES:
        side = "high" if row["bias"] > 0 else "low"
        sentences.append(
            f"! {row['one_sided']:.0%} of its predictions are too {side}: the error grows farther out."
        )
    smallest = comparison.table["in_sample"].idxmin()
    if smallest != comparison.winner:
        sentences.append(f"{smallest} has the smallest error in sample, but predicts worse.")
    sentences += [f"! origin skipped for all laws: {reason}" for reason in comparison.skipped]
    return sentences

"""Laws compared by their held-out predictions, and the text of that comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.choice.score import TOLD
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.shown import Overview, Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BEYOND_BELIEF = 2.0  # times the best error: laws farther off say nothing about its doubt
_SIDES = 0.9  # share of errors on one side that is worth a sentence


@dataclass(frozen=True)
class NotScored:
    """Rows that lie far from every law which fits: they are fitted, and in no error or score.

    Attributes
    ----------
    rows : tuple of str
        The runs, or the rows of the table.
    sentence : str
    """

    rows: tuple[str, ...] = ()
    sentence: str = ""


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """Laws compared by their predictions of held-out points.

    Attributes
    ----------
    table : DataFrame
        One row per law, best first. ``free``: its free parameters; ``in_sample``: mean absolute
        relative error of the points it was fitted to; ``held_out``: the same of the points ahead
        of the origins, as each counts; ``score``: mean log density of these; ``bias``: signed error
        (predicted / measured - 1) that its trend over the distance gives at the question;
        ``one_sided``: share of the held-out errors on the larger side; ``behind``: how often the
        best law keeps its lead over this one for other draws of the runs, fitted and held out.
    predictions : DataFrame
        One row per held-out point and law: ``law, origin, row`` (of the data), ``measured``,
        ``predicted``, ``error``.
    fits : mapping of str to callable
        Fit each law to all points, with intervals; see `results`.
    by : str
        The column along which points were held out.
    origins : tuple of str
        What each origin left out.
    not_scored : NotScored
        Wild rows: they are in no error and no score of the table.
    """

    table: pd.DataFrame
    predictions: pd.DataFrame
    fits: Mapping[str, Callable[[], Result]]
    by: str
    origins: tuple[str, ...]
    not_scored: NotScored = NotScored()

    @property
    def shown(self) -> Overview:
        """One row per law, the best first, and caveats; see `Shown`."""
        sentences = self.sentences()
        return Overview(
            f"{len(self.table)} laws compared by {self.by}",
            {"": self.table.rename_axis("law").reset_index()},
            tuple(text for text in sentences if not text.startswith("!")),
            tuple(text[2:] for text in sentences if text.startswith("!")),
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """By how much each law missed each held-out point."""
        return self._draw("laws_compared", self, ax=ax)

    @property
    def winner(self) -> str:
        """The law of the best score; `rivals` says what the data cannot tell it from."""
        return str(self.table.index[0])

    @cached_property
    def results(self) -> dict[str, Result]:
        """Each law fitted to all points: on demand, as a comparison alone needs no intervals."""
        return {name: fit_law() for name, fit_law in self.fits.items()}

    @property
    def best(self) -> Result:
        """The winner, fitted to all points."""
        return self.results[self.winner]

    @property
    def rivals(self) -> tuple[str, ...]:
        """Laws that the held-out points do not tell apart from the winner."""
        runners_up = self.table.iloc[1:]
        return tuple(runners_up.index[runners_up["behind"] < TOLD])

    def predict(self, data: pd.DataFrame, level: float | None = None) -> pd.DataFrame:
        """The winner at other points; beyond the range its intervals include other laws.

        These are the laws whose held-out error is at most twice the winner's.
        """
        error = self.table["held_out"]
        near = error.index[error <= _BEYOND_BELIEF * error.iloc[0]][1:]
        return self.best.predict(data, level, beside=[self.results[name] for name in near])

    def sentences(self) -> list[str]:
        """Which law predicts best, or that the points cannot tell; and caveats."""
        table, winner = self.table, self.winner
        row = table.loc[winner]
        sentences = [
            f"Cannot tell {winner} from {', '.join(self.rivals)}: their order could turn with "
            "other draws of the runs. law=auto averages laws."
            if self.rivals
            else f"{winner} predicts best: error {row['held_out']:.2%} held out, "
            f"{row['in_sample']:.2%} in sample."
        ]
        if len(self.origins) == 1:
            sentences.append(
                "One origin both selects and scores the law: its true error is larger."
            )
        if row["one_sided"] >= _SIDES:
            side = "high" if row["bias"] > 0 else "low"
            sentences.append(
                f"! {row['one_sided']:.0%} of its predictions are too {side}: the error grows "
                "farther out."
            )
        smallest = table["in_sample"].idxmin()
        if smallest != winner:
            sentences.append(f"{smallest} has the smallest error in sample, but predicts worse.")
        if self.not_scored.rows:
            sentences.append(f"! {self.not_scored.sentence}")
        return sentences

    def report(self) -> str:
        """The table, the verdict and caveats as text."""
        predictions = self.predictions
        points = predictions[["origin", "row"]].drop_duplicates()
        title = (
            f"[[{len(self.table)} laws by {self.by}: {len(points)} points ahead of"
            f" {len(self.origins)} origin{'s' if len(self.origins) > 1 else ''}]]"
        )
        lines = [_row(name, row) for name, row in self.table.iterrows()]
        header = f"{'law':<24}{'free':>5}{'in sample':>11}{'held out':>10}{'score':>8}{'bias':>9}"
        body = [header + f"{'one side':>10}{'behind':>8}", *lines, *self.sentences()]
        return "\n".join([title, *(f"    {line}" for line in body)])


def _row(name: object, row: pd.Series) -> str:
    behind = "" if np.isnan(row["behind"]) else f"{row['behind']:.0%}"
    return (
        f"{name:<24}{row['free']:>5.0f}{row['in_sample']:>11.2%}{row['held_out']:>10.2%}"
        f"{row['score']:>8.2f}{row['bias']:>+9.2%}{row['one_sided']:>10.0%}{behind:>8}"
    )

"""Laws compared by their predictions of held-out budgets, for the report of a study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.choice.score import TOLD
from scalinglab.analysis.fitting.best_fit import FitOptions
from scalinglab.analysis.fitting.law_choice import choose_laws
from scalinglab.analysis.fitting.mixture import Mixture
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.registry import AUTO


@dataclass(frozen=True)
class LawsCompared:
    """Laws of N and D, each fitted without the largest budgets and predicting these.

    Attributes
    ----------
    law : str
        The law of the study, or ``auto``.
    table : DataFrame
        One row per law, the largest share first; see `scalinglab.analysis.fitting.law_choice`.
    points, origins : int
        Predicted points, and from how many cuts.
    not_scored : int
        Runs far from every law that fits the others: they count in no score.
    """

    law: str
    table: pd.DataFrame
    points: int
    origins: int
    not_scored: int = 0

    @property
    def rivals(self) -> list[str]:
        """Laws that other draws of the runs could put before the best."""
        return [str(name) for name in self.table.index[self.table["behind"] < TOLD]]

    def is_rejected(self, law: str) -> bool:
        """Whether the runs tell a law from the best one, which predicts better."""
        if not self.origins or law not in self.table.index or law in self.rivals:
            return False
        return law != self.table["score"].idxmax()

    def other_law(self, law: str, usual: str) -> str | None:
        """The law beside which another is varied: the usual one, or one that is not rejected."""
        by_score = [str(name) for name in self._by_score().index]
        others = [name for name in (usual, *by_score) if name != law]
        return next((name for name in others if not self.is_rejected(name)), None)

    def sentence(self) -> str:
        """Which law predicts best, or that the runs cannot tell; and how the study's own does."""
        if not self.origins:
            return (
                "Laws compared: these runs have too few budgets to leave some out, so nothing says"
                " which law predicts best."
            )
        best = str(self.table["score"].idxmax())
        verdict = (
            f"{best} has the best score, and the runs cannot tell it from {', '.join(self.rivals)}"
            if self.rivals
            else f"{best} predicts best"
        )
        own_law = ""
        if self.law in self.table.index and self.law != best:
            own_law = f"; the law of this study, {self.law}, was {self._off(self.law)}"
            own_law += (
                " and may stand (study.answer.law=auto averages them)"
                if self.law in self.rivals
                else f": choose {best} or auto (study.answer.law)"
            )
        without = f" ({self.not_scored} far from every law not counted)" if self.not_scored else ""
        return (
            f"Laws compared by {self.points} predictions of budgets that they had not seen"
            f"{without}: {verdict}. {best} was {self._off(best)}{own_law}."
        )

    def _off(self, law: str) -> str:
        """The error of a law, of which rows its fit is, and the error of its fit to all rows."""
        row = self.table.loc[law]
        off = f"{row['error']:.2%} off"
        if not row["window"]:
            return off
        answer = ", as this answer is" if law == self.law else ""
        whole = row.get("whole_error", np.nan)  # absent in mixtures stored earlier
        to_all = f"; fitted to all{answer}, {whole:.2%} off" if np.isfinite(whole) else ""
        return f"{off} (fitted without the smallest {row['window']:.0%} of the runs{to_all})"

    def shown(self) -> pd.DataFrame:
        """The laws for a page, the best score first, and whether each is told from the best."""
        table = self._by_score()
        best = table["score"].idxmax() if self.origins else None
        return pd.DataFrame(
            {
                "law": table.index,
                "score": _written(table["score"], table["score"].notna(), ".2f"),
                "error": _written(table["error"], table["score"].notna(), ".2%"),
                "fitted without": [
                    f"the smallest {window:.0%}" if window else "" for window in table["window"]
                ],
                "error fitted to all": self._whole_errors(table),
                "against the best": [
                    "best" if name == best else _against(str(best), behind)
                    for name, behind in table["behind"].items()
                ],
                "formula": [find(str(name)).formula for name in table.index],
            }
        )

    def details(self) -> pd.DataFrame:
        """What the order rests on, in the rows of `shown`."""
        table = self._by_score()
        has_score = table["score"].notna()
        return pd.DataFrame(
            {
                "law": table.index,
                "parameters": table["free"],
                "error expected at the largest budget": _written(table["bias"], has_score, "+.2%"),
                "weight in an average": [f"{s:.0%}" for s in table["share"]],
                "reference": self.references(),
            }
        )

    def _whole_errors(self, table: pd.DataFrame) -> list[str]:
        """Errors of the fits to all runs; mixtures stored earlier have none."""
        errors = table.get("whole_error", pd.Series(np.nan, table.index))
        return _written(errors, table["score"].notna() & errors.notna(), ".2%")

    def references(self) -> list[str]:
        """The papers of the laws, in the rows of `shown`."""
        return [find(str(name)).source for name in self._by_score().index]

    def _by_score(self) -> pd.DataFrame:
        return self.table.sort_values("score", ascending=False, kind="stable")


def _against(best: str, behind: float) -> str:
    """Whether a law is told from the best, and in which share of other draws it is ahead."""
    if np.isnan(behind):
        return ""
    return f"{'tie' if behind < TOLD else 'behind'}: ahead of {best} in {1 - behind:.0%} of draws"


def _written(values: pd.Series, known: pd.Series, form: str) -> list[str]:
    return [f"{value:{form}}" if k else "" for value, k in zip(values, known, strict=True)]


def laws_compared(
    runs: pd.DataFrame,
    result: Result,
    *,
    delta: float | str | None = None,
    beyond: float | None = None,
    mix_fingerprints: bool = False,
) -> LawsCompared | None:
    """Compare the laws that `law=auto` mixes; None if the study's law reads more than N and D.

    A mixture compared them when it was fitted: its comparison is used.

    Parameters
    ----------
    runs : DataFrame
        Those that the study fits.
    result : Result
        The study's fit of these runs.
    delta, beyond, mix_fingerprints
        As in `analysis.fit`.

    Raises
    ------
    UserError
        If none of the laws can be fitted to the runs.
    """
    if isinstance(result, Mixture):
        return LawsCompared(
            AUTO,
            result.laws,
            result.held_out_points,
            result.held_out_origins,
            result.not_scored,
        )
    if set(result.law.inputs) != {"N", "D"}:
        return None
    options = FitOptions(delta=delta, mix_fingerprints=mix_fingerprints)
    choice = choose_laws(runs, options, beyond)
    name = result.law.name
    return LawsCompared(
        name, choice.table, len(choice.held.row), len(choice.origins), choice.not_scored
    )

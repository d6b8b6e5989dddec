"""The figures of a report: which ones an answer has, and what each shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.analysis.decisions.isoflop import isoflop_minima
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from scalinglab.analysis.decisions.isoflop import Minima
    from scalinglab.analysis.reporting.answer import Answer

WIDTH = 5.4  # inches: text is legible on a telephone, and not huge beside another figure
Captioned = tuple[str, "Figure"]
_LEAST_MINIMA = 2  # IsoFLOP budgets with a minimum, from which the runs are an IsoFLOP design


def drawn(draw: Callable[..., Axes], *args: Any, ratio: float = 0.7, **options: Any) -> Figure:
    """A figure of the report's size."""
    # matplotlib takes half a second to import: only drawing waits for it.
    from scalinglab.analysis.plot.style import figure_of, panels

    (ax,) = panels(WIDTH, ratio)
    draw(*args, ax=ax, **options)
    return figure_of(ax)


class ReportFigures:
    """Figures of one answer, each drawn when it is asked for."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        runs = answer.runs[answer.runs["status"] == State.DONE]
        self.fitted = with_role(runs, "fit")
        held_out = with_role(runs, "held_out")
        self.held_out = held_out if len(held_out) else None
        self.budgets = (
            () if answer.allocation is None else tuple(answer.allocation.table["C"].astype(float))
        )
        self.minima = self._minima()

    def _minima(self) -> Minima | None:
        """Of IsoFLOP curves, where the runs have some."""
        if self.answer.approaches is not None:
            found = self.answer.approaches.minima
            return found if len(found.found) >= _LEAST_MINIMA else None
        if not {"N", "C", "loss"} <= set(self.fitted):
            return None
        try:
            found = isoflop_minima(self.fitted)
        except UserError:
            return None
        return found if len(found.found) >= _LEAST_MINIMA else None

    def leading(self) -> list[Captioned]:
        """What supports the answer's one sentence."""
        from scalinglab.analysis import plot

        arms = self.arms()
        if arms:
            return arms
        shown = [
            (
                "Loss against compute. Points: runs, coloured by size. Black: the law's least loss "
                "at each C; coloured lines: the law at some sizes.",
                drawn(
                    plot.loss_against_compute,
                    self.answer.law,
                    self.fitted,
                    held_out=self.held_out,
                    budgets=self.budgets,
                ),
            )
        ]
        if self.budgets:
            caption = "The best size at each compute budget."
            shown.insert(0, (caption, self._split(plot.best_size)))
        return shown

    def _split(self, draw: Callable[..., Axes]) -> Figure:
        return drawn(draw, self.answer.law, self.fitted, self.budgets, minima=self.minima)

    def splits(self) -> list[Captioned]:
        """How tokens and their ratio grow, and the loss over both; none without budgets."""
        from scalinglab.analysis import plot

        shown = []
        if self.minima is not None:
            shown.append(
                (
                    "IsoFLOP curves: a parabola through the runs of each budget, and its minimum.",
                    drawn(plot.isoflop, self.fitted, minima=self.minima),
                )
            )
        if not self.budgets:
            return shown
        return [
            *shown,
            ("The best number of tokens at each compute budget.", self._split(plot.best_tokens)),
            ("Tokens per parameter at the best split.", self._split(plot.best_ratio)),
            (
                "The law's loss over size and tokens. The black path joins the best splits.",
                drawn(plot.iso_loss, self.answer.law, self.fitted, self.budgets),
            ),
        ]

    def law(self) -> list[Captioned]:
        """The law through its runs, and what it misses."""
        from scalinglab.analysis import plot

        law = self.answer.law
        together: dict[str, Any] = {"held_out": self.held_out}
        shown = []
        if self.answer.outlook is not None and self.answer.outlook.arms is not None:
            text = "Loss against compute, all arms together."
            figure = drawn(
                plot.loss_against_compute, law, self.fitted, budgets=self.budgets, **together
            )
            shown.append((text, figure))
        shown.append(
            (
                "Measured over predicted loss of each run.",
                drawn(plot.residuals, law, self.fitted, **together),
            )
        )
        if _reducible(law):
            text = "The loss above the fitted floor: straight where the law is a power law."
            shown.append((text, drawn(plot.reducible_loss, law, self.fitted, **together)))
        for x, other in (("N", "tokens"), ("D", "size")):
            if x in law.law.inputs:
                text = f"Loss against {x}; colour: {other}."
                shown.append((text, drawn(plot.loss_against, law, self.fitted, x, **together)))
        return shown

    def curves(self) -> list[Captioned]:
        """Curves under several schedules beside the law of curves, and the schedules."""
        from scalinglab.analysis import plot

        law, curves = self.answer.curve_law, self.answer.curves
        if law is None:
            return []
        held_out = set(self.answer.curve_check["run"])
        return [
            (
                "Validation curves under several schedules. Points: measured; lines: the curve law.",
                drawn(plot.curves, curves, law, held_out=held_out),
            ),
            ("The learning rates of these runs.", drawn(plot.learning_rates, curves)),
        ]

    def arms(self) -> list[Captioned]:
        """The compared recipes: speed-up and ratio of losses along compute."""
        from scalinglab.analysis import plot

        found = None if self.answer.outlook is None else self.answer.outlook.arms
        if found is None or not len(found.pairs.table):
            return []
        a, b = found.arms
        shown = [
            (
                f"Loss of {b} over that of {a}. Points: paired runs; below zero {b} is better.",
                drawn(plot.arm_ratio, found),
            )
        ]
        if found.result is not None:
            text = f"The compute that {a} needs for the loss of {b}: above 1 {b} saves compute."
            shown.insert(0, (text, drawn(plot.speed_up, found)))
        return shown

    def multiverse(self) -> list[Captioned]:
        """Every analysis variant's answer, and the choices' shares."""
        from scalinglab.analysis import plot

        found = self.answer.multiverse
        if found is None or found.shares.empty:
            return []
        return [
            ("The answer of every analysis variant.", drawn(plot.multiverse, found)),
            ("How much each choice matters.", drawn(plot.multiverse_shares, found)),
        ]


def _reducible(law: Any) -> bool:
    from scalinglab.analysis.plot.law_lines import of_size_and_tokens

    return len(law.law.parameters_with_role("floor")) == 1 and of_size_and_tokens(law)


def run_curves(curves: pd.DataFrame, most_runs: int, points: int) -> dict[str, tuple[list, list]]:
    """Validation losses of each run, thinned; none where there are too many runs."""
    import numpy as np

    found = {}
    groups = list(curves.groupby("run"))
    for run, own in groups if len(groups) <= most_runs else ():
        known = own[own["loss"].notna()]
        if len(known) < 2:
            continue
        kept = known.iloc[np.unique(np.linspace(0, len(known) - 1, points).astype(int))]
        losses = [round(float(v), 4) for v in kept["loss"]]
        found[str(run)] = ([int(v) for v in kept["step"]], losses)
    return found

"""The figures of a report, by the answer.

matplotlib takes half a second to import: this file is imported when a report is written.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.decisions.approaches import NAMES
from scalinglab.analysis.decisions.isoflop import isoflop_minima
from scalinglab.analysis.plot.best_split_figure import draw_split
from scalinglab.analysis.plot.iso_loss_figure import draw_iso_loss
from scalinglab.analysis.plot.law_lines import of_size_and_tokens
from scalinglab.analysis.plot.layers import layers
from scalinglab.analysis.plot.speed_up_figure import goes_on
from scalinglab.analysis.plot.split_path import SplitPath, split_path
from scalinglab.analysis.reporting import arm_captions, captions
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scalinglab.analysis.arms.comparison import ArmComparison
    from scalinglab.analysis.decisions.isoflop import Minima
    from scalinglab.analysis.reporting.answer import Answer
    from scalinglab.analysis.reporting.outlook import Outlook
    from scalinglab.analysis.reporting.reported_runs import RunsWithoutLaw

_LEAST_MINIMA = 2  # IsoFLOP budgets with a minimum, from which their figure is drawn
_DESIGN_MINIMA = 3  # and from which they are the design of the study
_AGAINST_COMPUTE = (
    "Loss against compute. Points: runs, coloured by size. Thick line: the law's least loss at each"
    " C"
)
_DASHED = " Dashed: N, D, their ratio or their product lies outside the fitted range."
_SIZE_LINES = "; thin lines: the law at the sizes written beside them"


def figures_without_law(study: RunsWithoutLaw) -> list[Captioned]:
    """The losses of runs that have no law, of compared arms by arm."""
    if arms := _of_arms(study.outlook):
        return arms
    runs = study.runs[study.runs["status"] == State.DONE]
    held_out = with_role(runs, "held_out")
    fitted = with_role(runs, "fit")
    if fitted.empty:
        return []
    text = "Loss against compute. Points: runs, coloured by size."
    return [(text, drawn(plot.loss_against_compute, None, fitted, held_out=held_out))]


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
            minima = self.answer.approaches.minima
            return minima if len(minima.found) >= _LEAST_MINIMA else None
        if not {"N", "C", "loss"} <= set(self.fitted):
            return None
        try:
            minima = isoflop_minima(self.fitted)
        except UserError:
            return None
        return minima if len(minima.found) >= _LEAST_MINIMA else None

    def leading(self) -> list[Captioned]:
        """What supports the answer's one sentence."""
        arms = _of_arms(self.answer.outlook)
        if arms:
            return arms
        # The curves of an IsoFLOP design are its evidence; loss against compute is the law's then.
        evidence = self._isoflop() if self._is_isoflop else self._against_compute()
        captioned = [(self._growth("N"), self._split("N"))] if self.budgets else []
        (text, figure), *others = [*captioned, evidence]
        return [(text + _DASHED, figure), *others]  # once on a page

    @property
    def _sizes(self) -> list[float]:
        """Those that colours of the page's figures span."""
        tables = [table for table in (self.fitted, self.held_out) if table is not None]
        return [n for table in tables if "N" in table for n in table["N"].dropna()]

    def _growth(self, quantity: str) -> str:
        allocation = self.answer.allocation
        assert allocation is not None  # budgets are of its table
        envelope = self._envelope
        marks = ["crosses: the budgets of the answer"]
        if envelope is not None and len(envelope):
            marks.append("plus signs: the envelope of final losses")
        if self.minima is not None:
            marks.append("diamonds: the minima of IsoFLOP curves")
        text = "; ".join(marks)
        return f"{captions.growth(allocation, quantity)} {text[0].upper()}{text[1:]}."

    @cached_property
    def _path(self) -> SplitPath:
        """Best splits along compute: found once for the four figures that show them."""
        return split_path(self.answer.law, self.fitted, self.budgets)

    def _split(self, quantity: str) -> Figure:
        return drawn(draw_split, self._path, quantity, self.minima, envelope=self._envelope)

    @property
    def _envelope(self) -> pd.DataFrame | None:
        """What the envelope of final losses gives for the budgets, if it gives anything."""
        approaches = self.answer.approaches
        if approaches is None:
            return None
        return approaches.table[approaches.table["approach"] == NAMES[1]]

    @property
    def _is_isoflop(self) -> bool:
        """Whether the runs are an IsoFLOP design, and not some that happen to have equal C."""
        return self.minima is not None and len(self.minima.found) >= _DESIGN_MINIMA

    def _isoflop(self) -> Captioned:
        assert self.minima is not None
        figure = drawn(plot.isoflop, self.fitted, minima=self.minima)
        return captions.isoflop(self.minima, self.answer.approaches), figure

    def _against_compute(self) -> Captioned:
        figure = drawn(
            plot.loss_against_compute,
            self.answer.law,
            self.fitted,
            held_out=self.held_out,
            budgets=self.budgets,
        )
        every = [layer.name for ax in figure.axes for layer in layers(ax)]
        lines = [name for name in every if name.startswith("law at")]
        return f"{_AGAINST_COMPUTE}{_SIZE_LINES if lines else ''}.", figure

    def splits(self) -> list[Captioned]:
        """How tokens and their ratio grow, and the loss over both; none without budgets."""
        captioned = []
        if self.minima is not None and not self._is_isoflop and not self.answer.compares_arms:
            captioned.append(self._isoflop())
        allocation = self.answer.allocation
        if not self.budgets or allocation is None:
            return captioned
        ratio = captions.tokens_per_parameter(allocation)
        return [
            *captioned,
            (self._growth("D"), self._split("D")),
            (ratio, self._split("tokens_per_parameter")),
            (
                "The law's loss over size and tokens. The path joins the best splits; along a"
                " dotted line compute is equal.",
                drawn(draw_iso_loss, self.answer.law, self._path),
            ),
        ]

    def law(self) -> list[Captioned]:
        """The law through its runs, and what it misses."""
        law = self.answer.law
        together: dict[str, Any] = {"held_out": self.held_out}
        captioned = []
        if self.answer.compares_arms:
            # Lines of one law between two recipes would tell of neither: what it misses does.
            text = (
                "What one law for all recipes misses: predicted over measured loss of each run, minus"
                " one."
            )
            one_law = drawn(plot.residuals, law, self.fitted, arm=self.answer.arm, **together)
            return [(text, one_law)]
        if self._is_isoflop:
            captioned.append(self._against_compute())
        captioned.append(
            (
                f"{captions.misfit(law, self.fitted)} The error of the law at each run: predicted"
                " over measured loss, minus one; above zero the law predicts a higher loss than was"
                " measured. Band: the interval of a run, as the law is uncertain and runs are"
                " noisy.",
                drawn(plot.residuals, law, self.fitted, **together),
            )
        )
        if _reducible(law):
            text = "The loss above the fitted floor: straight where the law is a power law."
            if self.held_out is not None:
                text += " Thin lines: the law at the sizes of held-out runs."
            captioned.append((text, drawn(plot.reducible_loss, law, self.fitted, **together)))
        if self._is_isoflop:
            # Runs of one size or one number of tokens are few there: lines at such values would
            # cross the arcs of the budgets, and look like misfit.
            return captioned
        for x, colour in (("N", "tokens"), ("D", "size")):
            if x in law.law.inputs:
                text = f"Loss against {x}; colour: {colour}. Lines: the law; where one is flat,"
                text += f" more {x} alone does not help."
                captioned.append((text, drawn(plot.loss_against, law, self.fitted, x, **together)))
        return captioned

    def curves(self) -> list[Captioned]:
        """Curves under several schedules beside the law of curves, and the schedules."""
        law, curves = self.answer.curve_law, self.answer.curves
        if law is None:
            return []
        held_out = set(self.answer.curve_check["run"])
        figure = drawn(plot.curves, curves, law, held_out=held_out, sizes=self._sizes)
        every = [layer.name for ax in figure.axes for layer in layers(ax)]
        has_law = any(name.startswith("law, ") for name in every)
        shown = (
            "Points: measured; lines: the curve law"
            if has_law
            else "Lines: measured; the curve law is not drawn, as there are too many curves"
        )
        return [
            (
                f"Validation curves under several schedules, without their steep start. {shown}.",
                figure,
            ),
            ("The learning rates of these runs.", drawn(plot.learning_rates, curves)),
        ]

    def multiverse(self) -> list[Captioned]:
        """Every analysis variant's answer, and the choices' shares."""
        multiverse = self.answer.multiverse
        if multiverse is None or multiverse.shares.empty:
            return []
        splits = None if self.answer.allocation is None else self.answer.allocation.table
        # The variants are of the largest budget.
        answer = None if splits is None else float(splits.sort_values("C")["N"].iloc[-1])
        return [
            (
                captions.variants(multiverse, answer),
                drawn(plot.multiverse, multiverse, answer=answer),
            ),
            (captions.choices(multiverse), drawn(plot.multiverse_shares, multiverse)),
        ]


def _of_arms(outlook: Outlook | None) -> list[Captioned]:
    """The compared recipes: differences of pairs, and what the compute of one is worth.

    A difference of a percent cannot be seen among losses: they lead only where no runs are paired.
    """
    comparison = None if outlook is None else outlook.arms
    if comparison is None or comparison.runs.empty:
        return []
    if comparison.result is None:
        return [*_arm_pairs(comparison), _arm_losses(comparison)]
    evidence = _arm_pairs(comparison) or [_arm_losses(comparison)]
    figure = drawn(plot.speed_up, comparison)
    return [*evidence, (arm_captions.multiplier(comparison, goes_on(figure.axes[0])), figure)]


def other_arm_figures(comparison: ArmComparison) -> list[Captioned]:
    """The losses of both arms, where pairs and laws support the answer before them."""
    if comparison.result is None or not len(comparison.pairs.table):
        return []
    return [_arm_losses(comparison)]


def _arm_losses(comparison: ArmComparison) -> Captioned:
    return arm_captions.losses(comparison), drawn(plot.arm_losses, comparison)


def _arm_pairs(comparison: ArmComparison) -> list[Captioned]:
    """The ratio of losses of paired runs; none without pairs."""
    ratios = comparison.pairs.table["ratio"] if len(comparison.pairs.table) else ()
    if not len(ratios):
        return []
    return [(arm_captions.pairs(comparison), drawn(plot.arm_ratio, comparison))]


def _reducible(law: Any) -> bool:
    return len(law.law.parameters_with_role("floor")) == 1 and of_size_and_tokens(law)

"""Figures can be read: names of lines stand apart, ticks are short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from scalinglab import analysis
from scalinglab.analysis.reporting import figures


@pytest.mark.parametrize(("value", "text"), [(1e8, "1e8"), (2e10, "2e10"), (1.0, "1e0")])
def test_a_power_is_written_without_a_needless_zero(value: float, text: str) -> None:
    assert figures._power(value) == text


def test_lines_that_run_together_have_names_one_above_the_other() -> None:
    ax = Figure().subplots()
    for k in range(4):
        ax.plot([1, 10], [2, 1 + 1e-4 * k], label=f"line {k}")
    ax.set_yscale("log")
    figures._name_lines(ax)
    heights = [text.xy[1] for text in ax.texts]
    assert [text.get_text() for text in ax.texts] == [f"line {k}" for k in range(4)]
    assert np.diff(heights).min() >= figures._APART - 1e-12
    low, high = np.log(ax.get_ylim())
    assert heights[0] == pytest.approx((np.log(1) - low) / (high - low))


def test_a_run_far_from_the_law_is_marked_at_the_edge_and_presses_nothing(tmp_path, made_by):
    table, _ = made_by("chinchilla", noise=0.003)
    table.loc[35, "loss"] = 9.8
    table.to_csv(tmp_path / "sweep.csv", index=False)
    analysis.save_study(
        analysis.read_runs(tmp_path / "sweep.csv"), tmp_path, "wild", held_out="N > 2e9 and D < 2e9"
    )
    answer = analysis.answer_study(tmp_path, "wild", resamples=0)
    good = table["loss"].drop(35)
    for figure in (
        figures.loss_against_compute(answer),
        figures.loss_against_size_and_tokens(answer),
    ):
        for ax in figure.axes:
            low, high = ax.get_ylim()
            assert low < good.min() and good.max() < high < 9
            assert any(text.get_text() == "9.8" for text in ax.texts)
    (ax,) = figures.residuals(answer).axes
    assert ax.get_ylim()[1] < 50 and len(ax.texts) == 1
    assert any("far from the law" in text for text in answer.law.warnings)


def test_a_law_that_reads_more_than_size_and_tokens_is_drawn_as_its_runs_alone(finished) -> None:
    """Of experts, say, it would be one line each; and where C is not 6 N D a size may have none."""
    answer = analysis.answer_study(finished, "tiny", resamples=0)
    runs = answer.runs.assign(N_loop=answer.runs["N"] / 2, loops=1 + answer.runs.index % 3)
    law = analysis.fit("looped", runs[runs["loss"].notna()], resamples=0, mix_fingerprints=True)
    for draw in (figures.loss_against_compute, figures.loss_against_size_and_tokens):
        assert draw(answer).axes[0].lines
        assert not draw(replace(answer, runs=runs, law=law)).axes[0].lines
    idle = answer.runs.assign(C=answer.runs["C"] / 1e3)
    figures.loss_against_compute(replace(answer, runs=idle))

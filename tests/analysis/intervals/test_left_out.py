"""Intervals of curve laws on schedules that the fit has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.intervals.left_out import (
    NONE_LEFT_OUT,
    USUAL_MISS,
    few_curves_in_words,
    unseen_half_width,
)
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.tables.thinning import FEW_ROWS

PARAMS = dict(L0=2.5, A=0.9, alpha=0.45, C=0.8, lam=0.985)


def curves(extra: float = 0.0, lengths: tuple[int, ...] = (300, 400, 600)) -> pd.DataFrame:
    """Curves of the momentum law; `extra` times the drop so far is an effect that it cannot have.

    Three shapes at each length: linear and cosine cooldowns, to zero or to half of the peak.
    """
    law, rng, tables = LAWS["lr_annealing"], np.random.default_rng(0), []
    for length in lengths:
        for kind in ("wsd", "cosine", "half"):
            step = np.arange(length + 1)
            share = step / length
            fall = np.clip((1 - share) / 0.3, 0.0, 1.0)
            if kind != "wsd":
                low = 0.5 if kind == "half" else 0.0
                fall = low + (1 - low) * (1 + np.cos(np.pi * share)) / 2
            lr = 3e-3 * np.minimum(step / 40, 1) * fall
            run = pd.DataFrame({"run": f"{kind} {length}", "step": step, "lr": lr})
            made = law.predict(np.array([[PARAMS[p] for p in law.names]]), law.read(run))[0]
            made = made * (1 + extra * (1 - lr / 3e-3) ** 2)
            noisy = made * np.exp(0.001 * rng.standard_normal(len(step)))
            tables.append(run.assign(loss=np.where(step % 20 == 0, noisy, np.nan)))
    return pd.concat(tables, ignore_index=True)


def held_out(table: pd.DataFrame, kind: str, **options: bool) -> pd.DataFrame:
    """Last losses of the runs of a kind, predicted from all other runs."""
    asked = table.run.str.startswith(kind)
    law = analysis.fit("lr_annealing", table[~asked], resamples=100, starts=8)
    rows = []
    for _, own in table[asked].groupby("run"):
        rows.append(law.predict(own, level=0.95, **options).iloc[-1].to_dict())
        rows[-1]["measured"] = own.loss.iloc[-1]
    return pd.DataFrame(rows)


def inside(found: pd.DataFrame) -> pd.Series:
    return found.measured.between(found.lower, found.upper)


@pytest.mark.long
def test_schedules_that_a_misspecified_law_misses_are_inside() -> None:
    """Each curve from all others, of schedules whose drops have an effect the law cannot have.

    Of nine curves 95 % are eight or nine.
    """
    table = curves(extra=0.02)
    own, wide = (
        pd.concat([held_out(table, run, unseen=unseen) for run in table.run.unique()])
        for unseen in (False, True)
    )
    assert inside(own).mean() < 0.6 and inside(wide).sum() >= 8
    assert (wide.lower <= own.lower).all() and (wide.upper >= own.upper).all()


def test_where_the_law_is_right_its_intervals_stay_narrow() -> None:
    found = held_out(curves(), "half")
    assert inside(found).all()
    assert (np.log(found.upper / found.lower) / 2).max() < 1.5 * USUAL_MISS


def test_the_rule_grows_with_the_misses_and_falls_with_their_number() -> None:
    none, few, many = (unseen_half_width(0.0, np.full(n, 0.001), 0.95) for n in (0, 3, 12))
    assert none > few > many > 2 * 0.001
    assert unseen_half_width(0.0, np.full(12, 0.01), 0.95) > 3 * many
    assert unseen_half_width(0.5, np.zeros(3), 0.95) == 0.5  # never narrower than the law's own
    assert np.isnan(unseen_half_width(0.01, np.array([np.nan]), 0.95))


def test_a_miss_counts_by_how_little_the_other_curves_knew() -> None:
    """Leverage is what shifts of whole curves do to a prediction, by refits with such shifts."""
    table = curves(lengths=(300, 400))
    law = analysis.fit("lr_annealing", table, resamples=0, starts=8)
    asked = table[table.run == "half 400"].assign(lr=lambda t: t.lr.where(t.step < 200, 1e-3))
    columns = law.law.read(asked, np.arange(len(asked)) == len(asked) - 1)
    value, jacobian = law.law.jacobian(np.array([list(law.params.values())]), columns)
    slopes = jacobian[0] / value[0]
    leverage = float(slopes[:, 0] @ law.left_out.moved @ slopes[:, 0])
    squared = 0.0
    for run in table.run.unique():
        shifted = table.assign(loss=table.loss * np.where(table.run == run, np.exp(2e-4), 1.0))
        moved = analysis.fit("lr_annealing", shifted, resamples=0, starts=8)
        squared += (np.log(moved.predict(asked).loss.iloc[-1] / value[0, 0]) / 2e-4) ** 2
    assert squared == pytest.approx(leverage, rel=0.5)
    half = law.unseen_half_width(columns, 0.95)
    without = replace(law.left_out, moved=0 * law.left_out.moved)
    narrow = replace(law, left_out=without).unseen_half_width(columns, 0.95)
    assert half == pytest.approx(narrow * np.sqrt(1 + leverage))


def test_few_curves_say_what_they_cannot_know() -> None:
    table = curves(lengths=(400,))
    two = analysis.fit("lr_annealing", table[~table.run.str.startswith("half")], starts=8)
    three = analysis.fit("lr_annealing", table, starts=8)
    assert two.left_out.runs == () and len(three.left_out) == 3
    assert few_curves_in_words(2) in two.warnings and few_curves_in_words(3) in three.warnings
    assert few_curves_in_words(4) == ""


def test_refits_without_a_curve_are_kept_with_the_fit(tmp_path) -> None:
    law = analysis.fit("lr_annealing", curves(lengths=(300, 400)), resamples=20, starts=8)
    law.save(tmp_path / "fit.json")
    stored = analysis.read_fit(tmp_path / "fit.json").left_out
    assert stored.runs == law.left_out.runs and len(stored) == 6
    assert stored.missed == pytest.approx(law.left_out.missed)
    assert stored.params == pytest.approx(law.left_out.params)
    np.testing.assert_allclose(stored.leverage, law.left_out.leverage)
    np.testing.assert_allclose(stored.moved, law.left_out.moved)
    assert analysis.fit("chinchilla", _surface(), resamples=0).left_out is NONE_LEFT_OUT


def test_intervals_of_long_curves_are_those_of_every_step(monkeypatch) -> None:
    law = analysis.fit("lr_annealing", curves(), resamples=50, starts=8)
    law = replace(law, residuals=0 * law.residuals)  # else each row draws noise of its own
    step = np.arange(20 * FEW_ROWS)
    lr = 3e-3 * np.minimum(step / 40, 1) * np.where(step < 5000, 1.0, 0.1)
    long = pd.DataFrame({"run": "long", "step": step, "lr": lr})
    some = law.predict(long, level=0.95, unseen=False)
    monkeypatch.setattr("scalinglab.analysis.fitting.result.FEW_ROWS", len(step))
    every = law.predict(long, level=0.95, unseen=False)
    assert (some.loss.dropna() == every.loss.dropna()).all()
    for end in ("lower", "upper"):
        assert (some[end].isna() == every[end].isna()).all()
        assert np.abs(np.log(some[end] / every[end])).max() < 1e-3


def _surface() -> pd.DataFrame:
    N, D = np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5))
    runs = pd.DataFrame({"N": N.ravel(), "D": D.ravel()})
    return runs.assign(loss=1.7 + 400 / runs.N**0.34 + 1800 / runs.D**0.37)

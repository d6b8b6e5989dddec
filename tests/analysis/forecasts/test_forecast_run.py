"""Forecasts of final losses from a part of a curve and the schedule still to come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.forecasts.forecast_run import Basis, fit_basis
from scalinglab.analysis.laws import LAWS
from scalinglab.scaling.errors import UserError

PARAMS = dict(L0=2.5, A=0.9, alpha=0.45, C=0.8, lam=0.985)


def curves(count: int = 8, noise: float = 0.001, offset: float = 0.0) -> pd.DataFrame:
    """Runs of the momentum law with several cooldowns; each lies some constant share off it."""
    rng = np.random.default_rng(0)
    step = np.arange(401)
    law = LAWS["lr_annealing"]
    tables = []
    for k in range(count):
        share = 0.1 + 0.1 * (k % 4)
        lr = 3e-3 * np.minimum(step / 40, 1) * np.clip((401 - step) / (share * 400), 0, 1)
        lr = lr if k % 4 else 3e-3 * np.minimum(step / 40, 1) * (0.6 + 0.4 * np.cos(step / 128))
        run = pd.DataFrame({"run": f"run {k}", "step": step, "lr": lr, "N": 1e6})
        made = law.predict(np.array([[PARAMS[p] for p in law.names]]), law.read(run))[0]
        own = np.exp(offset * rng.standard_normal() + noise * rng.standard_normal(len(step)))
        tables.append(run.assign(loss=np.where(step % 20 == 0, made * own, np.nan)))
    return pd.concat(tables, ignore_index=True)


def part(table: pd.DataFrame, run: str, share: float) -> tuple[float, pd.DataFrame]:
    own = table[table.run == run]
    known = own.step <= share * own.step.max()
    return float(own.loss.iloc[-1]), own.assign(loss=own.loss.where(known & (share > 0)))


def test_the_cooldown_still_to_come_is_foretold() -> None:
    table = curves()
    measured, half = part(table, "run 3", 0.5)
    found = analysis.forecast_run(table, half, resamples=50)
    assert found.loss == pytest.approx(measured, rel=0.003)
    assert found.lower <= measured <= found.upper and found.share == pytest.approx(0.5)
    last_seen = half.loss.dropna().iloc[-1]
    assert found.loss < last_seen - 0.1 and found.inside
    assert "from 50% of the curve by lr_annealing" in found.report()


def test_unfinished_curves_of_one_table_are_forecast() -> None:
    table = curves()
    measured, half = part(table, "run 3", 0.5)
    both = pd.concat([table[table.run != "run 3"], half])
    found = analysis.forecast_curves(both, resamples=20)
    assert found.run_id.tolist() == ["run 3"] and found.share.tolist() == [0.5]
    assert found.loss[0] == pytest.approx(measured, rel=0.003)
    assert analysis.forecast_curves(half).note.tolist() == ["no run has ended"]
    with pytest.raises(UserError, match="every run has its final loss"):
        analysis.forecast_curves(table)


def test_what_a_run_is_off_the_law_it_keeps_if_others_did() -> None:
    table = curves(offset=0.02)
    measured, half = part(table, "run 5", 0.5)
    found = analysis.forecast_run(table, half, resamples=50)
    planned = analysis.forecast_run(table, part(table, "run 5", 0.0)[1], resamples=50)
    assert found.kept > 0.4 and planned.share == 0
    assert abs(found.loss / measured - 1) < abs(planned.loss / measured - 1)
    assert found.upper - found.lower < planned.upper - planned.lower
    plain = analysis.forecast_run(curves(noise=0.01), half, resamples=50)
    assert plain.kept < 0.3  # where only noise sets curves off, hardly anything is kept


def test_intervals_contain_what_they_promise() -> None:
    inside = []
    for offset in (0.0, 0.01):
        table = curves(6, noise=0.003, offset=offset)
        for run in table.run.unique()[:4]:
            measured, half = part(table, run, 0.5)
            found = analysis.forecast_run(table, half, resamples=50)
            inside.append(found.lower <= measured <= found.upper)
    assert np.mean(inside) >= 0.85


def test_calibration_widens_and_nothing_else() -> None:
    table = curves(4)
    half = part(table, "run 1", 0.5)[1]
    one = analysis.forecast_run(table, half, resamples=50)
    two = analysis.forecast_run(table, half, resamples=50, calibration_factor=2.0)
    assert two.loss == one.loss and two.calibration_factor == 2
    assert "earlier forecasts" in two.report() and "earlier forecasts" not in one.report()
    assert np.log(two.upper / two.lower) == pytest.approx(2 * np.log(one.upper / one.lower))


def test_a_size_that_has_no_curves_is_forecast_from_the_others() -> None:
    law = LAWS["joint_annealing"]
    params = dict(L0=2.0, A=0.9, alpha=0.45, B=0.5, beta=0.3, C=0.8, gamma=0.1, lam=0.985)
    tables = []
    for k, N in enumerate((1e7, 3e7, 1e8, 3e8)):
        table = curves(4, noise=0.0).assign(N=N, run=lambda f, k=k: f.run + f" {k}")
        made = law.predict(np.array([[params[p] for p in law.names]]), law.read(table))[0]
        tables.append(table.assign(loss=np.where(table.loss.notna(), made, np.nan)))
    table = pd.concat(tables, ignore_index=True)
    measured, planned = part(table, "run 1 3", 0.0)
    found = analysis.forecast_run(table[table.N < 2e8], planned, resamples=50)
    assert found.law.law.name == "joint_annealing" and not found.inside
    assert found.loss == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda t, h: (t, t[t.run == "run 1"]), {}, "run 'run 1' has its final loss already"),
        (lambda t, h: (t[t.run.isin(["run 1", "run 2"])], h), {}, "1 ended runs have the size"),
        (lambda t, h: (t, h.drop(columns="lr")), {}, "needs the column 'lr'"),
        (lambda t, h: (t, h.iloc[:0]), {}, "one run is forecast at a time, not 0"),
        (lambda t, h: (t, h), {"law": "chinchilla"}, "law = 'chinchilla' is no law of curves"),
        (lambda t, h: (t, h), {"law": "lr_anealing"}, "did you mean 'lr_annealing'"),
        (lambda t, h: (t, h), {"level": 95}, "level=95 must lie between 0 and 1"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(change, options, said) -> None:
    table = curves(4)
    table, half = change(table, part(table, "run 1", 0.5)[1])
    with pytest.raises(ValueError) as refused:
        analysis.forecast_run(table, half, **({"resamples": 20} | options))
    assert said in str(refused.value)


def test_published_cooldowns_are_forecast_from_their_half(public_data, published_curves) -> None:
    cosine = published_curves[published_curves.run == "cosine_24000"].reset_index(drop=True)
    others = published_curves[published_curves.run != "cosine_24000"]
    last = cosine.loss.last_valid_index()
    whole = cosine.loc[:last]
    half = whole.assign(loss=whole.loss.where(whole.step <= whole.step.max() / 2))
    found = analysis.forecast_run(others, half, resamples=50)
    assert found.loss == pytest.approx(cosine.loss[last], rel=0.01)
    assert half.loss.dropna().iloc[-1] / found.loss > 1.02  # 3.420 at half, 3.304 at the end


@pytest.fixture(scope="module")
def laid() -> tuple[Basis, pd.DataFrame]:
    """What the forecast of a run rests on, and the half of it that is known."""
    table = curves()
    target = part(table, "run 3", 0.5)[1]
    return fit_basis(table, target, resamples=40), target


def impossible(basis: Basis) -> Basis:
    """All but the law's best parameters predict that annealing takes more than the whole loss."""
    return replace(basis, law=replace(basis.law, draws=basis.law.draws.assign(C=1e12)))


def test_where_resamples_predict_no_possible_loss_the_ended_runs_tell_the_interval(laid) -> None:
    basis, target = laid
    whole, torn = basis.forecast(target), impossible(basis).forecast(target)
    assert torn.loss == whole.loss and torn.lower < torn.loss < torn.upper and whole.note == ""
    said = "100% of the resamples predict an impossible loss: there is no interval"
    assert torn.note == said and said in torn.report()


def test_beyond_the_curves_there_is_no_forecast_without_the_laws_own_interval(laid) -> None:
    basis, target = laid
    longer = target.assign(lr=5 * target["lr"])  # an area five times as large
    assert basis.forecast(longer).beyond > 2
    with pytest.raises(ValueError, match="no forecast by lr_annealing .*beyond .* 100% of the res"):
        impossible(basis).forecast(longer)


def test_a_law_that_predicts_no_possible_loss_gives_no_forecast(laid) -> None:
    basis, target = laid
    negative = replace(basis, law=replace(basis.law, params={**basis.law.params, "C": 1e12}))
    with pytest.raises(ValueError, match="lr_annealing predicts a loss of -"):
        negative.forecast(target)
    ended = basis.left_out[0]
    failed = ended.assign(predicted=ended["predicted"].where(ended["step"] < 400, -1.0))
    with pytest.raises(ValueError, match="a law that predicts possible losses"):
        replace(basis, left_out=(failed, *basis.left_out[1:])).forecast(target)


def test_rows_may_have_any_labels() -> None:
    table = curves(count=4, noise=0.0)
    _, half = part(table, "run 3", 0.5)
    numbered = analysis.forecast_run(table, half, resamples=0)
    repeated = table.set_index(table.groupby("run").cumcount())
    assert analysis.forecast_run(repeated, half, resamples=0).loss == numbered.loss

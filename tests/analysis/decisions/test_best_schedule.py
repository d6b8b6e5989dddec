import dataclasses

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.tables.interval_text import with_intervals


@pytest.fixture(scope="module")
def momentum(made_by):
    return analysis.fit("lr_annealing", made_by("lr_annealing", noise=0.001)[0], resamples=50)


def test_it_beats_every_wsd_of_the_momentum_law(momentum):
    """Under S1 and S2 alone the best falls at once, at the right moment: all others are worse."""
    best = analysis.best_schedule(momentum, 600, peak=3e-3, warmup=50)
    frames = []
    for first in range(60, 600, 10):
        lr = np.where(np.arange(600) < first, 3e-3, 3e-3 * (600 - np.arange(600)) / (600 - first))
        lr[:50] = 3e-3 * (np.arange(50) + 1) / 51
        frames.append(pd.DataFrame({"run": first, "step": np.arange(600), "lr": lr}))
    last = momentum.predict(pd.concat(frames, ignore_index=True)).loss.to_numpy()[599::600]
    assert best.loss["loss"] < last.min()
    assert best.seconds < 10 and (best.gains.gain > 0).all()


@pytest.mark.parametrize("law", ["lr_annealing", "multi_power", "fading_power", "functional"])
@pytest.mark.parametrize("monotone", [True, False])
def test_constraints_are_kept(made_by, law, monotone):
    result = analysis.fit(law, made_by(law)[0], resamples=0, starts=4)
    best = analysis.best_schedule(
        result, 400, peak=2e-3, warmup=40, final_ratio=0.1, monotone=monotone
    )
    after = best.rates[40:]
    assert best.rates.max() <= 2e-3 * (1 + 1e-9) and after.min() >= 2e-4 * (1 - 1e-9)
    assert not monotone or (np.diff(after) <= 1e-15).all()
    assert (np.diff(best.rates[:41]) > 0).all()
    assert best.gains.gain.min() >= 0  # the shapes to be beaten are within the constraints


def test_more_freedom_is_never_worse(momentum):
    falling = analysis.best_schedule(momentum, 600, peak=3e-3, warmup=50)
    free = analysis.best_schedule(momentum, 600, peak=3e-3, warmup=50, monotone=False)
    lower = analysis.best_schedule(momentum, 600, peak=2e-3, warmup=50)
    assert free.loss["loss"] <= falling.loss["loss"] + 1e-5
    assert falling.loss["loss"] < lower.loss["loss"] + 1e-6 or lower.rates.max() < 3e-3


def test_the_record_of_forecasts_widens_the_loss_and_says_so(momentum):
    plain, wide = (
        analysis.best_schedule(r, 400, peak=3e-3, warmup=50).loss
        for r in (momentum, momentum.calibrated(2.0))
    )
    assert np.log(wide["loss_upper"] / wide["loss_lower"]) == pytest.approx(
        2 * np.log(plain["loss_upper"] / plain["loss_lower"])
    )
    said = analysis.best_schedule(momentum.calibrated(2.0), 400, peak=3e-3, warmup=50).warnings[0]
    assert said.endswith("widened 2x by the record of earlier forecasts")


def test_a_gain_that_refits_do_not_share_is_not_certain(momentum):
    alone = analysis.best_schedule(momentum, 600, peak=3e-3, warmup=50, refits=False)
    assert not alone.gains.certain.any() and alone.gains.refits_agree.isna().all()
    assert alone.warnings[0].endswith("no fits without one curve each were made")
    best = analysis.best_schedule(momentum, 600, peak=3e-3, warmup=50)
    assert (best.gains.refits_agree == 1).all()
    own = np.array([momentum.params[name] for name in momentum.law.names])
    useless = np.where(np.array(momentum.law.names) == "C", 1e-9, own)
    torn = dataclasses.replace(momentum.left_out, params=np.array([own, useless]))
    doubted = analysis.best_schedule(
        dataclasses.replace(momentum, left_out=torn), 600, peak=3e-3, warmup=50
    )
    assert doubted.gains.refits_agree.tolist() == [1, 1, 0.5]
    (_, shown), *_ = [t for t in doubted.shown.tables.items() if "refits agree" in t[1]]
    assert with_intervals(shown)["refits agree"].tolist() == ["100%", "100%", "50%"]
    assert not doubted.gains.certain.iloc[2]


def test_a_gain_below_what_the_law_misses_elsewhere_is_not_certain(momentum):
    gains = {}
    for missed in (1e-5, 0.1):
        left_out = dataclasses.replace(
            momentum.left_out, missed=np.full(12, missed), leverage=np.zeros(12)
        )
        law = dataclasses.replace(momentum, left_out=left_out)
        gains[missed] = analysis.best_schedule(law, 600, peak=3e-3, warmup=50).gains
    assert gains[1e-5].certain.iloc[0] and not gains[0.1].certain.any()
    assert (gains[0.1].gain_lower < 0).all()


def test_a_schedule_longer_than_any_seen_is_said(momentum):
    best = analysis.best_schedule(momentum, 3000, peak=3e-3, warmup=50)
    assert "x that of any fitted curve" in " ".join(best.warnings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"peak": -1.0}, "peak = -1.0 must be a positive"),
        ({"peak": 1e-3, "final_ratio": 1.0}, "final_ratio = 1.0"),
        ({"peak": 1e-3, "warmup": 500}, "warmup = 500"),
        ({"peak": 1e-3, "N": 1e6}, "does not read it"),
    ],
)
def test_constraints_that_make_no_sense_are_refused(momentum, options, message):
    with pytest.raises(ValueError, match=message):
        analysis.best_schedule(momentum, 600, **options)


def test_on_published_curves_it_is_predicted_below_every_schedule(public_data, published_curves):
    """arXiv:2503.12811, 25M: of 24,000 steps, by the momentum law of three curves."""
    curves = published_curves[published_curves.groupby("run").loss.transform("count") > 0]
    train = curves.run.isin(["cosine_24000", "constant_24000", "wsdcon_9"])
    result = analysis.fit("lr_annealing", curves[train], resamples=50)
    best = analysis.best_schedule(result, 24_000, peak=3e-4, warmup=2160, final_ratio=0.1)
    same = curves[curves.groupby("run").step.transform("size") == 24_000]
    predicted = result.predict(same).loss.groupby(same.run).last()
    assert len(predicted) == 4 and best.loss["loss"] < predicted.min()

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.fitting.diagnosis import _tied
from scalinglab.analysis.fitting.warnings import fit_warnings


def _ladder(E, noise=0.002, seed=0, decades=1.2):
    """A laptop's ladder: a narrow range, far from the floor."""
    N, D = np.meshgrid(1e5 * 10 ** np.linspace(0, decades, 5), 1e6 * 10 ** np.linspace(0, 1, 3))
    loss = E + 30 / N**0.25 + 60 / D**0.25
    loss = loss * np.exp(noise * np.random.default_rng(seed).standard_normal(N.shape))
    return pd.DataFrame({"N": N.ravel(), "D": D.ravel(), "loss": loss.ravel()})


def test_a_floor_that_the_points_do_not_show_is_called_unidentified():
    result = analysis.fit("chinchilla", _ladder(E=0.3, noise=0.01), resamples=200)
    assert "E" in result.diagnosis.unidentified
    assert not result.summary.identified["E"]
    assert re.search(r"E is not identified|not identified.*\bE\b", " ".join(result.warnings))
    assert "NOT IDENTIFIED" in result.report()


def test_parameters_that_are_not_identified_are_one_sentence(made_by):
    runs, _ = made_by("chinchilla", noise=0.002)
    result = analysis.fit("chinchilla", runs, resamples=0)
    bound = "its interval reaches its bound"

    def told(unidentified: dict[str, str]) -> list[str]:
        diagnosis = replace(result.diagnosis, unidentified=unidentified, at_bound=())
        warnings = fit_warnings(replace(result, diagnosis=diagnosis))
        return [warning for warning in warnings if "not identified" in warning]

    assert told({}) == []
    assert told({"beta": bound}) == [f"beta is not identified: {bound}; ignore its value"]
    (every,) = told({"E": "wide", "alpha": bound, "beta": bound})
    assert every.startswith(
        f"not identified, ignore their values: E (wide); alpha, beta (each: {bound}). Extrap"
    )


def test_a_loose_coefficient_that_moves_with_an_unknown_parameter_is_not_identified() -> None:
    """Of worth and memory of annealing, a short cooldown tells one thing: their product."""
    law = analysis.LAWS["lr_annealing"]
    misfit = SimpleNamespace(
        space=SimpleNamespace(
            free=("C", "A", "lam"),
            law=SimpleNamespace(
                names=("C", "A", "lam"),
                parameters=[law.parameters[law.names.index(n)] for n in ("C", "A", "lam")],
            ),
            expand=np.exp,
        )
    )
    walk = np.random.default_rng(0).standard_normal((200, 1))
    draws = np.concatenate([walk, 0.05 * walk, walk], axis=1)
    tied = {name: {"lam": 0.997} for name in misfit.space.free}
    found = _tied(misfit, tied, {"lam": "its interval reaches its bound"}, draws)
    assert list(found) == ["C"]  # A moves with lam as well, and is known to a few percent
    assert found["C"].endswith(
        "it moves with lam, which is not identified either: correlation +0.997"
    )
    apart = {name: {"lam": 0.8} for name in misfit.space.free}
    assert _tied(misfit, apart, {"lam": "wide"}, draws) == {} == _tied(misfit, tied, {}, draws)


def test_a_wide_coefficient_is_said_to_move_with_an_identified_exponent(made_by) -> None:
    """It counts as identified where another of the same width does not: readers see why."""
    runs, _ = made_by("chinchilla", noise=0.002)
    result = analysis.fit("chinchilla", runs, resamples=60)
    correlations = {"B": {"beta": 0.999}, "beta": {"B": 0.999}}
    wide = result.draws.assign(B=np.geomspace(100, 3000, len(result.draws)))
    diagnosis = replace(result.diagnosis, correlations=correlations)
    loose = replace(result, draws=wide, diagnosis=diagnosis)
    (line,) = [text for text in loose.report().splitlines() if "corr(B, beta)" in text]
    assert "B spans a factor of 2" in line and "moves with beta, which is identified" in line
    unknown = replace(diagnosis, unidentified={"beta": "wide"})
    assert "spans" not in replace(loose, diagnosis=unknown).report().partition("Correlations")[2]
    assert "spans a factor" not in replace(result, diagnosis=diagnosis).report()


def test_a_floor_that_the_points_show_is_identified(made_by):
    runs, _ = made_by("chinchilla", noise=0.002)
    result = analysis.fit("chinchilla", runs, resamples=200)
    assert result.diagnosis.unidentified == {}
    assert result.warnings == ()


def test_without_resamples_the_likelihood_ratio_still_speaks():
    result = analysis.fit("chinchilla", _ladder(E=0.1, noise=0.01), resamples=0)
    assert "E" in result.diagnosis.unidentified


def test_starts_that_end_elsewhere_are_told(made_by):
    runs, params = made_by("chinchilla", noise=0.002)
    good = pd.DataFrame([params] * 3)
    stuck = good.head(1).assign(alpha=5.0, A=1e-40)  # a term that nothing can bring back
    result = analysis.fit("chinchilla", runs, starts=pd.concat([good, stuck]), resamples=0)
    assert result.diagnosis.starts == 4
    assert sum(share for _, share in result.diagnosis.basins) == pytest.approx(1)
    assert result.diagnosis.basins[0][0] == pytest.approx(result.objective, rel=1e-6)


def test_correlations_show_what_goes_together(made_by):
    runs, _ = made_by("chinchilla", noise=0.002)
    result = analysis.fit("chinchilla", runs, resamples=200)
    assert result.diagnosis.correlations["A"]["alpha"] > 0.95
    assert "corr(A, alpha)" in result.report()


def test_agreement_is_that_of_starts_sent_alone(made_by):
    """A sigmoid so steep and so far away that the points see none of it leads nowhere."""
    loss = np.linspace(0.5, 1.5, 12)
    pairs = pd.DataFrame({"task_loss": loss, "accuracy": 0.2 + 0.6 / (1 + np.exp(6 * (loss - 1)))})
    good = pd.DataFrame([dict(low=0.25, high=0.75, k=5.0, middle=0.9)])
    lost = good.assign(k=1000.0, middle=9.0)
    starts = pd.concat([good, lost, lost, lost])
    diagnosis = analysis.fit("task_accuracy", pairs, starts=starts, resamples=0).diagnosis
    assert (diagnosis.starts, diagnosis.full_searches) == (4, 4)
    assert diagnosis.agree == pytest.approx(0.25)
    runs, _ = made_by("chinchilla", noise=0.002)
    many = analysis.fit("chinchilla", runs, starts=200, resamples=0).diagnosis
    assert (many.starts, many.full_searches, many.agree) == (200, 16, 1.0)

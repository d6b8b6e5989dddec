"""The width that is promised before anything is bought is the width that fits then have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.intervals.expected import expect, expect_of_plan
from scalinglab.analysis.laws import LAWS
from scalinglab.scaling.records.plan_file import AnswerConfig

TRUE = LAWS["chinchilla"].reference
TARGET = {"N": 1e10, "D": 2e11}


def design(sizes: int = 6, ratios: int = 5) -> pd.DataFrame:
    n = np.geomspace(1e7, 1e9, sizes)
    return pd.DataFrame([{"N": a, "D": a * r} for a in n for r in np.geomspace(5, 80, ratios)])


def made(points: pd.DataFrame, noise: float, rng: np.random.Generator) -> pd.DataFrame:
    t = TRUE
    loss = t["E"] + t["A"] / points["N"] ** t["alpha"] + t["B"] / points["D"] ** t["beta"]
    return points.assign(loss=loss * np.exp(noise * rng.standard_normal(len(points))))


def test_least_squares_fits_scatter_as_expected() -> None:
    """Fits to 30 draws of the same design: their spread is the promise, within its own error."""
    rng, noise, points = np.random.default_rng(0), 1e-3, design()
    expected = expect("chinchilla", points, TARGET, noise=noise)
    target = pd.DataFrame([TARGET])
    fits = [
        analysis.fit("chinchilla", made(points, noise, rng), resamples=0, delta=1.0, starts=8)
        for _ in range(30)
    ]
    found = np.std([np.log(float(fit.predict(target)["loss"].iloc[0])) for fit in fits])
    assert expected.width / 1.96 == pytest.approx(found, rel=0.4)
    spread = np.std([fit.params["alpha"] for fit in fits])
    assert expected.errors["alpha"] == pytest.approx(spread, rel=0.4)


def test_twice_the_noise_is_twice_the_width_and_four_repeats_half_of_it() -> None:
    points = design()
    width = expect("chinchilla", points, TARGET, noise=1e-3).width
    assert expect("chinchilla", points, TARGET, noise=2e-3).width == pytest.approx(2 * width)
    repeated = pd.concat([points] * 4)
    assert expect("chinchilla", repeated, TARGET, noise=1e-3).width == pytest.approx(width / 2)


def test_a_line_of_one_ratio_leaves_the_law_open_that_three_ratios_determine() -> None:
    line = expect("chinchilla", design(ratios=1), TARGET, noise=1e-3)
    plane = expect("chinchilla", design(ratios=3), TARGET, noise=1e-3)
    assert plane.unidentified == [] or len(plane.unidentified) < len(line.unidentified)
    assert plane.width < line.width / 2


def test_one_size_determines_nothing_and_says_so() -> None:
    found = expect("chinchilla", design(sizes=1), TARGET, noise=1e-3)
    assert found.width == np.inf and set(found.unidentified) == set(TRUE)
    assert "will not be determined" in found.sentence()


def test_the_sentence_names_target_width_and_assumptions() -> None:
    said = expect("chinchilla", design(), TARGET, noise=1e-3).sentence()
    assert "N = 1e+10, D = 2e+11 to +-" in said and "(95%) if the law is exactly true" in said
    assert "0.10% of independent noise" in said and "alpha 0.348" in said


@pytest.mark.parametrize(
    ("law", "target", "params", "message"),
    [
        ("lr_annealing", TARGET, None, "is a law of curves"),
        ("farseer", TARGET, None, "the reference names"),
        ("chinchilla", {"N": 1e9}, None, "the target has no D"),
        ("chinchilla", TARGET, {"E": 1.0}, "has the parameters E, A, alpha, B, beta"),
    ],
)
def test_what_is_missing_is_named(law, target, params, message) -> None:
    with pytest.raises(ValueError, match=message):
        expect(law, design(), target, noise=1e-3, params=params)


def test_a_plan_without_a_target_is_asked_about_its_largest_held_out_run() -> None:
    points = design().assign(role="fit")
    points["C"] = 6 * points["N"] * points["D"]
    answer = AnswerConfig(law="chinchilla", noise=1e-3)
    assert expect_of_plan(answer, points) is None
    far = [
        {"N": 2e9, "D": 4e10, "C": 4.8e20, "role": "held_out"},
        {"N": 1e9, "D": 4e10, "C": 2.4e20, "role": "held_out"},
    ]
    found = expect_of_plan(answer, pd.concat([points, pd.DataFrame(far)], ignore_index=True))
    assert found.target == {"N": 2e9, "D": 4e10}
    asked = expect_of_plan(replace(answer, target=TARGET), points)
    assert asked.target == TARGET

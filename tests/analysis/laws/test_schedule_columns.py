import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.decisions.schedule_search import usual_shapes
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.schedule_columns import Course

CURVE_LAWS = ["lr_annealing", "multi_power", "fading_power", "functional", "joint_annealing"]


EXACT = ("lr_annealing", "joint_annealing", "multi_power")


def last_loss(law, params, rates) -> float:
    frame = pd.DataFrame({"run": "a", "step": np.arange(len(rates)), "lr": rates, "N": 1e8})
    wanted = np.arange(len(rates)) == len(rates) - 1
    return law.predict(params, law.read(frame, wanted))[0, 0]


@pytest.fixture(params=CURVE_LAWS)
def law_and_params(request, made_by):
    frame, params = made_by(request.param)
    law = LAWS[request.param]
    return law, np.array([[params[name] for name in law.names]])


@pytest.mark.parametrize("warmup", [50, 1])
def test_the_last_step_is_that_of_the_whole_schedule(law_and_params, warmup):
    """Where a drop is worth less later, `law.read` pools drops by up to a hundredth."""
    law, params = law_and_params
    course = Course.of(2000, warmup)
    given = {"N": 1e8} if "N" in law.columns else {}
    for values in usual_shapes(course, 3e-3, 0.1).values():
        here = law.predict(params, course.columns(law, values[:, None], given))[0, 0]
        assert here == pytest.approx(
            last_loss(law, params, course.rates(values)), abs=4e-4 if law.name in EXACT else 1e-2
        )


def test_the_complex_step_is_the_derivative(law_and_params):
    law, params = law_and_params
    course = Course.of(500, 20)
    given = {"N": 1e8} if "N" in law.columns else {}
    values = usual_shapes(course, 3e-3, 0.1)["cosine"]
    k, h = len(values) // 2, 1e-9

    def loss(moved):
        return law.predict(params, course.columns(law, moved[:, None], given))[0, 0]

    unit = np.eye(len(values))[k]
    exact = loss(values + 1e-30j * unit).imag / 1e-30
    assert exact == pytest.approx(
        (loss(values + h * unit) - loss(values - h * unit)) / (2 * h), rel=1e-4
    )


def test_a_course_is_straight_lines_between_its_corners():
    course = Course.of(1000, 100)
    values = usual_shapes(course, 1e-3, 0.0)["linear"]
    rates, corners = course.rates(values), course.table(values)
    np.testing.assert_allclose(np.interp(np.arange(1000), corners.step, corners.lr), rates)
    assert rates[100] == 1e-3 and rates[-1] == 0 and rates[0] == pytest.approx(1e-3 / 101)
    assert (np.diff(rates[:101]) > 0).all() and (np.diff(rates[100:]) < 0).all()


@pytest.mark.parametrize(
    ("steps", "warmup", "message"),
    [
        (5, 0, "needs 10 or more"),
        (100, 60, "warmup = 60: allowed is 0 to 50"),
    ],
)
def test_a_course_that_makes_no_sense_is_refused(steps, warmup, message):
    with pytest.raises(ValueError, match=message):
        Course.of(steps, warmup)


def test_a_law_that_is_not_of_curves_is_refused():
    course = Course.of(100, 0)
    with pytest.raises(ValueError, match="law of whole curves; chinchilla reads N, D"):
        course.columns(LAWS["chinchilla"], np.ones((len(course.knots), 1)), {})
    with pytest.raises(ValueError, match="give N="):
        course.columns(LAWS["joint_annealing"], np.ones((len(course.knots), 1)), {})

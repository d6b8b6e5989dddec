import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis import LAWS, Law, Parameter, register
from scalinglab.analysis.laws import find
from scalinglab.scaling.errors import UserError


def _logistic(x, low, height, middle):
    return low + height / (1 + x / middle)


OWN = Law(
    name="own_saturating_law",
    formula="L = low + height / (1 + x / middle)",
    source="none",
    columns={"x": "tokens"},
    parameters=(
        Parameter("low", low=0),
        Parameter("height", scale="log"),
        Parameter("middle", (1e6, 1e10), scale="log"),
    ),
    value=_logistic,
    linear=("low", "height"),
)


@pytest.fixture
def own_law():
    yield register(OWN)
    del LAWS[OWN.name]


def test_an_own_law_needs_no_derivatives_and_no_starts(own_law):
    x = np.geomspace(1e6, 1e10, 30)
    runs = pd.DataFrame({"tokens": x, "loss": _logistic(x, 2.0, 3.0, 1e8)})
    result = analysis.fit("own_saturating_law", runs, x="tokens", resamples=0)
    assert result.params["middle"] == pytest.approx(1e8, rel=1e-5)


def test_a_law_need_not_be_registered():
    x = np.geomspace(1e6, 1e10, 30)
    runs = pd.DataFrame({"x": x, "loss": _logistic(x, 2.0, 3.0, 1e8)})
    assert analysis.fit(OWN, runs, resamples=0).params["low"] == pytest.approx(2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"linear": ("slope",)}, "calls 'slope' linear"),
        ({"parameters": (Parameter("low"), Parameter("low"))}, "names a parameter twice"),
        ({"columns": {"low": "?"}}, "'low' both as a column and as a parameter"),
        ({"name": "chinchilla"}, "law = 'chinchilla' is defined twice"),
    ],
)
def test_a_law_that_contradicts_itself_is_not_registered(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        register(Law(**{**{f: getattr(OWN, f) for f in OWN.__dataclass_fields__}, **changes}))


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'chinchilla'"):
        find("chinchila")


@pytest.mark.parametrize(
    "parameter",
    [Parameter("p"), Parameter("p", scale="log"), Parameter("p", scale="complement")],
    ids=lambda p: p.scale,
)
def test_scales_invert_and_their_slopes_are_right(parameter):
    value = np.array([0.3, 0.9, 0.999])
    internal = parameter.to_unconstrained(value)
    np.testing.assert_allclose(parameter.from_unconstrained(internal), value)
    rise = (
        parameter.from_unconstrained(internal + 1e-6)
        - parameter.from_unconstrained(internal - 1e-6)
    ) / 2e-6
    np.testing.assert_allclose(parameter.slope(value), rise, rtol=1e-6)


def test_complement_scale_keeps_the_order_of_its_bounds():
    low, high = Parameter("lam", scale="complement", low=0.5, high=0.999).limits()
    assert low < high


def test_a_formula_that_does_not_take_its_columns_and_parameters_by_name_is_refused() -> None:
    with pytest.raises(UserError, match=r"'odd': value\(q, c\) is called by name .* D, E"):
        Law(
            name="odd",
            formula="E",
            source="made up",
            columns={"D": "tokens"},
            parameters=(Parameter("E"),),
            value=lambda q, c: q,
        )

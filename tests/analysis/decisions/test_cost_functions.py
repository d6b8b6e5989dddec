import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.decisions.cost_functions import (
    SIX_ND,
    measured_hours,
    shape_by_aspect,
    shape_of_runs,
    with_attention,
    with_inference,
)
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.flops import flop_parts, flops_per_token
from scalinglab.scaling.model.shape import Shape


def shape(depth: int, width: int = 0) -> Shape:
    width = width or 64 * depth
    return Shape(
        depth=depth, width=width, heads=width // 16, mlp_width=4 * width, context=512, vocab=1000
    )


def runs(*shapes: Shape, **columns) -> pd.DataFrame:
    N = [parameter_counts(Architecture(s))["n_matmul"] for s in shapes]
    return pd.DataFrame(
        {"N": N, "depth": [s.depth for s in shapes], "width": [s.width for s in shapes], **columns}
    )


@pytest.mark.parametrize("of", ["aspect", "runs"])
def test_attention_is_counted_as_the_runs_count_it(of):
    shapes = [shape(depth) for depth in (2, 6, 12)]
    table = runs(*shapes)
    rule = shape_by_aspect(64, vocab=1000) if of == "aspect" else shape_of_runs(table)
    cost = with_attention(512, rule)
    for one, N in zip(shapes, table["N"], strict=True):
        exact = flops_per_token(flop_parts(Architecture(one)), "causal")
        assert cost(np.array([N]), np.array([1e6]))[0] == pytest.approx(1e6 * exact, rel=1e-9)


def test_shapes_beyond_the_runs_go_on_as_a_power():
    table = runs(*(shape(depth) for depth in (8, 16, 32)))
    rule = shape_of_runs(table)
    N = np.array([1e8, 1e10])
    np.testing.assert_allclose(rule(N), shape_by_aspect(64, vocab=1000)(N), rtol=0.1)


def test_hours_are_those_of_the_runs():
    table = runs(*(shape(depth) for depth in (2, 4, 8, 16)))
    a, b = 3e-7, 2e-15  # seconds a token, and a token and parameter
    table["tokens_per_second"] = 1 / (a + b * table["N"])
    cost = measured_hours(table)
    N, D = np.array([1e5, 1e9]), np.array([1e9, 1e10])
    np.testing.assert_allclose(cost(N, D), (a + b * N) * D / 3600, rtol=1e-6)
    assert cost.unit == "device-hours"


def test_serving_makes_the_best_model_smaller_and_reaches_sardanas_optimum(made_by):
    fitted = analysis.fit("chinchilla", made_by("chinchilla")[0], resamples=0)
    tokens = 1e12
    cost = with_inference(SIX_ND, tokens)
    plain = analysis.cheapest(fitted, 2.2).iloc[0]
    served = analysis.cheapest(fitted, 2.2, cost=cost).iloc[0]
    assert served.N < plain.N and served.D > plain.D
    # arXiv:2401.00448: of all pairs on the contour of the loss, the least 6 N D + 2 N D_inf
    p = fitted.params
    N = np.geomspace(plain.N / 30, plain.N * 3, 20_000)
    left = 2.2 - p["E"] - p["A"] / N ** p["alpha"]
    D = (p["B"] / np.where(left > 0, left, np.nan)) ** (1 / p["beta"])
    whole = 6 * N * D + 2 * N * tokens
    assert served.C == pytest.approx(np.nanmin(whole), rel=1e-4)
    assert served.N == pytest.approx(N[np.nanargmin(whole)], rel=0.01)


def test_without_inference_nothing_changes(made_by):
    fitted = analysis.fit("chinchilla", made_by("chinchilla")[0], resamples=0)
    served = analysis.allocate(fitted, 1e20, cost=with_inference(SIX_ND, 0)).table
    plain = analysis.allocate(fitted, 1e20).table
    np.testing.assert_allclose(served.N, plain.N, rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: measured_hours(pd.DataFrame({"N": [1.0]})), "the column 'tokens_per_second'"),
        (
            lambda: measured_hours(pd.DataFrame({"N": [1.0], "tokens_per_second": [5.0]})),
            "two sizes",
        ),
        (
            lambda: shape_of_runs(pd.DataFrame({"N": [1.0], "depth": [1], "width": [8]})),
            "two sizes",
        ),
        (lambda: with_inference(SIX_ND, -1.0), "must not be negative"),
    ],
)
def test_what_costs_nothing_sensible_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()

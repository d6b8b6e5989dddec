"""Fits of one law to several tables as one batch: what each has alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.fitting import joint_misfit
from scalinglab.analysis.fitting.best_fit import FitOptions, best_fit
from scalinglab.analysis.fitting.joint_misfit import JointMisfit, solve_jointly
from scalinglab.analysis.fitting.levenberg_marquardt import Minimisation, solve
from scalinglab.analysis.intervals.resample import draw


def _tables(count=3):
    """Tables of different lengths and noise."""
    tables = []
    for k in range(count):
        rng = np.random.default_rng(k)
        N, D = np.exp(rng.uniform(np.log(1e8), np.log(1e11), (2, 18 + 5 * k)))
        loss = 1.5 + 0.2 * k + 300 / N**0.33 + 900 / D**0.31
        loss *= np.exp(0.01 * rng.standard_normal(len(N)))
        tables.append(pd.DataFrame({"N": N, "D": D, "loss": loss}))
    return tables


def _resampled(table, **options):
    """The minimisation of the resamples of a fit."""
    fitted = best_fit("chinchilla", table, FitOptions(starts=8, delta=0.01, **options))
    draws = draw(fitted.sample, "weights", 20, 0, fitted.misfit.prior)
    misfit = replace(fitted.misfit, draws=(draws,))
    start = np.repeat(fitted.best.coordinates, 20, axis=0)
    return Minimisation(
        misfit,
        start,
        *misfit.space.limits,
        max_step=misfit.space.max_steps,
        frozen=np.zeros(start.shape, bool),
        damping=1e-4,
        tolerance=1e-10,
        patience=2,
        floor=1e-12,
        steps=300,
    )


@pytest.fixture(scope="module", params=[{}, {"priors": {"alpha": (0.4, 0.1)}}], ids=["", "priors"])
def asked(request):
    return [_resampled(table, **request.param) for table in _tables()]


def test_every_problem_has_the_terms_that_it_has_alone(asked):
    counts = np.full(3, 20)
    joint = JointMisfit(tuple(batch.assess for batch in asked), counts)
    problem = np.array([3, 19, 20, 41, 42, 59])  # of all three tables
    u = np.concatenate([asked[p // 20].start[:1] for p in problem]) + 0.01
    caution = np.linspace(0.1, 1, 6)
    together = joint(u, problem, caution)
    for row, p in enumerate(problem):
        at = slice(row, row + 1)
        alone = asked[p // 20].assess(u[at], np.array([p % 20]), caution[at])
        for one, of_all in zip(alone, together, strict=True):
            np.testing.assert_allclose(of_all[at], one, rtol=1e-9)


def test_solutions_are_those_that_each_batch_has_alone(asked, monkeypatch):
    sizes = []

    def counted(batch):
        sizes.append(len(batch.start))
        return solve(batch)

    monkeypatch.setattr(joint_misfit, "solve", counted)
    together = solve_jointly(asked)
    assert sizes == [60]
    for batch, joint in zip(asked, together, strict=True):
        alone = solve(batch)
        np.testing.assert_allclose(joint.value, alone.value, rtol=1e-7)
        spread = alone.coordinates.std(axis=0)
        assert (np.abs(joint.coordinates - alone.coordinates) < 0.02 * spread).all()


def test_batches_of_other_options_laws_or_objectives_are_solved_apart(asked, monkeypatch):
    first, second = asked[:2]
    wide = replace(second.assess, objective=replace(second.assess.objective, delta=0.1))
    others = [
        replace(second, damping=0.1),
        replace(second, high=second.high + 1),
        replace(second, assess=wide),
        replace(second, assess=partial(second.assess)),
    ]
    sizes = []
    monkeypatch.setattr(
        joint_misfit, "solve", lambda batch: sizes.append(len(batch.start)) or solve(batch)
    )
    solve_jointly([first, *others, second])
    assert sizes == [40, 20, 20, 20, 20]

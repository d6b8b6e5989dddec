import itertools

import numpy as np

from scalinglab.analysis.fitting.levenberg_marquardt import minimise


def _rosenbrock(u, problem, caution):
    """(1 - x)² + 100 (y - x²)² as a sum of squares, with Gauss-Newton curvature."""
    x, y = u.T
    residual = np.stack([1 - x, 10 * (y - x**2)], axis=1)
    zero = np.zeros_like(x)
    jacobian = np.stack([np.stack([zero - 1, zero], 1), np.stack([-20 * x, zero + 10], 1)], axis=1)
    gradient = np.einsum("bri,br->bi", jacobian, residual)
    return 0.5 * (residual**2).sum(-1), gradient, np.einsum("bri,brj->bij", jacobian, jacobian)


START = np.array([[-1.2, 1.0], [3.0, -4.0], [0.5, 0.5]])
ANYWHERE = (np.full(2, -np.inf), np.full(2, np.inf))


def test_every_problem_of_the_batch_finds_the_valley():
    found = minimise(_rosenbrock, START, *ANYWHERE)
    np.testing.assert_allclose(found.coordinates, np.ones((3, 2)), atol=1e-6)


def test_bounds_hold_and_are_reached():
    found = minimise(_rosenbrock, START, np.full(2, -np.inf), np.array([0.5, np.inf]))
    np.testing.assert_allclose(found.coordinates, np.tile([0.5, 0.25], (3, 1)), atol=1e-6)


def test_frozen_coordinates_stay():
    frozen = np.array([[True, False]] * 3)
    found = minimise(_rosenbrock, START, *ANYWHERE, frozen=frozen)
    np.testing.assert_allclose(found.coordinates[:, 0], START[:, 0])
    np.testing.assert_allclose(found.coordinates[:, 1], START[:, 0] ** 2, atol=1e-6)


def test_no_step_is_longer_than_its_stride():
    seen = []

    def watched(u, problem, caution):
        seen.append(u[0].copy())
        return _rosenbrock(u, problem, caution)

    minimise(watched, START[:1], *ANYWHERE, max_step=np.array([0.1, np.inf]))
    assert max(abs(b[0] - a[0]) for a, b in itertools.pairwise(seen)) < 0.2 + 1e-9


def test_a_start_where_nothing_is_finite_does_not_spoil_the_batch():
    def hole(u, problem, caution):
        value, gradient, curvature = _rosenbrock(u, problem, caution)
        return np.where(u[:, 0] > 2, np.nan, value), gradient, curvature

    found = minimise(hole, START, *ANYWHERE)
    np.testing.assert_allclose(found.coordinates[[0, 2]], np.ones((2, 2)), atol=1e-6)


def test_damping_grows_faster_while_steps_are_refused():
    """A wall 1e-6 away: six refusals at factors 4, 8, 16 ..., where 4 each time takes ten."""
    seen = []

    def wall(u, problem, caution):
        seen.append(float(u[0, 0]))
        value = np.where(u[:, 0] > 1e-6, np.inf, -u[:, 0])
        return value, -np.ones_like(u), np.ones((len(u), 1, 1))

    minimise(wall, np.zeros((1, 1)), np.full(1, -np.inf), np.full(1, np.inf), damping=1.0, steps=8)
    tried = np.array(seen[1:])
    refused = tried[tried > 1e-6]
    assert refused[0] == 0.5 and len(refused) <= 7

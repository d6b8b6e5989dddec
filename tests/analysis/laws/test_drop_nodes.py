import numpy as np
import pytest

from scalinglab.analysis.laws.drop_nodes import drop_nodes
from scalinglab.analysis.laws.schedule_areas import warmup_end

STEPS = 6000
_AT = np.arange(STEPS)
_WARM = np.minimum(_AT / 300, 1)
SCHEDULES = {
    "cosine": _WARM * (0.55 + 0.45 * np.cos(np.pi * _AT / STEPS)),
    "linear to zero": _WARM * np.clip((STEPS - 1 - _AT) / 2000, 0, 1),
    "root": _WARM * (1 - np.sqrt(np.clip((_AT - 3000) / 2999, 0, 1))),
    "cycles": _WARM * np.where(_AT % 2000 > 1500, 0.3, 1.0),
}
RESPONSES = [(2.07, 0.64, 0.59), (0.02, 0.64, 0.59), (50.0, 0.64, 0.59), (1e-3, 1.4, 0.8)]


def _response(drop, log_lr, since, C, gamma, beta):
    return (drop * (1 - (1 + C * np.exp(-gamma * log_lr) * since) ** -beta)).sum(0)


def _exact(lr, at, response, warmup):
    """The sum over all drops, step by step, as arXiv:2503.12811 writes it."""
    area, drop = np.cumsum(lr), -np.diff(lr, prepend=0.0)
    drop[: 0 if warmup else warmup_end(lr) + 1] = 0
    log_lr = np.log(np.maximum(lr, 1e-15))
    return np.array(
        [
            _response(drop[: t + 1], log_lr[: t + 1], area[t] - (area - lr)[: t + 1], *response)
            for t in at
        ]
    )


@pytest.mark.parametrize("warmup", [True, False])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_nodes_stand_for_the_exact_sum(schedule, warmup):
    lr, at = 1e-3 * SCHEDULES[schedule], np.linspace(400, STEPS - 1, 25).astype(int)
    nodes = drop_nodes(lr, at, warmup=warmup)
    for response in RESPONSES:
        error = _response(*nodes, *response) - _exact(lr, at, response, warmup)
        assert np.abs(error).max() < (5e-3 if warmup else 1e-3) * lr.max()


def test_single_drops_are_exact():
    lr, at = 1e-3 * np.where(_AT < 2000, 1.0, 0.3), np.array([1999, 2000, 2001, 4000, 5999])
    nodes = drop_nodes(lr, at, warmup=False)
    assert nodes.shape == (3, 2, 5)
    exact = _exact(lr, at, RESPONSES[0], False)
    np.testing.assert_allclose(_response(*nodes, *RESPONSES[0]), exact, rtol=1e-12, atol=1e-15)


def test_the_number_of_nodes_grows_with_the_logarithm():
    lr = 1e-3 * SCHEDULES["cosine"]
    assert drop_nodes(lr, np.array([STEPS - 1]), warmup=False).shape[1] <= 2 * 14

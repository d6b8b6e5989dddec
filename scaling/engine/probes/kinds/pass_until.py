"""Pass rates by sampling until enough samples pass."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from scalinglab.scaling.engine.probes.continuations import scored
from scalinglab.scaling.engine.probes.reading import PROBED_BY, AtLeast, AtMost, Reading
from scalinglab.scaling.probes.kinds.pass_until import PassUntil

Z = 1.96  # of an interval of 95 %


@PROBED_BY.register("pass_until")
def pass_until(probe: PassUntil, reading: Reading) -> dict[str, float]:
    """``pass_until``, the mean rate, with ``pass_until_low`` and ``_high`` (95 %, over items).

    Also ``pass_neg_log``, the mean of -log of the items' rates, and ``capped``, the share of
    censored items: with any of them the mean rate is an upper bound, and that of -log a lower one.

    A sample passes if it is a right answer, so its tokens follow that answer to the end or it has
    failed. Whether it does is drawn from the probability of the answer, the product of those of its
    tokens: the same distribution as drawing token after token, at a cost that does not grow with
    the samples.
    """
    encoded = probe.tokens(reading.spec, reading.outputs)
    pairs = [(context, answer) for context, answers in encoded for answer in answers]
    flat = iter(scored(reading.model(), pairs, reading.go_on, probe.temperature))
    rates, capped = [], 0
    for number, (_, answers) in enumerate(encoded):
        p = min(1.0, math.fsum(math.exp(-next(flat).loss) for _ in answers))
        samples = _samples(p, probe, _generator(probe.seed, number))
        is_capped = samples > probe.cap
        capped += is_capped
        rates.append((probe.successes - 1) / (min(samples, probe.cap) - 1))
    values = np.array(rates)
    mean, spread = float(values.mean()), Z * float(values.std()) / math.sqrt(len(values))
    neg_log = float(-np.log(values).mean())
    return {
        "pass_until": AtMost(mean) if capped else mean,
        "pass_until_low": 0.0 if capped else max(0.0, mean - spread),
        "pass_until_high": min(1.0, mean + spread),
        "pass_neg_log": AtLeast(neg_log) if capped else neg_log,
        "capped": capped / len(values),
    }


def _samples(p: float, probe: PassUntil, draw: np.random.Generator) -> float:
    """Number of samples until enough passed; infinite where it is far beyond the cap."""
    if p * probe.cap < 1e-6:  # numpy's numbers of tries end at 2^63
        return math.inf
    return float(draw.geometric(p, size=probe.successes).astype(float).sum())


def _generator(seed: int, item: int) -> np.random.Generator:
    key = hashlib.sha256(f"pass_until:{seed}:{item}".encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))

"""What the passes over a pool add after the first hundreds, in closed form.

A term for each pass is an array as long as D / U, and thousands of epochs are a column's typing
error away. From pass K on, log(k / (k - 1)) is 1 / (k - 1/2) but for 1 part in 12 k^2, and the sum
of r^(k - 1) / (k - 1/2) is its integral by the midpoint rule: two exponential integrals E1.
"""

import numpy as np

from scalinglab.analysis.laws.law import Array

FIRST_PASSES = 256  # that are summed one by one
_NO_DECAY = 1e-12  # discount of all passes together below which it is none


def later_passes(discount: Array, passes: Array) -> Array:
    """Sum of r^(k - 1) log(k / (k - 1)) over the passes k after the first `FIRST_PASSES`.

    Parameters
    ----------
    discount : array, shape (batch, n) or (batch, 1)
        r, of one pass; above 0 and at most 1.
    passes : array, shape (n,)
        Whole ones.
    """
    if passes.max(initial=0) <= FIRST_PASSES:
        return np.zeros(np.broadcast_shapes(discount.shape, passes.shape))
    from scipy.special import exp1  # takes .2 s to load

    last = np.maximum(passes, FIRST_PASSES).astype(float)
    with np.errstate(divide="ignore"):
        decay = -np.log(discount)  # infinite where nothing is left after one pass
    slow = decay * last < _NO_DECAY
    safe = np.where(slow, 1.0, np.minimum(decay, 700.0))
    decayed = np.exp(safe / 2) * (exp1(FIRST_PASSES * safe) - exp1(last * safe))
    return np.where(slow, np.log(last / FIRST_PASSES), decayed)

"""Runs of two arms on a ladder, made with a known compute multiplier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalinglab.analysis.transfer.question import TransferQuestion

TARGET = 1e21
LRS = (0.005, 0.01, 0.02, 0.04, 0.08)
BEST = 0.02


def question(**options: object) -> TransferQuestion:
    """Is "new" worth more than 2 % of compute at the target?"""
    asked = {"baseline": "old", "candidate": "new", "at": TARGET} | options
    return TransferQuestion(**asked)  # type: ignore[arg-type]


def ladder(
    multiplier: tuple[float, float] = (1.3, 1.3),
    *,
    sizes: int = 4,
    sweep: Sequence[int] = (0, 1),
    fresh: Sequence[int] = (2, 3, 4),
    lrs: Sequence[float] = LRS,
    noise: float = 2e-4,
    shared: float = 5e-4,
    seed: int = 0,
) -> pd.DataFrame:
    """A sweep of learning rates with some seeds, and its best rate with fresh ones.

    The multiplier goes from its first value at the smallest size to its second at the target, as a
    straight line in logarithms. `shared` is the noise that both arms have with a seed.
    """
    rng = np.random.default_rng(seed)
    C = np.geomspace(1e18, 1e20, sizes)
    rows = []
    for compute in C:
        common = rng.normal(0, shared, 100)
        for arm in ("old", "new"):
            at = np.log([C[0], TARGET]), np.log(multiplier)
            m = 1.0 if arm == "old" else np.exp(np.interp(np.log(compute), *at))
            for lr in lrs:
                for run in (*sweep, *(fresh if lr == BEST else ())):
                    log = 0.02 * np.log(lr / BEST) ** 2 + common[run] + rng.normal(0, noise)
                    rows.append(
                        {
                            "arm": arm,
                            "N": (compute / 120) ** 0.5,
                            "D": 20 * (compute / 120) ** 0.5,
                            "seed": run,
                            "lr": lr,
                            "loss": (1.7 + (m * compute / 1e18) ** -0.15) * np.exp(log),
                        }
                    )
    return pd.DataFrame(rows)

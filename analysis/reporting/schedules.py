"""Schedules as people compare them: their areas, a line of blocks, a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.schedule_areas import felt_drop, lr_area, without_warmup
from scalinglab.analysis.plot.labels import RATE, STEP, literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DECAY = 0.999  # lambda of S2: near the fitted values of arXiv 2408.11029
BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDTH = 40


def areas(lr: np.ndarray, decay: float = DECAY) -> tuple[float, float]:
    """S1 and S2 of a whole schedule, as the law ``lr_annealing`` counts them.

    Parameters
    ----------
    lr : ndarray
        The rate of each step.
    decay : float
        How much of a drop's momentum a step keeps, lambda; below 1.

    Returns
    -------
    tuple of float
        S1, the sum of the rates with the warm-up entered at its end's rate, and S2, the sum of
        m_i = decay m_(i-1) + (lr_(i-1) - lr_i) (arXiv 2408.11029).
    """
    flat = without_warmup(np.asarray(lr, dtype=float))
    felt = felt_drop(flat, np.array([decay]))[0, -1]
    return float(lr_area(flat)[-1]), float(felt / (1 - decay))


def blocks(lr: np.ndarray, width: int = _WIDTH) -> str:
    """A schedule as a line of blocks, its highest rate a full one."""
    parts = np.array_split(lr, min(width, len(lr)))
    height = np.array([part.mean() for part in parts]) / np.max(lr)
    return "".join(BLOCKS[int(np.ceil(h * (len(BLOCKS) - 1) - 1e-9))] for h in height)


def schedule_table(schedules: Mapping[str, np.ndarray], decay: float = DECAY) -> pd.DataFrame:
    """One row per schedule: ``schedule, steps, peak, S1, S2`` and its picture as `rate`."""
    rows = []
    for name, lr in schedules.items():
        s1, s2 = areas(lr, decay)
        rows.append(
            {
                "schedule": name,
                "steps": len(lr),
                "peak": lr.max(),
                "S1": s1,
                "S2": s2,
                "rate": blocks(lr),
            }
        )
    return pd.DataFrame(rows)


def draw_schedules(schedules: Mapping[str, np.ndarray]) -> Figure:
    """The rate of every step of some schedules."""
    # matplotlib takes half a second to import: only drawing waits for it.
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, max(4.2, 0.17 * len(schedules) + 0.8)), layout="constrained")
    ax = figure.subplots()
    # Highest peak first, which is the order of the lines from above; the longest drawn first.
    order = sorted(schedules, key=lambda name: (-schedules[name].max(), -len(schedules[name])))
    few = [colormaps["tab10"](k) for k in range(10)] if len(order) <= 10 else ()
    for k, name in enumerate(order):
        lr = schedules[name]
        ax.step(
            np.arange(len(lr)) + 1,
            lr,
            where="mid",
            lw=1.2,
            label=literal(name),
            color=few[k] if few else colormaps["turbo"](0.95 - 0.9 * k / len(order)),
        )
    ax.set_xlabel(STEP)
    ax.set_ylabel(RATE)
    ax.grid(alpha=0.2)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(fontsize=7, loc="outside right upper")
    return figure

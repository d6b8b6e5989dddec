"""Ticks of logarithmic axes: as many labels as fit, for any part of a decade."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import (
    FuncFormatter,
    Locator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from scalinglab.analysis.plot.labels import decimal

if TYPE_CHECKING:
    from matplotlib.axis import Axis

_SUBS = ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,))
_EVERY = (2, 3, 4, 5, 6, 8, 10)  # decades apart, where one each is too many
_EMS = 3.0  # of the font, which matplotlib counts for a tick along x
_LABEL_EMS = {"x": 4.2, "y": 2.5}  # that a label as 3·10¹² takes, with its gap
_FEWEST = 2
_DECADE = 10.0


class LogTicks(Locator):
    """The densest round numbers whose labels fit.

    Parameters
    ----------
    densest : sequence of int
        Which multiples of the powers of ten may be marked: fewer, and bars of one quantity in
        several figures agree.
    """

    def __init__(self, densest: Sequence[int] = _SUBS[0]) -> None:
        self._subs = _SUBS[_SUBS.index(tuple(densest)) :]

    def __call__(self) -> Sequence[float]:
        """Places of the ticks within the limits shown."""
        assert self.axis is not None
        low, high = sorted(self.axis.get_view_interval())
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Places of the ticks between two limits."""
        if not 0 < vmin < vmax:
            return []
        room = self._room()
        first, last = int(np.floor(np.log10(vmin))), int(np.ceil(np.log10(vmax)))
        sets = [[m * 10.0**k for k in range(first, last + 1) for m in subs] for subs in self._subs]
        sets += [[10.0**k for k in range(first, last + 1) if k % n == 0] for n in _EVERY]
        fallback = np.empty(0)
        for values in sets:
            inside = np.array([v for v in values if vmin * 0.999 <= v <= vmax * 1.001])
            if len(inside) <= room and self._apart(inside, vmin, vmax, room):
                if len(inside) >= _FEWEST:
                    return self._evenly(vmin, vmax, room, inside).tolist()
                fallback = fallback if len(fallback) else inside
        decades = [10.0**k for k in range(first, last + 1) if vmin <= 10.0**k <= vmax]
        if len(decades) >= _FEWEST:
            return [decades[0], decades[-1]]
        linear = np.asarray(MaxNLocator(nbins=max(min(room - 1, 5), 1)).tick_values(vmin, vmax))
        inside = linear[(linear >= vmin) & (linear <= vmax)]
        apart = self._apart(inside, vmin, vmax, room)
        return (inside if len(inside) > len(fallback) and apart else fallback).tolist()

    def _evenly(self, low: float, high: float, room: int, logs: np.ndarray) -> np.ndarray:
        """Evenly spaced ticks in place of few round ones within a decade: they leave gaps."""
        if len(logs) > _FEWEST or high / low > _DECADE:
            return logs
        even = np.asarray(
            MaxNLocator(min(room, 5), steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        )
        even = even[(even >= low) & (even <= high)]
        return even if len(even) > len(logs) and self._apart(even, low, high, room) else logs

    def _room(self) -> int:
        assert self.axis is not None
        name = getattr(self.axis, "axis_name", "x")
        space = self.axis.get_tick_space()
        per = _EMS if name == "x" else 2.0
        return int(max(_FEWEST, min(8, space * per / _LABEL_EMS.get(name, 5.0))))

    @staticmethod
    def _apart(values: np.ndarray, low: float, high: float, room: int) -> bool:
        """Whether neighbours are at least a label apart: multiples crowd before a decade."""
        if len(values) < 2:
            return True
        gaps = np.diff(np.log(values)) / np.log(high / low)
        return bool(gaps.min() >= 0.8 / (room + 1))


def set_scale(axis: Axis, scale: str) -> None:
    """Set the scale of either axis."""
    ax = axis.axes
    assert ax is not None
    (ax.set_xscale if axis is ax.xaxis else ax.set_yscale)(scale)


def log_axis(axis: Axis, form: Callable[[float], str]) -> None:
    """A logarithmic axis whose ticks are written by `form`."""
    set_scale(axis, "log")
    axis.set_major_locator(LogTicks())
    axis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def loss_axis(axis: Axis) -> None:
    """A logarithmic axis of losses: within a decade, so its ticks are evenly spaced numbers."""
    set_scale(axis, "log")
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value, 4)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())

"""The curve of a run that has not ended, and the fan of its forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import LOSS, STEP
from scalinglab.analysis.plot.layers import layers, line, points
from scalinglab.analysis.plot.marks import FORECAST
from scalinglab.analysis.plot.style import BAND, INK, axes, finish, palette
from scalinglab.analysis.plot.ticks import loss_axis
from scalinglab.analysis.tables.powers import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.forecasts.forecast import Forecast

_POINTS = 120
_FAN = (0.95, 0.8, 0.5)
_HEIGHT = 0.6


def forecast(prediction: Forecast, target: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """The measured part of a run, the law over the rest of its schedule, and the final loss.

    The fan is the law's interval at several levels, moved to the forecast, and at the end as wide
    as the forecast's own.

    Parameters
    ----------
    prediction : Forecast
        From `analysis.forecast_run`.
    target : DataFrame
        The run that was forecast: ``step, lr, loss`` over its whole schedule, the loss where known.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes() if ax is None else ax
    measured = target[target["loss"].notna()]
    law = np.asarray(prediction.law.predict(target)["loss"], float)
    step = target["step"].to_numpy(float)
    start = float(measured["step"].max()) if len(measured) else float(step.min())
    ahead = np.flatnonzero(step >= start)
    steps = ahead[np.unique(np.linspace(0, len(ahead) - 1, _POINTS).astype(int))]
    _fan(ax, prediction, step[steps], law[steps], measured, start)
    points(ax, measured[["step", "loss"]], "step", "loss", "measured", color=palette()[0], size=0.7)
    end = pd.DataFrame(
        {
            "step": [step.max()],
            "loss": [prediction.loss],
            "loss_lower": [prediction.lower],
            "loss_upper": [prediction.upper],
        }
    )
    points(ax, end, "step", "loss", f"final loss {prediction.loss:.4f}", **FORECAST)
    if len(measured):
        losses = measured["loss"].to_numpy(float)
        high = float(np.quantile(losses, _HEIGHT))
        for layer in layers(ax):
            layer.away = layer.values[1] > max(high, 1.05 * prediction.upper)
    ax.xaxis.set_major_formatter(lambda value, _: short(value) if value else "0")
    loss_axis(ax.yaxis)
    frame(ax, mark=False)
    return finish(ax, STEP, LOSS)


def _fan(
    ax: Axes,
    prediction: Forecast,
    step: np.ndarray,
    law: np.ndarray,
    measured: pd.DataFrame,
    start: float,
) -> None:
    """From where the curve is now to the forecast, in logarithms along the law."""
    last_loss = float(measured["loss"].iloc[-1]) if len(measured) else law[0]
    share = (step - start) / max(step.max() - start, 1.0)
    shift = np.log(last_loss / law[0]) * (1 - share) + np.log(prediction.loss / law[-1]) * share
    middle = law * np.exp(shift)
    half_up, half_down = (
        np.log(prediction.upper / prediction.loss),
        np.log(prediction.loss / prediction.lower),
    )
    for k, level in enumerate(_FAN if np.isfinite(half_up + half_down) else ()):
        part = _normal(level) / _normal(prediction.level) * np.sqrt(share)
        low, high = middle * np.exp(-half_down * part), middle * np.exp(half_up * part)
        ax.fill_between(
            step,
            low,
            high,
            color=INK,
            alpha=BAND * 0.8,
            lw=0,
            zorder=1.5,
            label=f"{', '.join(f'{v:.0%}' for v in _FAN)} intervals" if k == 0 else "_",
        )
    line(
        ax,
        pd.DataFrame({"step": step, "loss": middle}),
        "step",
        "loss",
        "forecast",
        color=INK,
        lw=1.4,
    )


def _normal(level: float) -> float:
    # scipy takes 0.2 s to import: other figures do not wait for it.
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))

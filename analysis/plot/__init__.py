"""Figures that can be published: each takes ``ax=`` and returns it.

They obey matplotlib's rcParams (`PAPER` suits a printed column), show the interval of every law
they draw, and keep the numbers that they show: `data` gives them, `save` writes them beside the
picture. Nothing is imported before the first figure is asked for.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "COLUMN": "style",
    "PAGE": "style",
    "PAPER": "style",
    "axes": "style",
    "data": "files",
    "save": "files",
    "allocation": "allocation_figure",
    "arm_losses": "arm_losses_figure",
    "arm_ratio": "arm_ratio_figure",
    "best_ratio": "best_split_figure",
    "best_size": "best_split_figure",
    "best_tokens": "best_split_figure",
    "collapse": "collapse_figure",
    "curves": "curves_figure",
    "experts": "experts_figure",
    "forecast": "forecast_figure",
    "iso_loss": "iso_loss_figure",
    "isoflop": "isoflop_figure",
    "laws_compared": "laws_compared_figure",
    "learning_rates": "learning_rates_figure",
    "loss_against": "loss_against_figure",
    "loss_against_compute": "loss_against_compute_figure",
    "lr_basins": "lr_basins_figure",
    "measured_against": "measured_against_figure",
    "mixture": "mixture_figure",
    "multiverse": "multiverse_figure",
    "multiverse_shares": "multiverse_figure",
    "profile": "profile_figure",
    "reducible_loss": "reducible_loss_figure",
    "residuals": "residuals_figure",
    "runs": "runs_figure",
    "speed_up": "speed_up_figure",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a figure from its file, the first time it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {__all__}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

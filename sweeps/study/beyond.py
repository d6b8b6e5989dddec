"""Runs just beyond those that a study fits: what could be trained next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.sweeps.study.study import read_study

_WIDER = 1.4  # one step in width: about twice the parameters
_LONGER = 2  # one step in tokens


def axes_beyond(composed: Mapping[str, Any]) -> dict[str, Any]:
    """The axes of the widths, tokens and seeds that a study fits, and one step beyond.

    Parameters
    ----------
    composed : mapping
        The composed configuration, which holds the study.

    Returns
    -------
    dict
        The grid of a block, with the axes ``model.width``, ``tokens`` and ``seed``. The largest
        number of tokens is the step beyond.

    Raises
    ------
    ConfigError
        If the widths of the study follow its depths.
    """
    fitted = [request.config for request in read_study(composed)[1] if request.role == "fit"]
    models = [config.model for config in fitted if isinstance(config.model, ModelConfig)]
    if len(models) < len(fitted):
        raise ConfigError(
            "sizes of model.target are options of its own: give the candidates' axes, as in "
            "'grid.model.options.width=[96]' 'grid.tokens=[4194304]'"
        )
    widths = sorted({model.width for model in models if model.width})
    tokens = sorted({config.tokens for config in fitted})
    if not widths:
        raise ConfigError(
            "the study's widths follow its depths: give the candidates' axes, as in "
            "'grid.model.depth=[2,4]' 'grid.tokens=[4194304]'"
        )
    head = max(model.head_dim for model in models)
    wider = round(widths[-1] * _WIDER / head) * head
    return {
        "model": {"width": sorted({*widths, wider})},
        "tokens": [*tokens, _LONGER * tokens[-1]],
        "seed": sorted({config.seed for config in fitted}),
    }

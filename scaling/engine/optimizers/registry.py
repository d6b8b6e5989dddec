"""The optimizers by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from scalinglab.scaling.engine.optimizers.adafactor import Adafactor
from scalinglab.scaling.engine.optimizers.adamp import AdamP
from scalinglab.scaling.engine.optimizers.adamw import AdamW
from scalinglab.scaling.engine.optimizers.lion import Lion
from scalinglab.scaling.engine.optimizers.muon import Muon
from scalinglab.scaling.engine.optimizers.nadamw import NAdamW
from scalinglab.scaling.engine.optimizers.normalized import Normalized
from scalinglab.scaling.engine.optimizers.optimizer import Optimizer
from scalinglab.scaling.engine.optimizers.schedule_free import ScheduleFree
from scalinglab.scaling.engine.optimizers.sgd import SGD
from scalinglab.scaling.engine.optimizers.soap import SOAP
from scalinglab.scaling.model.parametrization import TensorRule
from scalinglab.scaling.optimizers.settings import Settings, optimizer_name

OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    "adamw": AdamW,
    "sgd": SGD,
    "lion": Lion,
    "muon": Muon,
    "nadamw": NAdamW,
    "adafactor": Adafactor,
    "schedule_free": ScheduleFree,
    "soap": SOAP,
    "adamp": AdamP,
    "normalized": Normalized,
}


def build_optimizer(
    settings: Sequence[Settings],
    sizes: Mapping[str, torch.Size],
    rules: Mapping[str, TensorRule],
    device: str,
) -> Optimizer:
    """The optimizer whose settings the members bring.

    Raises
    ------
    ValueError
        If they bring settings of several.
    """
    return OPTIMIZERS[optimizer_name(settings)](settings, sizes, rules, device)

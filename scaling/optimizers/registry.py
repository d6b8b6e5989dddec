"""The optimizers by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from scaling.model.parametrization import TensorRule
from scaling.optimizer_settings import Settings, optimizer_name
from scaling.optimizers.adafactor import Adafactor
from scaling.optimizers.adamp import AdamP
from scaling.optimizers.adamw import AdamW
from scaling.optimizers.lion import Lion
from scaling.optimizers.muon import Muon
from scaling.optimizers.nadamw import NAdamW
from scaling.optimizers.normalized import Normalized
from scaling.optimizers.optimizer import Optimizer
from scaling.optimizers.schedule_free import ScheduleFree
from scaling.optimizers.sgd import SGD
from scaling.optimizers.soap import SOAP

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

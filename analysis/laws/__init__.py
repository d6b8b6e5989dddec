"""The laws: one small file each, registered by name in `LAWS`."""

from analysis.laws import (
    bnsl,
    chinchilla,
    critical_batch,
    data_constrained,
    farseer,
    joint_power,
    learning_curves,
    loss_to_loss,
    lr_annealing,
    lr_batch,
    overtrained,
    parscale,
    power,
    quality_quantity,
)
from analysis.laws.law import Law, Parameter
from analysis.laws.registry import LAWS, find, register

__all__ = [
    "LAWS",
    "Law",
    "Parameter",
    "bnsl",
    "chinchilla",
    "critical_batch",
    "data_constrained",
    "farseer",
    "find",
    "joint_power",
    "learning_curves",
    "loss_to_loss",
    "lr_annealing",
    "lr_batch",
    "overtrained",
    "parscale",
    "power",
    "quality_quantity",
    "register",
]

"""The laws: one small file each, registered by name in `LAWS`. A new file joins by lying here."""

from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import LAWS, find, register

__all__ = ["LAWS", "Law", "Parameter", "find", "register"]

"""The laws: one small file each, registered by name in `LAWS`. A new file joins by lying here."""

from importlib import import_module
from pkgutil import iter_modules

from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import LAWS, find, register

__all__ = ["LAWS", "Law", "Parameter", "find", "register"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

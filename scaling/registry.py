"""Named definitions of one kind: an optimizer, a token source, a law.

Each definition stands in one file, which registers it by name; nothing else knows the name. The
files of a registry's package are imported on demand: the file of a name when that name is looked
up, all files when the names are listed.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.fields import one_of

_SHIPPED = f"{__package__.partition('.')[0]}."  # how the modules of this package begin

T = TypeVar("T")
D = TypeVar("D")


class Registry(Mapping[str, T]):
    """Name -> definition.

    Parameters
    ----------
    key : str
        The key of the configuration that names a definition: ``optimizer.name``.
    package : str, optional
        The package whose modules register the shipped definitions.
    makes_numbers : bool
        Whether a run's numbers depend on the code of the definition that its science names.
    arithmetic : str, optional
        The package with the arithmetic of shipped definitions, in modules of the same names.
    """

    # Registries whose definitions make numbers: a run records the hash of a person's own ones.
    number_making: ClassVar[list[Registry[Any]]] = []

    def __init__(
        self,
        key: str,
        package: str | None = None,
        *,
        makes_numbers: bool = False,
        arithmetic: str | None = None,
    ) -> None:
        if makes_numbers:
            self.number_making.append(self)
        self._arithmetic = arithmetic
        self._key, self._package = key, package
        self._definitions: dict[str, T] = {}
        self._modules: dict[str, str] = {}  # name -> the module that registered it
        self._wants: Callable[[Any], str | None] = lambda definition: None
        self._lock = (
            threading.RLock()
        )  # a definition's file may look others up while it is imported
        self._is_loading, self._is_loaded = False, package is None

    def register(self, name: str, module: str | None = None) -> Callable[[D], D]:
        """A decorator that makes a class or function the definition of a name.

        A person's own module that runs again, as a cell of a notebook may, replaces its definition.

        Parameters
        ----------
        name : str
        module : str, optional
            The module that defines it; default: the caller.

        Raises
        ------
        UserError
            If the name has another definition, or the definition has another name.
        """
        place = module or str(sys._getframe(1).f_globals.get("__name__", ""))

        def add(definition: D) -> D:
            entry: Any = definition  # a T, which the type D cannot express
            if lacks := self._wants(entry) or _misnamed(entry, name):
                raise UserError(f"{self._key} = {name!r} of {_file_of(place)}: {lacks}")
            if not place.startswith(_SHIPPED):
                self._loaded()  # shipped definitions first, so that none of them is replaced
            registered = self._definitions.setdefault(name, entry)
            before = self._modules.setdefault(name, place)
            if registered is not entry and (place != before or place.startswith(_SHIPPED)):
                raise UserError(
                    f"{self._key} = {name!r} is defined twice, in {_file_of(before)} and in "
                    f"{_file_of(place)}: give one of them another name"
                )
            self._definitions[name] = entry
            return definition

        return add

    def wants(self, check: Callable[[Any], str | None]) -> None:
        """Set the check of definitions: a function that returns what one lacks, or None."""
        self._wants = check

    def module_of(self, name: str) -> str:
        """The module that registered a name."""
        self[name]  # this imports its file
        return self._modules[name]

    def is_shipped(self, name: str) -> bool:
        """Whether this package defines a name, not a person's own file."""
        return self.module_of(name).startswith(_SHIPPED)

    def halves_of(self, name: str) -> tuple[str, ...]:
        """The modules of a shipped name: of its definition, and of separate arithmetic."""
        module = self.module_of(name)
        if self._arithmetic is None:
            return (module,)
        return module, f"{self._arithmetic}.{module.rpartition('.')[2]}"

    @property
    def key(self) -> str:
        """The key of the configuration that names a definition."""
        return self._key

    def find(self, name: str, key: str | None = None) -> T:
        """The definition of a name.

        Parameters
        ----------
        name : str
        key : str, optional
            The key with the name; default: the registry's key.

        Raises
        ------
        ConfigError
            If there is no such name; it lists all names.
        """
        if name not in self:
            one_of(key or self._key, name, self)
        return self[name]

    def __getitem__(self, name: str) -> T:
        """The definition of a name."""
        if not (name in self._definitions or self._is_loaded or self._package is None):
            self._load_file(name)
        return self._definitions[name] if name in self._definitions else self._loaded()[name]

    def __delitem__(self, name: str) -> None:
        """Remove a definition, so that a cell of a notebook can register it again."""
        del self._loaded()[name], self._modules[name]

    def __iter__(self) -> Iterator[str]:
        """The names; shipped ones are sorted."""
        return iter(self._loaded())

    def __len__(self) -> int:
        """The number of definitions."""
        return len(self._loaded())

    def _loaded(self) -> dict[str, T]:
        if not self._is_loaded:
            with self._lock:
                if not self._is_loading and not self._is_loaded:
                    self._load()
        return self._definitions

    def _load_file(self, name: str) -> None:
        """Import the file of that name, if there is one."""
        module = f"{self._package}.{name}"
        if str(name).isidentifier() and importlib.util.find_spec(module) is not None:
            importlib.import_module(module)

    def _load(self) -> None:
        assert self._package is not None
        self._is_loading = True
        try:
            for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            self._definitions = dict(sorted(self._definitions.items()))
            self._is_loaded = True
        finally:
            self._is_loading = False


def _file_of(module: str) -> str:
    """The file of a module, for messages: relative for this package, else absolute."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return "this session" if module == "__main__" else module
    return module.replace(".", "/") + ".py" if module.startswith(_SHIPPED) else str(Path(file))


def _misnamed(definition: Any, name: str) -> str | None:
    chooser = getattr(definition, "chooser", "")
    said_name = getattr(definition, chooser, name)
    if said_name == name:
        return None
    return f"its class says {chooser} = {said_name!r}: give it the field {chooser}: str = {name!r}"


def subclass_of(base: type, *needed: str) -> Callable[[Any], str | None]:
    """A check that a class is a complete subclass of `base` with the `needed` attributes."""

    def lacks(definition: Any) -> str | None:
        if not (isinstance(definition, type) and issubclass(definition, base)):
            return f"{_in_words(definition)} is registered, a subclass of {base.__name__} is wanted"
        if is_dataclass(base) and "__dataclass_fields__" not in vars(definition):
            return (
                f"class {definition.__name__} is no dataclass: @dataclass(frozen=True) below "
                "register"
            )
        absent = sorted(getattr(definition, "__abstractmethods__", ()))
        absent += [name for name in needed if not hasattr(definition, name)]
        return f"class {definition.__name__} lacks {', '.join(absent)}" if absent else None

    return lacks


def instance_of(base: type) -> Callable[[Any], str | None]:
    """A check that an object is an instance of a class."""

    def lacks(definition: Any) -> str | None:
        if isinstance(definition, base):
            return None
        return f"{_in_words(definition)} is registered, a {base.__name__} is wanted"

    return lacks


def function(definition: Any) -> str | None:
    """A check that a definition is a function."""
    return (
        None if callable(definition) else f"{_in_words(definition)} is registered, not a function"
    )


def _in_words(definition: Any) -> str:
    if isinstance(definition, type):
        return f"class {definition.__name__}"
    if callable(definition):
        return f"function {getattr(definition, '__name__', definition)}"
    return f"{definition!r} ({type(definition).__name__})"[:80]

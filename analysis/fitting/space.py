"""The free coordinates of a fit, and the law's parameters as functions of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.scaling.errors import UserError


@dataclass(frozen=True)
class Space:
    """Free internal coordinates u, shape (batch, free), and the parameters they stand for.

    Attributes
    ----------
    law : Law
    fixed : mapping of str to float
        Parameters held at a value.
    tied : mapping of str to str
        Parameter -> the parameter whose value it takes.
    bounds : mapping of str to (low, high)
        Bounds that replace the law's own.
    """

    law: Law
    fixed: Mapping[str, float] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for option in ("fixed", "tied", "bounds"):
            for name in getattr(self, option):
                self._known(option, name)
        for name, owner in self.tied.items():
            self._known("tied", owner)
            if name in self.fixed or owner in self.fixed or owner in self.tied:
                raise UserError(f"tied: {name!r} follows {owner!r}, so {owner!r} must be free")
        for name, value in self.fixed.items():
            parameter = self._parameter(name)
            if not parameter.low <= value <= parameter.high:
                raise UserError(
                    f"fixed: {name}={value:g} is outside {parameter.low:g} .. {parameter.high:g}"
                )
        for name, (low, high) in self.bounds.items():
            if not low < high:
                raise UserError(f"bounds: {name!r} has low {low:g} not below high {high:g}")
        if not self.free:
            raise UserError("nothing is free: every parameter is fixed")

    def _known(self, option: str, name: str) -> None:
        if name not in self.law.names:
            allowed = ", ".join(self.law.names)
            raise UserError(f"{option}: {self.law.name} has no parameter {name!r}, only {allowed}")

    def _parameter(self, name: str) -> Parameter:
        parameter = self.law.parameters[self.law.names.index(name)]
        if name in self.bounds:
            low, high = self.bounds[name]
            return replace(parameter, low=low, high=high)
        return parameter

    @cached_property
    def free(self) -> tuple[str, ...]:
        """Names of the free parameters, in the law's order."""
        return tuple(n for n in self.law.names if n not in self.fixed and n not in self.tied)

    @property
    def select(self) -> Array:
        """Matrix, shape (parameters, free), with a 1 where a parameter follows a coordinate."""
        matrix = np.zeros((len(self.law.names), len(self.free)))
        for k, name in enumerate(self.law.names):
            owner = self.tied.get(name, name)
            if owner in self.free:
                matrix[k, self.free.index(owner)] = 1
        return matrix

    @property
    def limits(self) -> tuple[Array, Array]:
        """Lowest and highest internal coordinates, shape (free,) each."""
        low, high = zip(*(self._parameter(name).limits() for name in self.free), strict=True)
        return np.array(low, float), np.array(high, float)

    @property
    def max_steps(self) -> Array:
        """Longest step of each coordinate, shape (free,)."""
        return np.array([self._parameter(name).max_step() for name in self.free])

    @cached_property
    def _owners(self) -> tuple[Parameter, ...]:
        """For each parameter of the law, the one whose value it has, with its bounds."""
        return tuple(self._parameter(self.tied.get(name, name)) for name in self.law.names)

    def _on(self, scale: str) -> Array:
        return np.array([k for k, owner in enumerate(self._owners) if owner.scale == scale], int)

    @cached_property
    def _scales(self) -> tuple[Array, Array]:
        """Places of the parameters that move by their logarithm, and by that of 1 - value."""
        return self._on("log"), self._on("complement")

    @cached_property
    def _followed(self) -> Array:
        """Which coordinate each parameter follows; any, for those that are fixed."""
        return self.select.argmax(axis=1)

    def expand(self, coordinates: Array) -> Array:
        """Parameters, shape (batch, parameters), of internal coordinates (batch, free)."""
        log, complement = self._scales
        params = coordinates[:, self._followed]
        params[:, log] = np.exp(params[:, log])
        if len(complement):
            params[:, complement] = 1 - np.exp(params[:, complement])
        for name, value in self.fixed.items():
            params[:, self.law.names.index(name)] = value
        return params

    def compress(self, params: Array) -> Array:
        """Internal coordinates within bounds, (batch, free), of parameters (batch, parameters)."""
        at = [self.law.names.index(name) for name in self.free]
        free = [self._parameter(name) for name in self.free]
        coordinates = [p.to_unconstrained(params[:, k]) for p, k in zip(free, at, strict=True)]
        return np.clip(np.stack(coordinates, axis=1), *self.limits)

    def slopes(self, params: Array) -> Array:
        """d parameter / d its coordinate, shape (batch, parameters)."""
        slopes = np.ones(params.shape)
        log, complement = self._scales
        slopes[:, log] = params[:, log]
        if len(complement):
            slopes[:, complement] = params[:, complement] - 1
        return slopes

    def prior(self, name: str, value: float, deviation: float) -> tuple[int, float, float]:
        """A prior on a free parameter: its coordinate, and centre and width there.

        Raises
        ------
        UserError
            If the parameter is not free, the value is out of its range, or the deviation is not
            positive.
        """
        self._known("priors", name)
        if name not in self.free:
            raise UserError(f"priors: {name!r} is not free; free are {', '.join(self.free)}")
        parameter = self._parameter(name)
        if not deviation > 0 or not parameter.low <= value <= parameter.high:
            raise UserError(
                f"priors: {name!r} needs (value, deviation) with a value in {parameter.low:g} .."
                f" {parameter.high:g} and a positive deviation, not ({value!r}, {deviation!r})"
            )
        slope = abs(float(parameter.slope(np.array(float(value)))))
        return self.free.index(name), float(parameter.to_unconstrained(value)), deviation / slope

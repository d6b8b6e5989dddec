"""A law: one function of (columns, parameters), with names, bounds and where to start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from scalinglab.analysis.laws.error_scale import Errors

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
Columns = dict[str, Array]
Scale = Literal["linear", "log", "complement"]

_FARTHEST = np.log(1e50)  # a log-scale parameter lives in 1e-50 .. 1e50 unless bounded


@dataclass(frozen=True)
class Parameter:
    """One unknown of a law.

    Attributes
    ----------
    name : str
    start : tuple of float
        Range in which starts are drawn, evenly on the parameter's scale. Not needed for the
        parameters that the law names in `linear`: those are solved for.
    scale : {"linear", "log", "complement"}
        What the fitter moves: the value, its logarithm, or log(1 - value) (a decay just below 1).
    low, high : float
        Bounds of the value. A fit that ends on one says so.
    unit, meaning : str
        For tables and documentation.
    prior : tuple of float, optional
        (value, standard deviation) that every fit takes as its prior unless told another; for
        parameters that curves leave open. The law says where it comes from.
    """

    name: str
    start: tuple[float, float] = (1.0, 1.0)
    scale: Scale = "linear"
    low: float = -np.inf
    high: float = np.inf
    unit: str = ""
    meaning: str = ""
    prior: tuple[float, float] | None = None

    def inward(self, value: Array) -> Array:
        """The internal coordinate of a value."""
        value = np.asarray(value, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "log":
                return np.maximum(np.log(value), -_FARTHEST)
            return np.log(1 - value) if self.scale == "complement" else value

    def outward(self, internal: Array) -> Array:
        """The value at an internal coordinate."""
        if self.scale == "log":
            return np.exp(internal)
        return 1 - np.exp(internal) if self.scale == "complement" else internal

    def slope(self, value: Array) -> Array:
        """d value / d internal coordinate, at a value."""
        if self.scale == "log":
            return value
        return value - 1 if self.scale == "complement" else np.ones_like(value)

    def limits(self) -> tuple[float, float]:
        """Lowest and highest internal coordinate."""
        if self.scale == "log":
            low, high = float(self.inward(max(self.low, 0.0))), float(self.inward(self.high))
            return low, min(high, _FARTHEST)
        if self.scale == "complement":  # log(1 - value) falls as the value rises
            return float(self.inward(self.high)), float(self.inward(self.low))
        return self.low, self.high

    def stride(self) -> float:
        """Longest step, in the internal coordinate, that the fitter takes at once."""
        if self.scale == "log":
            return 4.0
        width = abs(float(self.inward(self.start[1]) - self.inward(self.start[0])))
        return 0.5 * width if width > 0 else np.inf


@dataclass(frozen=True)
class Law:
    """A formula for a measured quantity, and what the fitter must know about it.

    Attributes
    ----------
    name, formula, source : str
        `source` is the paper, by arXiv number.
    parameters : tuple of Parameter
    columns : mapping of str to str
        Columns that the formula needs -> what they hold, with the unit.
    value : callable
        ``value(**columns, **parameters)``: the formula. Columns come with shape (n,), parameters
        with shape (batch, 1); the answer broadcasts to (batch, n). If no `gradient` is given it is
        differentiated by complex step, so it must be analytic (no abs, max or comparisons of
        parameters).
    gradient : callable, optional
        Same arguments -> (value, {parameter: partial derivative}), each broadcasting to (batch, n).
    linear : tuple of str
        Parameters in which `value` is linear; their starts are solved for by non-negative least
        squares at each start of the others (variable projection).
    guess : callable, optional
        ``guess(columns, response) -> {parameter: array of starts}``, for laws whose starts are
        better found another way.
    prepare : callable, optional
        ``prepare(frame, wanted) -> columns`` for laws that need more than picking columns, such as
        the areas of a learning-rate schedule. `wanted`, shape (rows,) of bool, says for which rows
        of the frame; arrays are aligned with those along their last axis. NaN marks rows that the
        law does not describe.
    needs : mapping of str to str
        What `prepare` reads from the frame -> what it holds, with the unit; `columns` if there is
        no `prepare`.
    response : str
        The column that the law predicts.
    errors : {"relative", "absolute"}
        Whether a measurement is off by a share of itself (residuals are taken in logarithms, the
        response must be positive) or by an amount, as accuracies and task errors are.
    span : (low, high)
        What values the response can have.
    curve : bool
        True for laws of whole training curves: the response may be NaN where it was not measured.
    """

    name: str
    formula: str
    source: str
    parameters: tuple[Parameter, ...]
    columns: Mapping[str, str]
    value: Callable[..., Array]
    gradient: Callable[..., tuple[Array, dict[str, Array]]] | None = None
    linear: tuple[str, ...] = ()
    guess: Callable[[Columns, Array], dict[str, Array]] | None = None
    prepare: Callable[[pd.DataFrame, Array], Columns] | None = None
    needs: Mapping[str, str] = field(default_factory=dict)
    response: str = "loss"
    errors: Errors = "relative"
    span: tuple[float, float] = (0.0, np.inf)
    curve: bool = False

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(p.name for p in self.parameters)

    @property
    def inputs(self) -> Mapping[str, str]:
        """Columns that a frame must have, beside the response."""
        return self.needs or self.columns

    @property
    def positive(self) -> tuple[str, ...]:
        """Columns that must hold positive numbers."""
        return () if self.prepare else tuple(self.columns)

    def read(self, frame: pd.DataFrame, wanted: Array | None = None) -> Columns:
        """Columns of the formula, for the wanted rows of a frame that has the law's `inputs`."""
        wanted = np.ones(len(frame), bool) if wanted is None else wanted
        if self.prepare is not None:
            return self.prepare(frame, wanted)
        return {name: frame[name].to_numpy(float)[wanted] for name in self.columns}

    def predict(self, params: Array, columns: Columns) -> Array:
        """The law for each parameter vector, shape (batch, parameters) -> (batch, n)."""
        n = next(iter(columns.values())).shape[-1]
        value = self.value(**columns, **self._by_name(np.atleast_2d(params)))
        return np.broadcast_to(value, (len(np.atleast_2d(params)), n))

    def jacobian(self, params: Array, columns: Columns) -> tuple[Array, Array]:
        """Value and exact derivatives, shapes (batch, n) and (batch, parameters, n)."""
        params = np.atleast_2d(params)
        if self.gradient is None:
            return self.complex_step(params, columns)
        value, partials = self.gradient(**columns, **self._by_name(params))
        n = next(iter(columns.values())).shape[-1]
        jacobian = np.empty((len(params), len(self.parameters), n))
        for k, name in enumerate(self.names):
            jacobian[:, k] = partials[name]
        return np.broadcast_to(value, (len(params), n)), jacobian

    def complex_step(self, params: Array, columns: Columns) -> tuple[Array, Array]:
        """Value and derivatives by complex step, exact to rounding for an analytic `value`.

        Im f(x + ih) / h has no subtraction, so h can be so small that its error vanishes.
        """
        params = np.atleast_2d(params)
        n = next(iter(columns.values())).shape[-1]
        jacobian = np.empty((len(params), len(self.parameters), n))
        for k in range(len(self.parameters)):
            moved = params.astype(complex)
            step = 1e-30 * np.maximum(np.abs(params[:, k]), 1e-30)
            moved[:, k] += 1j * step
            jacobian[:, k] = self.predict(moved, columns).imag / step[:, None]
        return np.asarray(self.predict(params, columns)), jacobian

    def starts(self, columns: Columns, response: Array, count: int | None = None) -> Array:
        """Where to begin, shape (count, parameters); see `scalinglab.analysis.laws.starts`."""
        from scalinglab.analysis.laws.starts import spread_starts

        return spread_starts(self, columns, response, count)

    def _by_name(self, params: Array) -> dict[str, Array]:
        return {name: params[:, k : k + 1] for k, name in enumerate(self.names)}

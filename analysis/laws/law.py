"""A law: one function of (columns, parameters), with names, bounds and where to start."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from scalinglab.analysis.laws.error_scale import Errors
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter, Role
from scalinglab.analysis.laws.starts import resized_starts, some_rows, spread_starts
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
Columns = dict[str, Array]

SPLITS = (1e-3, 1e7)  # tokens per parameter among which a best split is looked for


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
    several_peaks : bool
        Of laws of curves: whether runs of different peak learning rates, or that warm up again,
        fall under one set of parameters. The loss must then depend on the height of the learning
        rate itself, not on drops below each run's own peak alone.
    best_size : callable, optional
        ``best_size(budget, **parameters)``: the size N of least loss where 6 N D is the budget, for
        surfaces that have it in closed form. Others are searched.
    reference : mapping of str to float
        The parameters of published runs, at which a plan is judged before its own runs are made.
    rival : str
        The law beside which this one is fitted to show how far an answer depends on the law.

    Raises
    ------
    UserError
        If the law contradicts itself.
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
    several_peaks: bool = False
    best_size: Callable[..., Array] | None = None
    reference: Mapping[str, float] = field(default_factory=dict)
    rival: str = ""

    def __post_init__(self) -> None:
        """Refuse what the fitter would take for something else."""
        names = self.names
        if len(set(names)) < len(names):
            raise UserError(f"law {self.name!r} names a parameter twice: {', '.join(names)}")
        clash = sorted(set(names) & set(self.columns))
        if clash:
            raise UserError(
                f"law {self.name!r} uses {clash[0]!r} both as a column and as a parameter"
            )
        unknown = sorted(set(self.linear) - set(names))
        if unknown:
            raise UserError(
                f"law {self.name!r} calls {unknown[0]!r} linear; "
                f"its parameters are {', '.join(names)}"
            )
        self._check_value()

    def _check_value(self) -> None:
        """Refuse a formula that does not take what it will be called with."""
        signature, names = inspect.signature(self.value), (*self.columns, *self.names)
        try:
            signature.bind(**dict.fromkeys(names))
        except TypeError as error:
            raise UserError(
                f"law {self.name!r}: value{signature} is called by name with its columns and "
                f"parameters, {', '.join(names)}: {error}"
            ) from None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(p.name for p in self.parameters)

    def parameters_with_role(self, role: Role) -> tuple[str, ...]:
        """Names of the parameters that have a role, in order."""
        return tuple(p.name for p in self.parameters if p.role == role)

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
        """The law for each parameter vector, shape (batch, parameters) -> (batch, n).

        Infinite or NaN, without NumPy's warnings, where the law has no value: some of the vectors are
        resamples, which far from the runs may exceed every number.
        """
        params = np.atleast_2d(params)
        shape = (len(params), next(iter(columns.values())).shape[-1])
        with np.errstate(all="ignore"):
            value = self.value(**columns, **self._by_name(params))
        return value if np.shape(value) == shape else np.broadcast_to(value, shape)

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
        """Value (b, n) and derivatives (b, p, n) by complex step, exact to rounding where analytic.

        Im f(x + ih) / h has no subtraction, so h can be so small that its error vanishes.
        """
        params = np.atleast_2d(params)
        batch, count = params.shape
        steps = 1e-30 * np.maximum(np.abs(params), 1e-30)
        # All parameters' steps at once: of few points a call costs more than its arithmetic.
        moved = params[:, None, :] + 1j * steps[:, None, :] * np.eye(count)
        tangent = self.predict(moved.reshape(-1, count), columns).imag
        jacobian = tangent.reshape(batch, count, -1) / steps[:, :, None]
        return np.asarray(self.predict(params, columns)), jacobian

    def starts(self, columns: Columns, response: Array, count: int | None = None) -> Array:
        """Starts spread over the law's ranges, shape (count, parameters).

        Parameters in which the law is linear are solved for at each of them (variable projection).
        A law that guesses gives its own starts: all of them by default, else some of them evenly,
        or all and then others around them.
        """
        if self.guess is not None:
            guess = self.guess(columns, response)
            guessed = np.stack(np.broadcast_arrays(*(guess[name] for name in self.names)), axis=1)
            if count is None:
                return guessed
            return resized_starts(self.parameters, guessed.astype(float), count)
        params = spread_starts(self.parameters, count)
        if self.linear:
            at = [self.names.index(name) for name in self.linear]
            params[:, at] = self._solve_linear(params, at, *some_rows(columns, response))
        return params

    def _solve_linear(
        self, params: Array, at: list[int], columns: Columns, response: Array
    ) -> Array:
        """Values of the linear parameters, at these places, that fit best beside the others."""
        basis = self.jacobian(params, columns)[1][:, at]
        signs = np.where([self.parameters[k].high <= 0 for k in at], -1.0, 1.0)
        bare = params.copy()
        bare[:, at] = 0
        # What the law gives without them: one curve, the batch's median.
        target = response - np.median(self.predict(bare, columns), axis=0)
        if self.errors == "relative":
            target = np.maximum(target, 1e-3 * response)
        return signs * nonnegative_coefficients(basis * signs[:, None], target, self.errors)

    def _by_name(self, params: Array) -> dict[str, Array]:
        return {name: params[:, k : k + 1] for k, name in enumerate(self.names)}

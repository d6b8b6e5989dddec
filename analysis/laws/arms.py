"""One law for several recipes at once, some of its parameters shared between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.scaling.errors import UserError

ARM = "arm"  # column: which arm a row belongs to


@dataclass(frozen=True)
class ArmLaw(Law):
    """A law with its own parameters, ``name[arm]``, for each arm, except the shared ones.

    Attributes
    ----------
    plain : Law
        What holds within one arm.
    arms : tuple of str
    shared : tuple of str
        Parameters with one value for all arms.
    """

    plain: Law | None = None
    arms: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()

    @property
    def of_one_arm(self) -> Law:
        """The law that each arm follows."""
        assert self.plain is not None  # a field of a subclass must have a default
        return self.plain

    def _check_value(self) -> None:
        """It is that of the plain law, which has been checked."""

    @property
    def positive(self) -> tuple[str, ...]:
        """See `Law.positive`."""
        return self.of_one_arm.positive

    def place(self, arm: int) -> Array:
        """Where the parameters of the plain law stand in this law's, for one arm."""
        return self._places[arm]

    @cached_property
    def _places(self) -> tuple[Array, ...]:
        """The places of each arm; every step of a fit asks for them."""
        plain, names = self.of_one_arm.names, self.names
        return tuple(
            np.array([names.index(n if n in self.shared else f"{n}[{arm}]") for n in plain])
            for arm in self.arms
        )

    def read(self, frame: pd.DataFrame, wanted: Array | None = None) -> Columns:
        """See `Law.read`; the arm of each row is its number.

        Raises
        ------
        UserError
            If a row has an arm that was not fitted.
        """
        wanted = np.ones(len(frame), bool) if wanted is None else wanted
        labels = frame[ARM].astype(str)
        unknown = sorted(set(labels) - set(self.arms))
        if unknown:
            raise UserError(f"column 'arm': {unknown[0]!r} is not one of {', '.join(self.arms)}")
        codes = labels.map({arm: a for a, arm in enumerate(self.arms)}).to_numpy(float)
        return {ARM: codes[wanted], **self.of_one_arm.read(frame, wanted)}

    def predict(self, params: Array, columns: Columns) -> Array:
        """See `Law.predict`."""
        params = np.atleast_2d(params)
        answer = np.empty((len(params), len(columns[ARM])), params.dtype)
        for a, rows, within in self._split(columns):
            answer[:, rows] = self.of_one_arm.predict(params[:, self.place(a)], within)
        return answer

    def jacobian(self, params: Array, columns: Columns) -> tuple[Array, Array]:
        """See `Law.jacobian`."""
        params = np.atleast_2d(params)
        answer = np.empty((len(params), len(columns[ARM])))
        slopes = np.zeros((len(params), len(self.parameters), len(columns[ARM])))
        for a, rows, within in self._split(columns):
            at = self.place(a)
            answer[:, rows], part = self.of_one_arm.jacobian(params[:, at], within)
            slopes[:, at[:, None], rows] = part
        return answer, slopes

    def starts(self, columns: Columns, response: Array, count: int | None = None) -> Array:
        """Each arm's own starts side by side; what is shared begins at the arms' middle."""
        starts_by_arm = {
            a: self.of_one_arm.starts(within, response[rows], count)
            for a, rows, within in self._split(columns)
        }
        count = max(len(start) for start in starts_by_arm.values())
        params = np.zeros((count, len(self.parameters)))
        times = np.zeros(len(self.parameters))
        for a, start in starts_by_arm.items():
            params[:, self.place(a)] += np.resize(start, (count, start.shape[1]))
            times[self.place(a)] += 1
        return params / np.maximum(times, 1)

    def _split(self, columns: Columns) -> Iterator[tuple[int, Array, Columns]]:
        plain = {name: column for name, column in columns.items() if name != ARM}
        for a in range(len(self.arms)):
            rows = np.flatnonzero(columns[ARM] == a)
            if len(rows):
                yield a, rows, {name: column[..., rows] for name, column in plain.items()}


def by_arm(law: Law, arms: Sequence[str], shared: Sequence[str] = ()) -> ArmLaw:
    """A law for several arms.

    Raises
    ------
    UserError
        If a shared name is not a parameter of the law.
    """
    for name in shared:
        if name not in law.names:
            allowed = ", ".join(law.names)
            raise UserError(f"shared: {law.name} has no parameter {name!r}, only {allowed}")
    arm_parameters = [
        replace(p, name=f"{p.name}[{arm}]")
        for arm in arms
        for p in law.parameters
        if p.name not in shared
    ]
    return ArmLaw(
        name=law.name,
        formula=law.formula,
        source=law.source,
        parameters=(*(p for p in law.parameters if p.name in shared), *arm_parameters),
        columns={ARM: "arm, by its index", **law.columns},
        needs={ARM: "which arm the row belongs to", **law.inputs},
        value=law.value,
        response=law.response,
        errors=law.errors,
        span=law.span,
        curve=law.curve,
        plain=law,
        arms=tuple(arms),
        shared=tuple(shared),
    )

"""Several laws at once: each has a share in what is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.error_scale import ERROR_SCALES
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import AUTO


@dataclass(frozen=True)
class MixtureLaw(Law):
    """Laws of the same response: its prediction is their mean by shares, on the scale of errors.

    Parameters are ``share[law]`` of each law, then ``name[law]``. One share of 1 is that law.

    Attributes
    ----------
    laws : tuple of Law
    """

    laws: tuple[Law, ...] = ()

    def _check_value(self) -> None:
        """Each of the laws has its own formula, which was checked."""

    @property
    def positive(self) -> tuple[str, ...]:
        """See `Law.positive`."""
        return tuple(dict.fromkeys(name for law in self.laws for name in law.positive))

    def place(self, number: int) -> slice:
        """Where the parameters of one law stand."""
        before = sum(len(law.names) for law in self.laws[:number])
        start = len(self.laws) + before
        return slice(start, start + len(self.laws[number].names))

    @staticmethod
    def column(law: Law, name: str) -> str:
        """A law's column: what it makes of a table is its own, what it picks is everybody's."""
        return name if law.prepare is None else f"{name}[{law.name}]"

    def read(self, frame: pd.DataFrame, wanted: Array | None = None) -> Columns:
        """See `Law.read`."""
        law_columns: Columns = {}
        for law in self.laws:
            law_columns |= {
                self.column(law, name): c for name, c in law.read(frame, wanted).items()
            }
        return law_columns

    def predict(self, params: Array, columns: Columns) -> Array:
        """See `Law.predict`; NaN where a law with a share predicts what no response can be."""
        params, scale = np.atleast_2d(params), ERROR_SCALES[self.errors]
        n = next(iter(columns.values())).shape[-1]
        mean = np.zeros((len(params), n))
        for number, law in enumerate(self.laws):
            rows = np.flatnonzero(params[:, number])
            if not len(rows):
                continue
            law_columns = {
                name: _rows(law, columns[self.column(law, name)], rows) for name in law.columns
            }
            prediction = scale.of(
                scale.possible(law.predict(params[rows, self.place(number)], law_columns))
            )
            mean[rows] += params[rows, number, None] * prediction
        return scale.back(mean)


def mixture_law(laws: Sequence[Law]) -> MixtureLaw:
    """The mixture of some laws, of one response."""
    first = laws[0]
    shares = [
        Parameter(f"share[{law.name}]", low=0, high=1, meaning=f"share of {law.name}")
        for law in laws
    ]
    law_parameters = [
        replace(p, name=f"{p.name}[{law.name}]", role="") for law in laws for p in law.parameters
    ]
    return MixtureLaw(
        name=AUTO,
        formula="mean by shares of " + ", ".join(law.name for law in laws),
        source="stacking: Yao et al. 2018, arXiv:1704.02030",
        parameters=(*shares, *law_parameters),
        columns={
            MixtureLaw.column(law, n): meaning for law in laws for n, meaning in law.columns.items()
        },
        needs={n: meaning for law in laws for n, meaning in law.inputs.items()},
        value=first.value,
        response=first.response,
        errors=first.errors,
        span=first.span,
        curve=first.curve,
        laws=tuple(laws),
    )


def _rows(law: Law, column: Array, rows: Array) -> Array:
    """A column of some parameter vectors, where it differs by vector: (batch, n)."""
    return column[rows] if law.prepare is None and column.ndim == 2 and len(column) > 1 else column

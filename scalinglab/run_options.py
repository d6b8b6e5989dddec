"""Options for reading runs as points of a fit: columns, units, counts of N and C."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalinglab.options import VersionOptions, option
from scalinglab.scaling.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ReadOptions(VersionOptions):
    """Options for reading the runs of a study or of a file."""

    columns: dict[str, str | float] = option(
        "column names in the table: columns.N=params, with a unit columns.N='params_m * 1e6';"
        " columns.loss=loss.STORE takes another validation set as the loss; in a study settings of"
        " the runs serve, too: columns.lr=optimizer.lr",
        {},
    )
    unit: str | None = option(
        "unit of the losses in a file: nats, bits, bits_per_byte or perplexity", None
    )


@dataclass(frozen=True, kw_only=True)
class CountOptions(ReadOptions):
    """Conventions of N and C of a study's runs."""

    n_count: str | None = option(
        "count of N in a study: n_matmul (default), n_block, n_total or n_active", None
    )
    flops: str | None = option(
        "convention of C in a study: causal (default), matmul, kaplan, palm, ...", None
    )


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """Which measured column is the loss."""

    columns: dict[str, str | float] = option(
        "columns.loss=NAME takes another measured column as the loss: loss.STORE of another"
        " validation set, probe.average.loss or task.copy_2.neg_log of a probe",
        {},
    )

    @property
    def loss(self) -> str | None:
        """The column that is taken as the loss of a study's runs; None: ``loss``."""
        column = loss_column(self.columns)
        return None if column == "loss" else column


def loss_column(columns: Mapping[str, Any]) -> str | None:
    """The column that is the loss of a study's runs; no other column of a study can be renamed.

    Raises
    ------
    ConfigError
        If another is named, or a number stands where a name does.
    """
    for name in columns:
        if name != "loss":
            raise ConfigError(
                f"columns.{name} is for data=FILE; in a study columns.loss alone can be set: it"
                " names the measured column that is compared, as in columns.loss=loss.STORE"
            )
    column = columns.get("loss")
    if column is not None and not isinstance(column, str):
        raise ConfigError(
            f"columns.loss = {column!r}: allowed is the name of a measured column, as in"
            " columns.loss=loss.STORE"
        )
    return column

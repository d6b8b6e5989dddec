"""How runs are read as the points of a fit: names of columns, units, counts of N and C."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.options import VersionOptions, option


@dataclass(frozen=True, kw_only=True)
class ReadOptions(VersionOptions):
    """How the runs of a study or of a file are read."""

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
    """How N and C of a study's runs are counted."""

    n_count: str | None = option(
        "count of N in a study: n_matmul (default), n_block, n_total or n_active", None
    )
    flops: str | None = option(
        "convention of C in a study: causal (default), matmul, kaplan, palm, ...", None
    )

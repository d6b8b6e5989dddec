"""Fits as JSON files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.diagnosis import Diagnosis
from scalinglab.analysis.fitting.fitted_law import FittedLaw
from scalinglab.analysis.intervals.left_out import LeftOutRuns
from scalinglab.analysis.intervals.measured import Measured
from scalinglab.analysis.intervals.rolling import Origins
from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.arms import by_arm
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.mixture import MixtureLaw, mixture_law
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import write_atomic

_VERSION = 2
_PLAIN = ("params", "objective", "settings", "points", "clusters", "noise", "columns", "excluded")
_DIAGNOSIS = {"alone": "full_searches"}  # key of a file -> field, where they differ
_COUNTS = ("held_out_points", "held_out_origins")  # of a mixture
_OF_LEVERAGE = ("leverage", "moved")  # of curves left out
_OF_REFITS = ("sign", "cut", "edge", "missed", "reach")


def to_dict(result: FittedLaw) -> dict:
    """A fit as plain values."""
    plain = {name: getattr(result, name) for name in _PLAIN}
    mixed = {"mixture": mixed_fields(result)} if isinstance(result.law, MixtureLaw) else {}
    return {
        "version": _VERSION,
        "law": result.law.name,
        "formula": result.law.formula,
        "source": result.law.source,
        **mixed,
        **plain,
        "diagnosis": _stored_diagnosis(result.diagnosis),
        "ranges": {name: list(pair) for name, pair in result.ranges.items()},
        "measured": {" ".join(axis): list(ends) for axis, ends in result.measured.ends.items()},
        "runs": list(result.runs),
        "held_out": result.held_out,
        "origins": _origins(result.origins),
        "left_out": {
            "runs": list(result.left_out.runs),
            "missed": result.left_out.missed.tolist(),
            "params": result.left_out.params.tolist(),
            **_leverage(result.left_out),
        },
        "warnings": list(result.warnings),
        "residuals": result.residuals.tolist(),
        "draws": {name: result.draws[name].tolist() for name in result.draws},
    }


def from_dict(stored: dict) -> dict[str, Any]:
    """The fields of the `FittedLaw` behind `to_dict`.

    Raises
    ------
    UserError
        If the version is unknown, or the law is not registered.
    """
    if stored.get("version") != _VERSION:
        raise UserError(f"fit file: version {stored.get('version')!r} is not {_VERSION}")
    fields = {_DIAGNOSIS.get(key, key): value for key, value in stored["diagnosis"].items()}
    earlier = {
        "full_searches": fields["starts"],
        "degrees": float("inf"),
        "searched": stored["points"],
    }
    diagnosis = (
        earlier
        | fields
        | {
            "basins": tuple(tuple(basin) for basin in stored["diagnosis"]["basins"]),
            "at_bound": tuple(stored["diagnosis"]["at_bound"]),
        }
    )
    settings, mixed = stored["settings"], stored.get("mixture")
    law: Law = mixture_law([find(n) for n in mixed["order"]]) if mixed else find(stored["law"])
    settings.setdefault("errors", "relative")  # fits stored when no law had any other
    settings.setdefault("counted", {})
    settings.setdefault("withheld", "")
    settings.setdefault("delta_rule", "given")
    settings.setdefault("peaks", {})
    if settings["arms"]:
        law = by_arm(law, settings["arms"], settings["shared"])
    return dict(
        law=law,
        **(_read_mixed(mixed) if mixed else {}),
        **{name: stored[name] for name in _PLAIN},
        diagnosis=Diagnosis(**diagnosis),
        ranges={name: (pair[0], pair[1]) for name, pair in stored["ranges"].items()},
        measured=_read_measured(stored),
        runs=tuple(stored["runs"]),
        held_out=stored["held_out"],
        origins=_read_origins(stored["origins"], len(law.names)),
        left_out=_read_left_out(stored.get("left_out"), len(law.names)),
        warnings=tuple(stored["warnings"]),
        residuals=np.array(stored["residuals"]),
        draws=pd.DataFrame(stored["draws"], columns=list(law.names), dtype=float),
    )


def _read_measured(stored: dict) -> Measured:
    """The fitted range; for fits stored before ratios counted, that of each column."""
    if "measured" in stored:
        ends = {tuple(axis.split(" ")): tuple(ends) for axis, ends in stored["measured"].items()}
        return Measured(ends)
    with np.errstate(divide="ignore"):
        return Measured({(name,): tuple(np.log(ends)) for name, ends in stored["ranges"].items()})


def mixed_fields(result: Any) -> dict[str, Any]:
    """The fields of a mixture beyond those of a fit, as plain values; `order`: its parameters."""
    assert isinstance(result.law, MixtureLaw)
    return {
        "order": [law.name for law in result.law.laws],
        "laws": result.laws.reset_index().to_dict("list"),
        **{name: getattr(result, name) for name in _COUNTS},
    }


def _read_mixed(stored: dict) -> dict[str, Any]:
    laws = pd.DataFrame(stored["laws"]).set_index("law")
    return {"laws": laws, **{name: stored[name] for name in _COUNTS}}


def _stored_diagnosis(diagnosis: Diagnosis) -> dict[str, Any]:
    stored = {field: key for key, field in _DIAGNOSIS.items()}
    return {stored.get(name, name): value for name, value in asdict(diagnosis).items()}


def _origins(origins: Origins) -> dict:
    arrays = {name: getattr(origins, name).tolist() for name in (*_OF_REFITS, "params")}
    return {"axis": [list(axis) for axis in origins.axis], **arrays}


def _read_origins(stored: dict, parameters: int) -> Origins:
    unknown = np.zeros(len(stored["axis"]))  # fits stored before refits told what they missed
    return Origins(
        axis=tuple(tuple(axis) for axis in stored["axis"]),
        **{name: np.array(stored.get(name, unknown), float) for name in _OF_REFITS},
        params=np.array(stored["params"], float).reshape(-1, parameters),
    )


def _read_left_out(stored: dict | None, parameters: int) -> LeftOutRuns:
    """The refits without one curve; none for fits that were stored before these were made."""
    stored = stored or {"runs": [], "missed": [], "params": []}
    return LeftOutRuns(
        runs=tuple(stored["runs"]),
        missed=np.array(stored["missed"], float),
        params=np.array(stored["params"], float).reshape(-1, parameters),
        **{name: np.array(stored[name], float) for name in _OF_LEVERAGE if name in stored},
    )


def _leverage(left_out: LeftOutRuns) -> dict[str, list]:
    """Only where it is known."""
    arrays = {name: getattr(left_out, name) for name in _OF_LEVERAGE}
    return {name: array.tolist() for name, array in arrays.items() if array is not None}


def write_fit(result: FittedLaw, path: str | Path) -> None:
    """Write a fit as JSON; the file is whole or not there."""
    write_atomic(Path(path).absolute(), json.dumps(to_dict(result), indent=1) + "\n")


def read_fields(path: str | Path) -> dict[str, Any]:
    """The fields of a fit that `write_fit` wrote.

    Raises
    ------
    UserError
        If the file is not a fit, or its law is not registered.
    """
    try:
        stored = json.loads(Path(path).read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not a fit: {error}") from None
    return from_dict(stored)

"""The end of a run: its curve, its record, and DONE, which makes them count."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalinglab.scaling.records.atomic import write_json
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.curve import Curve, curve_text, write_curve
from scalinglab.scaling.records.record import build_record
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.state import State


def finish(claim: Claim, run: RunSpec, curve: Curve, lr: np.ndarray, facts: dict[str, Any]) -> bool:
    """Write curve, record and DONE of a finished run; False if another attempt was first.

    Parameters
    ----------
    claim : Claim
        The attempt; it is released.
    run : RunSpec
    curve : Curve
        The run; the curve of a diverged one is cut at its divergence.
    lr : ndarray
        (steps,) LR of each update.
    facts : dict
        Facts of the attempt for the record.
    """
    diverged = curve.diverged_at() is not None
    status = State.DIVERGED if diverged else State.DONE
    curve = curve.finite_part() if diverged else curve
    number, folder = claim.number, claim.folder.path
    files = {"record": f"record-{number:04d}.json", "curve": f"curve-{number:04d}.csv.gz"}
    text = curve_text(curve, lr, run.tokens_per_step, run.bytes_per_token)
    write_curve(folder / files["curve"], text)
    record = build_record(run, curve, status=status, attempt=number, **facts)
    write_json(folder / files["record"], record)
    return claim.finish(status, len(curve.loss), files)

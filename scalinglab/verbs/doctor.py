"""``scaling doctor``: checks of this machine and its cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from scalinglab.options import OutputsOptions
from scalinglab.sweeps.watch.doctor import Finding, examine
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(OutputsOptions):
    """Options of ``scaling doctor``."""


@dataclass(frozen=True)
class Findings:
    """The results of all checks."""

    findings: list[Finding]

    @property
    def code(self) -> int:
        """1 if a study would not run here."""
        return int(any(f.verdict == "wrong" for f in self.findings))

    def as_json(self) -> dict[str, Any]:
        """An object a finding."""
        return {"findings": [vars(f) for f in self.findings]}

    def show(self, screen: Screen) -> None:
        """A row a finding."""
        screen.table(pd.DataFrame([vars(f) for f in self.findings]), text="seen")


def run(options: DoctorOptions, screen: Screen) -> Findings:
    """Examine what a study depends on here: packages, devices, the file system, SLURM."""
    return Findings(examine(options.outputs_path))


VERB = Verb(
    "examine this machine and its cluster: packages, devices, disk, SLURM",
    "scaling doctor [outputs=outputs]",
    run,
    DoctorOptions,
)

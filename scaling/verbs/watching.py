"""The verbs that look at a study while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling.config import ConfigError
from scaling.verbs.verb import Verb, open_console


@dataclass(frozen=True)
class StatusOptions:
    """Options of ``scaling status``."""

    study: str | None = None
    outputs: str = "outputs"


def status_verb(arguments: Sequence[str]) -> int:
    """Show the state of a study, derived from its run folders: scaling status study=NAME."""
    from scaling.options import read_options
    from sweeps.show import STATUS_OPTIONAL, counts, status_frame, table
    from sweeps.state import status

    options = read_options(StatusOptions, arguments)
    outputs = Path(options.outputs).absolute()
    names = [options.study] if options.study else sorted(
        p.parent.name for p in outputs.glob("studies/*/plan.json"))
    if not names:
        raise ConfigError(f"there is no study in {outputs}; scaling launch study=quickstart")
    console = open_console()
    for name in names:
        frame = status_frame(status(outputs, name))
        title = f"{name}: {counts(frame['state'])}"
        console.print(table(frame, console.width, STATUS_OPTIONAL, title))
    return 0


VERBS = {
    "status": Verb("show the state of studies",
                   "scaling status [study=NAME] [outputs=outputs]", status_verb, StatusOptions),
}

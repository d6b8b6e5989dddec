"""``scaling new``: a commented study file to start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.destination import check_destination
from scalinglab.options import Options, option
from scalinglab.own_groups import OWN, SHIPPED
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import create_exclusive
from scalinglab.study_template import study_template
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True)
class NewOptions(Options):
    """Options of ``scaling new``."""

    names: list[str] = option("the study's name, also without names=", [], bare=True)
    to: str | None = option(f"the file; null: {OWN}/study/NAME.yaml", None)


@dataclass(frozen=True)
class NewStudy:
    """The file that was written."""

    name: str
    file: Path

    code = 0

    def as_json(self) -> dict[str, Any]:
        """Its name and place."""
        return {"name": self.name, "file": self.file}

    def show(self, screen: Screen) -> None:
        """The file, and the commands that use it."""
        screen.say(
            f"{self.file} is a small study, ready to train; its comments say what can be changed\n"
            f"scaling plan study={self.name} shows its runs and their cost, "
            f"scaling launch study={self.name} trains it"
        )


def run(options: NewOptions, screen: Screen) -> NewStudy:
    """Write a study file with comments, small enough for a laptop: scaling new mine.

    The file stands in scaling_conf/study/ of the current folder, where every verb finds it by
    study=NAME. A file that is there is never replaced.
    """
    if len(options.names) != 1:
        names = ", ".join(options.names) or "none"
        raise ConfigError(f"expected the name of one study, as in scaling new mine; got {names}")
    (name,) = options.names
    if not name.isidentifier() or name in _shipped():
        raise ConfigError(
            f"the name {name!r} cannot be taken: allowed are letters, digits and _ that are no"
            f" number, and none of the shipped studies: {', '.join(_shipped())}"
        )
    file = Path(OWN) / "study" / f"{name}.yaml" if options.to is None else Path(options.to)
    check_destination("to", file, "study", ".yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    if not create_exclusive(file, study_template(name)):
        raise ConfigError(f"{file} is there already; name another, or remove it")
    return NewStudy(name, file)


def _shipped() -> list[str]:
    return sorted(path.stem for path in (SHIPPED / "study").glob("*.yaml"))


VERB = Verb(
    "write a commented study file to start from",
    "scaling new NAME [to=scaling_conf/study/NAME.yaml]",
    run,
    NewOptions,
)

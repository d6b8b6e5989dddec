"""``scaling replay``: a published analysis repeated on its table, with both answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.destination import SideFiles, Unwritten, check_destination
from scalinglab.options import Options, option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import one_of
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

if TYPE_CHECKING:
    from scalinglab.analysis.replays.replay import Findings, Recorded, Replay

_FORMATS = (".svg", ".png", ".pdf", ".csv")


@dataclass(frozen=True)
class ReplayOptions(Options):
    """Options of ``scaling replay``."""

    names: list[str] = option("the name of a replay, also without names=; none: all", [], bare=True)
    data: str | None = option("the folder that has the table, if it is not in the package", None)
    to: str | None = option("a file for the figure: .svg, .png, .pdf, or .csv for its data", None)


@dataclass(frozen=True)
class ReplayList:
    """All replays."""

    replays: Mapping[str, Replay]
    code = 0

    def as_json(self) -> dict[str, Any]:
        """A row a replay."""
        return {"replays": [_facts(replay) for replay in self.replays.values()]}

    def show(self, screen: Screen) -> None:
        """A row a replay, and how one is run."""
        rows = [
            {"replay": r.name, "table": "here" if r.shipped else "to fetch", "about": r.title}
            for r in self.replays.values()
        ]
        screen.table(pd.DataFrame(rows))
        screen.say(
            "scaling replay NAME answers; a table to fetch is answered again with data=FOLDER, where"
            " it is"
        )


@dataclass(frozen=True)
class Replayed:
    """A published answer and ours."""

    of: Replay
    findings: Findings | Recorded
    written: str | None
    unwritten: Unwritten | None = None
    code = 0

    @property
    def recorded(self) -> str | None:
        """The date of an answer that was found earlier; None of one from the table."""
        return getattr(self.findings, "date", None)

    def as_json(self) -> dict[str, Any]:
        """Where the table is from, a row a quantity, and the warnings of the fits."""
        return _facts(self.of) | {
            "answers": self.findings.table.to_dict("records"),
            "warnings": list(self.findings.warnings),
            "recorded": self.recorded,
            "written": self.written,
        }

    def show(self, screen: Screen) -> None:
        """The two answers, a comment on them, and the warnings of the fits."""
        # Imported here, because the help starts without what fits need.
        from scalinglab.analysis.replays.replay import texts

        screen.say(f"{self.of.title} ({self.of.paper})")
        screen.say(f"table: {self.of.source}; licence: {self.of.licence}")
        screen.table(texts(self.findings.table))
        screen.say(self.of.about)
        for warning in self.findings.warnings:
            screen.say(f"! {warning}", style="yellow")
        if self.recorded:
            screen.say(
                f"as found on {self.recorded}: the table may not be passed on; to answer it again,"
                f" fetch {self.of.file} and say data=FOLDER"
            )
        if self.written:
            screen.say(f"figure: {self.written}")


def _facts(replay: Replay) -> dict[str, Any]:
    names = ("name", "title", "paper", "source", "licence", "file", "shipped")
    return {name: getattr(replay, name) for name in names}


def run(options: ReplayOptions, screen: Screen) -> ReplayList | Replayed:
    """Answer a published table again: scaling replay datablations.

    Prints our answer beside the published one, with the licence and the source of the table. Small
    tables whose licence allows it are in the package. Of others it prints what we found; you fetch
    them, and data=FOLDER says where they are, to answer again or to draw. Without a name all
    replays are listed. to=FILE.svg draws the figure.
    """
    # Imported here, because the help starts without what fits need.
    from scalinglab.analysis import plot
    from scalinglab.analysis.replays.published import REPLAYS

    check_destination("to", options.to, "figure", *_FORMATS)
    if not options.names:
        for key in ("data", "to"):
            if getattr(options, key) is not None:
                raise ConfigError(
                    f"{key} is of one replay; name it, as in scaling replay datablations"
                )
        return ReplayList(REPLAYS)
    if len(options.names) != 1:
        raise ConfigError(f"one replay is run at a time; got {', '.join(options.names)}")
    (name,) = options.names
    one_of("replay", name, REPLAYS)
    replay = REPLAYS[name]
    if options.data is None and options.to is None and (found := replay.recorded()) is not None:
        return Replayed(replay, found, None)
    findings = replay.run(options.data)
    side_files = SideFiles()
    written = side_files.write(options.to, lambda to: plot.save(findings.draw(None), to)[0])
    return Replayed(replay, findings, written, side_files.error)


VERB = Verb(
    "a published table answered again, beside what was printed",
    "scaling replay [NAME] [data=FOLDER] [to=x.svg]",
    run,
    ReplayOptions,
    shows_bar=True,
)

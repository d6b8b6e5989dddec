"""The pages of replays: each is answered when the site is built, where its table is at hand."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from scalinglab.analysis import REPLAYS, Replay, plot
from scalinglab.analysis.replays.replay import Findings, Recorded, texts

_FETCHED = os.environ.get("SCALING_PUBLIC_DATA")  # a folder of published tables, as for tests


def on_files(files: Files, config: Any) -> Files:
    """Add a page a replay and one of all; mkdocs.yml names them."""
    files.append(File.generated(config, "replays/index.md", content=_index()))
    for replay in REPLAYS.values():
        findings = _found(replay)
        name = f"replays/{replay.name}"
        if findings is not None:
            with tempfile.TemporaryDirectory() as folder:
                (path,) = plot.save(findings.draw(None), Path(folder) / "figure.svg")
                files.append(File.generated(config, f"{name}.svg", content=path.read_bytes()))
        files.append(File.generated(config, f"{name}.md", content=_page(replay, findings)))
    return files


def _found(replay: Replay) -> Findings | None:
    if replay.shipped:
        return replay.run()
    here = sorted(Path(_FETCHED).glob(f"*/{replay.file}")) if _FETCHED else []
    return replay.run(here[0].parent) if here else None


def _index() -> str:
    rows = [
        f"| [{r.title}]({r.name}.md) | {r.paper} | {'in the package' if r.shipped else 'to fetch'} |"
        for r in REPLAYS.values()
    ]
    return "\n".join(
        [
            "# Replays\n",
            "Published tables of runs, answered again: what was printed beside what we find. `scaling replay NAME` does the"
            " same on your machine. Tables whose licence allows it are in the package, with licence and source; others you"
            " fetch, and `data=FOLDER` says where they are.\n",
            "| question | paper | table |",
            "|---|---|---|",
            *rows,
        ]
    )


def _page(replay: Replay, findings: Findings | None) -> str:
    where = "" if replay.shipped else " data=FOLDER"
    parts = [
        f"# {replay.title}",
        replay.paper + ".",
        replay.about,
        f"    scaling replay {replay.name}{where}",
    ]
    found = findings or replay.recorded()
    if found is None:
        raise ValueError(f"of replay {replay.name} neither a table nor an answer is in the package")
    table = texts(found.table)
    lines = ["| " + " | ".join(table.columns) + " |", "|---|" + "---:|" * (len(table.columns) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in table.to_numpy().tolist()]
    parts.append("\n".join(lines))
    if findings is not None:
        parts.append(f"![{replay.title}]({replay.name}.svg){{ .figure }}")
    if found.warnings:
        warned = "\n".join(f"- {text}".replace("|", "\\|") for text in found.warnings)
        parts.append(f"What the fits warn of:\n\n{warned}")
    parts.append(f"Table: {replay.source}; licence: {replay.licence}.")
    if isinstance(found, Recorded):
        parts.append(
            f"The table is not in the package; the answer is that of {found.date}. To answer it again, fetch"
            f" `{replay.file}` and name its folder."
        )
    return "\n\n".join(parts) + "\n"

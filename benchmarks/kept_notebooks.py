"""Run notebooks and keep their results in them, as text: tables, and figures as SVG.

    python -m benchmarks.kept_notebooks NOTEBOOK ...
    OUTPUTS=FOLDER python -m benchmarks.kept_notebooks notebooks/quickstart.ipynb

`notebooks/quickstart.ipynb` goes on from a study: OUTPUTS names the folder in which it is trained.
Pictures are left out, as nobody can review their bytes; so is what a program printed as errors.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

_SECONDS = 3600  # a cell may take, as one that trains
_PICTURE = "image/png"


def main(paths: list[str]) -> None:
    """Run each notebook and write it back."""
    for path in map(Path, paths):
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(
            notebook,
            timeout=_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
        )
        client.execute()
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.metadata = {}
                cell.outputs = [_kept(output) for output in cell.outputs if _shows(output)]
        notebook.metadata.language_info = {"name": "python"}  # not the version of this machine
        nbformat.write(notebook, path)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def _shows(output: nbformat.NotebookNode) -> bool:
    if output.output_type == "stream":
        return output.name != "stderr"
    kinds = output.get("data", {})
    return _PICTURE not in kinds and any(kinds.values())


def _kept(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if "data" in output:
        output.metadata = {}
    return output


if __name__ == "__main__":
    main(sys.argv[1:])

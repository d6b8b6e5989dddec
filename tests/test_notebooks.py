"""The notebooks run; what is shown of them was run, and says nothing of the machine."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
ON_A_STUDY = FOLDER / "quickstart.ipynb"  # goes on from what is trained
TRAINS = FOLDER / "lr_transfer.ipynb"
SHOWN = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path == TRAINS))
    for path in sorted(set(FOLDER.glob("*.ipynb")) - {ON_A_STUDY})
]
PICTURE = "image/png"  # drawn wherever a notebook is run, never kept: nobody can review its bytes
FIGURE = "image/svg+xml"  # text, kept where the site cannot run the notebook
MOST_BYTES = 200_000  # of a notebook with its results
DRAWS = re.compile(r"\.plot(?:\.\w+)?\(")  # study.plot(), analysis.plot.best_size()
MACHINE = re.compile(r"/(?:home|root|tmp|work|usr|Users|var)/|site-packages")


def run(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    return notebook


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_the_notebook_of_a_study_runs_on_another(finished, monkeypatch) -> None:
    monkeypatch.setenv("OUTPUTS", str(finished))
    monkeypatch.setenv("STUDY", "tiny")
    run(ON_A_STUDY)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("path", SHOWN)
def test_a_notebook_shows_what_it_gives(path: Path) -> None:
    """The same kinds of results from each cell; numbers differ between machines."""
    stored = nbformat.read(path, as_version=4)
    again = run(path)
    for before, after in zip(stored.cells, again.cells, strict=True):
        assert _kinds(before) == _kinds(after), before.source
        if DRAWS.search(before.source) and "plt.close" not in before.source:
            assert any(PICTURE in o.get("data", {}) for o in after.outputs), before.source


@pytest.mark.parametrize("path", [ON_A_STUDY, TRAINS], ids=lambda p: p.stem)
def test_a_notebook_that_the_site_cannot_run_keeps_its_results_and_figures(path: Path) -> None:
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    shown = [kind for c in cells for o in c.outputs for kind in o.get("data", {})]
    assert FIGURE in shown and sum(bool(c.outputs) for c in cells) >= len(cells) - 1
    assert path.stat().st_size < MOST_BYTES
    assert path.name in (FOLDER.parent / "docs/_site/repository_pages.py").read_text()


def _kinds(cell: nbformat.NotebookNode) -> list[list[str]]:
    """What the results of a cell can be shown as, pictures left out."""
    outputs = cell.get("outputs", [])
    outputs = [o for o in outputs if o.get("data", {}).get("text/html") != ""]  # a bar that is gone
    shown = [o for o in outputs if PICTURE not in o.get("data", {})]
    return [sorted(set(o.get("data", {})) - {"text/plain"}) for o in shown]


def test_no_picture_is_kept_in_a_notebook() -> None:
    assert not [path.name for path in FOLDER.glob("*.ipynb") if PICTURE in path.read_text()]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda p: p.stem)
def test_no_result_names_a_place_of_a_machine(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    texts = [
        text
        for cell in cells
        for output in cell.get("outputs", [])
        for text in (output.get("text", ""), *output.get("data", {}).values())
    ]
    assert not [text for text in texts if MACHINE.search(text)]


def test_training_in_a_notebook_shows_a_bar() -> None:
    stored = nbformat.read(TRAINS, as_version=4)
    shown = [
        o.data["text/html"]
        for c in stored.cells
        for o in c.get("outputs", [])
        if "data" in o and "text/html" in o.data
    ]
    assert any(text.startswith("<progress") for text in shown)

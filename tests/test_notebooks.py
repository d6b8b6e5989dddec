"""The notebooks run; what is shown of them was run, and says nothing of the machine."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
ON_A_STUDY = FOLDER / "quickstart.ipynb"  # goes on from what is trained: it is kept without results
TRAINS = FOLDER / "lr_transfer.ipynb"
SHOWN = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path == TRAINS))
    for path in sorted(set(FOLDER.glob("*.ipynb")) - {ON_A_STUDY})
]
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


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_the_notebook_of_a_study_runs_on_another(finished, monkeypatch) -> None:
    monkeypatch.setenv("OUTPUTS", str(finished))
    monkeypatch.setenv("STUDY", "tiny")
    assert not any(cell.get("outputs") for cell in nbformat.read(ON_A_STUDY, as_version=4).cells)
    run(ON_A_STUDY)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("path", SHOWN)
def test_a_notebook_shows_what_it_gives(path: Path) -> None:
    """The same kinds of results from each cell; numbers differ between machines."""
    stored = nbformat.read(path, as_version=4)
    again = run(path)
    for before, after in zip(stored.cells, again.cells, strict=True):
        kinds = [
            [sorted(set(o.get("data", {})) - {"text/plain"}) for o in cell.get("outputs", [])]
            for cell in (before, after)
        ]
        assert kinds[0] == kinds[1], before.source


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda p: p.stem)
def test_no_result_names_a_place_of_a_machine(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    texts = [
        text
        for cell in cells
        for output in cell.get("outputs", [])
        for text in (output.get("text", ""), *output.get("data", {}).values())
    ]
    pictures = [text for text in texts if text.startswith("iVBOR")]  # base64 has slashes, too
    assert not [text for text in texts if text not in pictures and MACHINE.search(text)]


def test_training_in_a_notebook_shows_a_bar() -> None:
    stored = nbformat.read(TRAINS, as_version=4)
    shown = [
        o.data["text/html"]
        for c in stored.cells
        for o in c.get("outputs", [])
        if "data" in o and "text/html" in o.data
    ]
    assert any(text.startswith("<progress") for text in shown)

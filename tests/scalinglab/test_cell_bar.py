"""A progress bar in a notebook's cell; that one is shown there a notebook itself tests."""

from __future__ import annotations

from typing import Any

from scalinglab.cell_bar import CellBar, cell_bar


def test_there_is_none_outside_of_a_notebook() -> None:
    assert cell_bar() is None


def test_it_is_drawn_again_in_its_place_and_its_text_is_no_markup() -> None:
    pages: list[dict[str, str]] = []

    class Handle:
        def update(self, page: dict[str, str], raw: bool) -> None:
            pages.append(page)

    def display(page: dict[str, str], **options: Any) -> Handle:
        assert options == {"raw": True, "display_id": True}
        pages.append(page)
        return Handle()

    bar = CellBar(display)
    bar.update(0.25, "mine: 1 <done>")
    bar.update(1.0, "mine: 4 done")
    assert 'value="0.2500"' in pages[0]["text/html"] and "&lt;done&gt;" in pages[0]["text/html"]
    assert pages[1]["text/plain"] == "100%  mine: 4 done"

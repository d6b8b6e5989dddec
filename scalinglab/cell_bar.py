"""A progress bar in the cell of a notebook, redrawn in place."""

from __future__ import annotations

import sys
import warnings
from html import escape
from typing import Any

_KERNEL = "ZMQInteractiveShell"  # of a notebook; a terminal's IPython shows what terminals show


class CellBar:
    """A bar with a line of text, in the output of the cell that runs."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None

    def update(self, share: float, text: str) -> None:
        """Show how much is done, from 0 to 1, and a line about it."""
        page = {
            "text/html": f'<progress value="{share:.4f}" max="1" style="width:24em"></progress>'
            f"<br>{escape(text)}",
            "text/plain": f"{share:.0%}  {text}",
        }
        if self._handle is None:
            self._handle = self._display(page, raw=True, display_id=True)
        else:
            self._handle.update(page, raw=True)

    def clear(self) -> None:
        """Take the bar away; what else the cell shows stays."""
        if self._handle is not None:
            self._handle.update({"text/html": "", "text/plain": ""}, raw=True)


def cell_bar() -> CellBar | None:
    """A bar in the cell that runs; None where no notebook runs."""
    ipython = sys.modules.get("IPython")  # a notebook has loaded it; nothing else needs it
    if ipython is None or type(ipython.get_ipython()).__name__ != _KERNEL:
        return None
    # Lightning warns on import that its own bar, which is not used here, lacks a package.
    warnings.filterwarnings("ignore", message="IProgress not found")
    return CellBar(ipython.display.display)

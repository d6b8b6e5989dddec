"""Documents of made text, as JSON Lines: enough for a tokenizer to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_documents(folder: Path) -> None:
    """2,000 documents of 700 letters and spaces, always the same, in a new folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, (2_000, 700), dtype=np.uint8)
    letters[rng.random(letters.shape) < 0.2] = ord(" ")
    rows = "".join(f'{{"text": "{bytes(row).decode()}"}}\n' for row in letters)
    (folder / "part.jsonl").write_text(rows)

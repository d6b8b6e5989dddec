"""The lines of a file that begin in a range of its bytes: adjacent ranges give each line once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scalinglab.scaling.data.documents import LONGEST


class LineTooLong(ValueError):
    """A line that is longer than a document may be.

    Attributes
    ----------
    place : int
        The byte of the file at which it begins.
    """

    def __init__(self, place: int) -> None:
        super().__init__(f"a line at byte {place}")
        self.place = place


def lines_between(path: Path, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Lines that begin in the bytes from `start` up to `end`, each with its first byte's place.

    Raises
    ------
    LineTooLong
        If one has more bytes than a document may have.
    """
    with path.open("rb") as file:
        if start:
            file.seek(start - 1)
            # Skip the rest of a line that begins before `start`.
            while (fragment := file.readline(1 << 20)) and not fragment.endswith(b"\n"):
                pass
        while (place := file.tell()) < end and (line := file.readline(LONGEST + 1)):
            if len(line) > LONGEST:
                raise LineTooLong(place)
            yield place, line

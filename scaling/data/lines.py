"""Lines of a file that begin in a range of its bytes: ranges that meet give each line once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scalinglab.scaling.data.documents import LONGEST


class LineTooLong(ValueError):
    """A line that memory should not hold.

    Attributes
    ----------
    place : int
        Where in the file it begins.
    """

    def __init__(self, place: int) -> None:
        super().__init__(f"a line at byte {place}")
        self.place = place


def lines_between(path: Path, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Lines that begin at `start` or later and before `end`, each with where it begins.

    Raises
    ------
    LineTooLong
        If one has more bytes than a document may have.
    """
    with path.open("rb") as file:
        if start:
            file.seek(start - 1)
            while (part := file.readline(1 << 20)) and not part.endswith(b"\n"):
                pass  # a line that began before
        while (place := file.tell()) < end and (line := file.readline(LONGEST + 1)):
            if len(line) > LONGEST:
                raise LineTooLong(place)
            yield place, line

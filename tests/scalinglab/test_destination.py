"""Files beside an answer: refused before the work, and never at the answer's expense."""

from __future__ import annotations

import pytest

from scalinglab.destination import SideFiles, check_destination
from scalinglab.scaling.errors import UserError


def test_a_file_that_can_be_written_passes(tmp_path) -> None:
    (tmp_path / "there.PNG").write_text("")
    for to in (None, tmp_path / "there.PNG", tmp_path / "new" / "folder" / "x.png"):
        check_destination("to", to, "picture", ".png", ".svg")


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("p.foo", "the picture is a .png or .svg file"),
        ("name", "the picture is a .png or .svg file"),
        ("folder.png", "is a folder; name a file in it"),
        ("file.png/x.png", "file.png is no folder"),
        ("/dev/null/x.png", "/dev/null is no folder"),
    ],
)
def test_one_that_cannot_is_refused_first(to, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.png").write_text("")
    with pytest.raises(UserError, match=f"to = '{to}'.*{message}"):
        check_destination("to", to, "picture", ".png", ".svg")


def test_what_cannot_be_written_after_all_waits() -> None:
    def fail(to: str) -> None:
        raise OSError(28, "No space left on device", to)

    beside, written = SideFiles(), []
    assert beside.write(None, fail) is None and beside.error is None
    assert beside.write("a", written.append) == "a" and written == ["a"]
    assert beside.write("b", fail) is None
    assert isinstance(beside.error, OSError) and beside.error.filename == "b"

"""A file is whole or absent, and a name is taken once."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scalinglab.scaling.records.atomic import (
    create_exclusive,
    create_folder,
    files_below,
    folders_in,
    read_json,
    save_atomic,
    server_time,
    write_atomic,
    write_json,
)


def test_create_exclusive_succeeds_once_and_keeps_the_first_content(tmp_path):
    path = tmp_path / "deep" / "claim"
    assert [create_exclusive(path, text) for text in ("a", "b", "c")] == [True, False, False]
    assert path.read_text() == "a"
    assert list(path.parent.iterdir()) == [path]


def test_of_many_processes_one_creates_the_file(tmp_path, processes):
    with processes.Pool(4) as pool:
        for i in range(20):
            path = tmp_path / str(i)
            won = pool.starmap(create_exclusive, [(path, f"{j}" * 1000) for j in range(8)], 1)
            assert sum(won) == 1
            assert path.read_text() == f"{won.index(True)}" * 1000


def test_write_atomic_replaces_the_whole_content(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, "long " * 1000)
    write_atomic(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_save_leaves_the_old_file_and_nothing_aside(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, "old")

    def half(aside):
        aside.write_text("ne")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        save_atomic(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_save_that_writes_nothing_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_atomic(tmp_path / "file", lambda aside: None)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_never_sees_a_part(tmp_path, processes):
    """A process rewrites a file of 2 MB over and over; each read is one of its whole contents."""
    path = tmp_path / "file"
    write_atomic(path, "0" * 2_000_000)
    script = "while True:\n for c in '123': write_atomic(path, c * 2_000_000)"
    names = {"write_atomic": write_atomic, "path": path}
    writer = processes.Process(target=exec, args=(script, names))
    writer.start()
    try:
        seen = set()
        while len(seen) < 4:
            text = path.read_text()
            assert len(text) == 2_000_000 and len(set(text)) == 1
            seen.add(text[0])
    finally:
        writer.kill()
        writer.join()


def test_json_comes_back_and_nan_is_refused(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"a": [1, 2.5, None, "é"]})
    assert read_json(path) == {"a": [1, 2.5, None, "é"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": [1, 2.5, None, "é"]}


def no_links(monkeypatch) -> None:
    """A file system without hard links."""

    def refuse(*names: object, **more: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("scalinglab.scaling.records.atomic.os.link", refuse)


def test_without_links_a_folder_decides(tmp_path, monkeypatch) -> None:
    no_links(monkeypatch)
    path = tmp_path / "claim"
    with ThreadPoolExecutor(16) as threads:
        won = list(threads.map(lambda i: create_exclusive(path, str(i)), range(64)))
    assert sum(won) == 1 and path.read_text() == str(won.index(True))
    assert not create_exclusive(path, "later")


def test_a_folder_whose_maker_died_is_taken_over(tmp_path, monkeypatch) -> None:
    no_links(monkeypatch)
    path = tmp_path / "claim"
    lock = tmp_path / ".claim.lock"
    lock.mkdir()
    assert not create_exclusive(path, "too early")
    os.utime(lock, (0, 0))
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda i: create_exclusive(path, str(i)), range(8)))
    assert sum(won) == 1 and path.read_text() == str(won.index(True))


def test_ages_are_told_by_the_clock_that_stamps_files(tmp_path, monkeypatch) -> None:
    assert abs(server_time(tmp_path) - time.time()) < 0.05
    now = time.time()
    monkeypatch.setattr(
        "scalinglab.scaling.records.atomic.time.time", lambda: now - 3600.0
    )  # an hour late
    (tmp_path / "other").mkdir()
    assert abs(server_time(tmp_path / "other") - now) < 5.0
    assert not list((tmp_path / "other").iterdir())


def two_files(folder, text="whole"):
    (folder / "deep").mkdir()
    (folder / "a").write_text(text)
    (folder / "deep" / "b").write_text(text)


def test_a_folder_is_made_whole_and_once(tmp_path):
    path = tmp_path / "parent" / "folder"
    made = [create_folder(path, lambda f, t=t: two_files(f, t)) for t in "xyz"]
    assert made == [True, False, False]
    assert (path / "deep" / "b").read_text() == "x"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_could_not_be_filled_is_not_there(tmp_path):
    def half(aside):
        two_files(aside)
        raise OSError(errno.ENOTEMPTY, "of the filling, not of the name")

    with pytest.raises(OSError, match="of the filling"):
        create_folder(tmp_path / "folder", half)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_none_and_a_file_is_in_the_way(tmp_path):
    (tmp_path / "folder").mkdir()
    assert create_folder(tmp_path / "folder", two_files)
    (tmp_path / "file").write_text("mine")
    assert not create_folder(tmp_path / "file", two_files)
    assert (tmp_path / "file").read_text() == "mine"


def test_of_two_who_make_a_folder_at_once_neither_removes_what_the_other_makes(tmp_path):
    """The second comes and goes while the first is half way."""
    path, second = tmp_path / "folder", []

    def first(aside):
        (aside / "deep").mkdir()
        second.append(create_folder(path, two_files))
        (aside / "deep" / "b").write_text("first")

    assert create_folder(path, first) is False and second == [True]
    assert (path / "deep" / "b").read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_who_looks_through_folders_meets_none_that_has_gone(tmp_path):
    """A folder is moved into place between being listed and being looked into."""
    (tmp_path / "first").write_text("")
    seen = []

    def fill(aside):
        two_files(aside)
        found = files_below(tmp_path)
        seen.append(next(found).name)  # the folders beside it are listed by now
        aside.rename(tmp_path / "moved")
        seen.extend(path.name for path in found)
        (tmp_path / "moved").rename(aside)

    assert create_folder(tmp_path / "folder", fill)
    assert seen == ["first"]
    assert sorted(p.name for p in files_below(tmp_path)) == ["a", "b", "first"]
    assert list(files_below(tmp_path / "nowhere")) == folders_in(tmp_path / "nowhere") == []


def test_what_lies_aside_is_no_folder_of_the_kind(tmp_path):
    seen = []
    assert create_folder(tmp_path / "one", lambda aside: seen.append(folders_in(tmp_path)))
    assert seen == [[]] and folders_in(tmp_path) == [tmp_path / "one"]


def test_a_device_or_a_pipe_is_never_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match=f"no regular file.*{path}"):
        write_atomic(path, "x")
    assert path.is_fifo() and os.listdir(tmp_path) == ["pipe"]

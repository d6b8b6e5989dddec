"""Who makes a store: nobody waits for the dead, and nobody writes beside his successor."""

import dataclasses
import os
import threading
import time

import numpy as np
import pytest

from scalinglab.scaling.data import making
from scalinglab.scaling.data.making import MAKER, abandoned_stores, placed, resumed
from scalinglab.scaling.data.store import Corpus, Pieces
from scalinglab.scaling.data.write_store import write_store
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import write_json
from scalinglab.scaling.records.processes import this_process

CORPUS = Corpus(
    train=np.arange(100, dtype=np.uint8),
    validation=np.arange(100, 141, dtype=np.uint8),
    vocab=256,
    bytes_per_token=1.5,
)


def half_made(folder, process, age):
    """What a killed maker leaves: a part of the tokens, and who it was."""
    folder.mkdir(parents=True)
    (folder / ".train.bin.0123abcd").write_bytes(b"half")
    if process is not None:
        write_json(folder / MAKER, process)
    for path in (*folder.iterdir(), folder):
        os.utime(path, (time.time() - age, time.time() - age))


def test_what_a_killed_maker_left_goes_and_what_is_being_made_stays(tmp_path):
    here = this_process().to_dict()
    gone = here | {"process_start": "another"}
    elsewhere = here | {"host": "elsewhere"}
    cases = {
        ".a-1.00000000": (gone, 0),
        ".b-1.00000000": (elsewhere, 2_000),
        ".c-1.00000000": (None, 4_000),
        ".d-1.00000000": (here, 0),
        ".e-1.00000000": (elsewhere, 500),
        ".f-1.00000000": (None, 500),
    }
    for name, (process, age) in cases.items():
        half_made(tmp_path / name, process, age)
    assert {p.name[1] for p in abandoned_stores(tmp_path)} == {"a", "b", "c"}
    write_store(tmp_path / "store", "some", {}, CORPUS)
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {".d-1.00000000", ".e-1.00000000", ".f-1.00000000", "store"}
    assert not (tmp_path / "store" / MAKER).exists()


def test_a_maker_beats_while_it_waits_for_its_source(tmp_path, monkeypatch):
    monkeypatch.setattr(making, "BEAT_SECONDS", 0.01)
    seen = []

    def slow():
        (maker,) = tmp_path.glob(".store.*/maker.json")
        os.utime(maker, (1, 1))
        while maker.stat().st_mtime < 2:
            time.sleep(0.01)
        seen.append(abandoned_stores(tmp_path))
        yield CORPUS.train

    corpus = dataclasses.replace(CORPUS, train=Pieces(np.dtype(np.uint8), 100, slow))
    write_store(tmp_path / "store", "some", {}, corpus)
    assert seen == [[]]


def make(folder, maker):
    aside = maker.folder
    (aside / "train.bin").write_bytes(b"tokens")
    write_json(aside / "manifest.json", {})
    placed(maker, folder)


def test_a_maker_that_was_interrupted_is_not_waited_for(tmp_path):
    with pytest.raises(KeyboardInterrupt), resumed(tmp_path / "store") as maker:
        (maker.folder / "half").touch()
        raise KeyboardInterrupt
    began = time.monotonic()
    with resumed(tmp_path / "store") as maker:  # in the same process, as in a notebook
        assert (maker.folder / "half").exists()
        make(tmp_path / "store", maker)
    assert time.monotonic() - began < making.SILENT_SECONDS / 10
    assert {p.name for p in tmp_path.rglob("*")} == {"store", "half", "train.bin", "manifest.json"}


def test_whoever_comes_between_the_move_and_its_end_makes_nothing(tmp_path, monkeypatch):
    """The store comes between the look at its place and the right to make it."""
    sign = making.Maker.sign

    def late(self):
        if not (tmp_path / "store").exists():
            with monkeypatch.context() as patch:
                patch.setattr(making.Maker, "sign", sign)
                with resumed(tmp_path / "store") as first:
                    make(tmp_path / "store", first)
        return sign(self)

    monkeypatch.setattr(making.Maker, "sign", late)
    with resumed(tmp_path / "store") as maker:
        assert maker is None
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_of_many_one_makes_the_store_and_the_others_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(making, "WAIT_SECONDS", 0.001)
    made = []

    def one():
        with resumed(tmp_path / "store") as maker:
            if maker is not None:
                make(tmp_path / "store", maker)
                made.append(maker)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_a_maker_that_slept_for_long_does_not_write_beside_its_successor(tmp_path, monkeypatch):
    monkeypatch.setattr(making, "is_abandoned", lambda folder, now: True)
    with resumed(tmp_path / "store") as slept, resumed(tmp_path / "store") as second:
        with pytest.raises(UserError, match="another process builds this store now"):
            slept.check()
        with pytest.raises(UserError, match="another process builds this store now"):
            placed(slept, tmp_path / "store")
        make(tmp_path / "store", second)
    assert (tmp_path / "store" / "train.bin").exists()


def test_something_else_in_its_place_is_refused(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "mine.txt").touch()
    with (
        pytest.raises(FileExistsError, match="not a store"),
        resumed(tmp_path / "store") as maker,
    ):
        make_other = maker.folder / "manifest.json"
        write_json(make_other, {})
        placed(maker, tmp_path / "store")
    assert [p.name for p in (tmp_path / "store").iterdir()] == ["mine.txt"]

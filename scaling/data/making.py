"""Who makes a store: said while it is made, so that nobody waits for the dead.

A store is made in a folder aside. Whoever makes it beats; of a maker that died the folder is of no
use and goes, or another process goes on with it, where that is possible. Such a folder has one name
that all know, so who makes it stands beside it: nobody but its maker writes into it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import create_exclusive, move_folder, read_json, server_time
from scalinglab.scaling.records.damage import DamagedFile, sealed
from scalinglab.scaling.records.processes import PROCESS, Process, this_process

log = logging.getLogger(__name__)
MAKER = "maker.json"  # who makes a store, until it is whole: in its folder, or beside it
BEAT_SECONDS = 20.0
SILENT_SECONDS = 900.0  # without a beat, and a maker of another host is dead
UNSIGNED_SECONDS = 3600.0  # the same of a folder that does not say who makes it
BUILDING = ".building"  # ends the name of the folder of a store that can be gone on with
WAIT_SECONDS = 0.5
_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}")


@dataclass(frozen=True)
class Maker:
    """The right to make a store in a folder.

    Attributes
    ----------
    folder : Path
        Where it is made.
    content : str
        Of the file that says who has it: no other's is equal, not even of the same process.
    """

    folder: Path
    content: str

    @classmethod
    def of(cls, aside: Path) -> Maker:
        """This process, for one folder; it has no right yet."""
        who = {**this_process().to_dict(), "token": uuid.uuid4().hex}
        return cls(aside, sealed(who))

    @property
    def file(self) -> Path:
        """Which says who has it."""
        return _file_of(self.folder)

    def sign(self) -> bool:
        """Take the right, unless another has it."""
        return create_exclusive(self.file, self.content)

    @property
    def holds(self) -> bool:
        """Whether nobody has taken over."""
        with contextlib.suppress(FileNotFoundError):
            return self.file.read_text() == self.content
        return False

    def check(self) -> None:
        """Refuse to go on where another process has taken over.

        Raises
        ------
        UserError
            If this process was not heard of for so long that it was taken for dead.
        """
        if not self.holds:
            raise UserError(
                f"{self.folder.name}: another process builds this store now, as this one was"
                f" not heard of for {SILENT_SECONDS / 60:.0f} minutes; give the command again"
            )

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Say again and again that it is being made, and give the right back at the end."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT_SECONDS):
                with contextlib.suppress(OSError):
                    os.utime(self.file)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            if self.holds:
                self.file.unlink(missing_ok=True)


@contextlib.contextmanager
def signed(aside: Path) -> Iterator[None]:
    """Make a store in a folder that no other process knows of."""
    maker = Maker.of(aside)
    maker.sign()
    with maker.beating():
        yield


@contextlib.contextmanager
def resumed(folder: Path) -> Iterator[Maker | None]:
    """Make a store in the one folder of its name, from where the last maker got; wait for another.

    What stands there at the end is moved into place if `placed` is called. However this ends,
    nobody has to wait for this maker then.

    Parameters
    ----------
    folder : Path
        Of the store.

    Yields
    ------
    Maker or None
        None: another has made the store.
    """
    maker = Maker.of(folder.with_name(f".{folder.name}{BUILDING}"))
    told = False
    while not maker.sign():
        if is_store(folder):
            yield None
            return
        if _removed_dead(maker.folder):
            continue
        if not told:
            log.warning("%s is being built by another process; waiting for it", folder.name)
            told = True
        time.sleep(WAIT_SECONDS)
    with maker.beating():
        if is_store(folder):  # asked while nobody else builds
            yield None
        else:
            maker.folder.mkdir(exist_ok=True)
            yield maker


def placed(maker: Maker, folder: Path) -> None:
    """Move what a maker has made to its place; a store that another has put there is as good."""
    maker.check()
    if not move_folder(maker.folder, folder):
        refuse_other(folder)
        shutil.rmtree(maker.folder, ignore_errors=True)


def is_store(folder: Path) -> bool:
    """Whether a folder is a store that is whole."""
    return (folder / "manifest.json").exists()


def refuse_other(folder: Path) -> None:
    """Refuse something that is no store in the place of one.

    Raises
    ------
    FileExistsError
    """
    if not is_store(folder):
        raise FileExistsError(errno.EEXIST, "this is not a store; move it away", str(folder))


def _removed_dead(folder: Path) -> bool:
    """Remove the file of a maker that has died: one of those who find it so succeeds."""
    file = _file_of(folder)
    with contextlib.suppress(FileNotFoundError):
        seen = file.read_text()
        if is_abandoned(folder, server_time(folder.parent)):
            left = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}")
            os.rename(file, left)
            dead = left.read_text() == seen
            if not dead:  # that of another who was faster: it is given back
                with contextlib.suppress(FileExistsError):
                    os.link(left, file)
            left.unlink()
            return dead
    return False


def _file_of(folder: Path) -> Path:
    if folder.name.endswith(BUILDING):
        return folder.with_name(f"{folder.name}.{MAKER}")
    return folder / MAKER


def abandoned_stores(stores: Path, *, resumable: bool = False) -> list[Path]:
    """Folders of stores that were being made when their makers died.

    A maker of this host is asked for by its process; one of another is taken for dead when it has
    not beaten for a while, by the file server's clock.

    Parameters
    ----------
    stores : Path
        Where stores are.
    resumable : bool
        Those that the next command goes on with, instead of those that are of no use.
    """
    names = [p for p in stores.glob(".*") if p.is_dir()]
    folders = [
        p for p in names if (p.name.endswith(BUILDING) if resumable else _ASIDE.fullmatch(p.name))
    ]
    now = server_time(stores) if folders else 0.0
    found = []
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):  # it is whole now, and elsewhere
            if is_abandoned(folder, now):
                found.append(folder)
    return found


def is_abandoned(folder: Path, now: float) -> bool:
    """Whether who makes the store in a folder has died; `now` is the file server's time."""
    maker = _file_of(folder)
    if not maker.exists():  # it has just begun, is just over, or was made by code of before
        last = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        return now - last > UNSIGNED_SECONDS
    with contextlib.suppress(DamagedFile):
        if Process.from_dict(read_json(maker, PROCESS)).has_ended:
            return True
    return now - maker.stat().st_mtime > SILENT_SECONDS

"""The process that makes a store: it has a heartbeat, so that nobody waits for a dead one.

A store is made in a folder aside. The folder of a dead maker is removed, or, if the build can be
resumed, another process resumes it. A resumable folder has a fixed name, and the maker's file lies
next to it: only the maker writes into the folder itself.
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
MAKER = "maker.json"  # names the process that makes a store: in its folder, or next to it
BEAT_SECONDS = 20.0
SILENT_SECONDS = 900.0  # without a heartbeat, a maker on another host counts as dead
UNSIGNED_SECONDS = 3600.0  # without a change, a folder without a maker's file is abandoned
BUILDING = ".building"  # suffix of the folder of a build that can be resumed
WAIT_SECONDS = 0.5
_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}")


@dataclass(frozen=True)
class Maker:
    """The right to make a store in a folder.

    Attributes
    ----------
    folder : Path
        The folder in which it is made.
    content : str
        Content of the maker's file, unique even among makers of one process.
    """

    folder: Path
    content: str

    @classmethod
    def of(cls, aside: Path) -> Maker:
        """This process as a maker that has not signed yet."""
        owner = {**this_process().to_dict(), "token": uuid.uuid4().hex}
        return cls(aside, sealed(owner))

    @property
    def name(self) -> str:
        """The store's name."""
        return self.folder.name.removeprefix(".").removesuffix(BUILDING)

    @property
    def file(self) -> Path:
        """The maker's file."""
        return _file_of(self.folder)

    def sign(self) -> bool:
        """Take the right; False if another process has it."""
        return create_exclusive(self.file, self.content)

    @property
    def holds(self) -> bool:
        """Whether this maker still has the right."""
        with contextlib.suppress(FileNotFoundError):
            return self.file.read_text() == self.content
        return False

    def check(self) -> None:
        """Refuse to go on if another process has taken over.

        Raises
        ------
        UserError
            If this process had no heartbeat for so long that it counted as dead.
        """
        if not self.holds:
            raise UserError(
                f"{self.folder.name}: another process builds this store now, as this one was"
                f" not heard of for {SILENT_SECONDS / 60:.0f} minutes; give the command again"
            )

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Touch the maker's file regularly, and give the right back at the end."""
        end = threading.Event()

        def beat() -> None:
            while not end.wait(BEAT_SECONDS):
                with contextlib.suppress(OSError):
                    os.utime(self.file)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
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
    """Build a store, or resume the build of a dead maker; waits while another process builds it.

    `placed` moves the complete store to its place. At the end, with or without an error, this maker
    gives its right back.

    Parameters
    ----------
    folder : Path
        The store's folder.

    Yields
    ------
    Maker or None
        None if another process has made the store.
    """
    maker = Maker.of(folder.with_name(f".{folder.name}{BUILDING}"))
    has_warned = False
    while not maker.sign():
        if is_store(folder):
            yield None
            return
        if _removed_dead(maker.folder):
            continue
        if not has_warned:
            log.warning("%s is being built by another process; waiting for it", folder.name)
            has_warned = True
        time.sleep(WAIT_SECONDS)
    with maker.beating():
        if is_store(folder):  # another process finished it before this one signed
            yield None
        else:
            maker.folder.mkdir(exist_ok=True)
            yield maker


def placed(maker: Maker, folder: Path) -> None:
    """Move a complete store to its place, unless another process has put an equal one there."""
    maker.check()
    if not move_folder(maker.folder, folder):
        refuse_other(folder)
        shutil.rmtree(maker.folder, ignore_errors=True)


def is_store(folder: Path) -> bool:
    """Whether a folder is a complete store."""
    return (folder / "manifest.json").exists()


def refuse_other(folder: Path) -> None:
    """Refuse a folder that has the place of a store and is none.

    Raises
    ------
    FileExistsError
    """
    if not is_store(folder):
        raise FileExistsError(errno.EEXIST, "this is not a store; move it away", str(folder))


def _removed_dead(folder: Path) -> bool:
    """Remove the file of a dead maker; exactly one of several processes succeeds."""
    file = _file_of(folder)
    with contextlib.suppress(FileNotFoundError):
        content = file.read_text()
        if is_abandoned(folder, server_time(folder.parent)):
            aside = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}")
            os.rename(file, aside)
            was_dead = aside.read_text() == content
            if not was_dead:  # a faster process has signed meanwhile: its file is put back
                with contextlib.suppress(FileExistsError):
                    os.link(aside, file)
            aside.unlink()
            return was_dead
    return False


def _file_of(folder: Path) -> Path:
    if folder.name.endswith(BUILDING):
        return folder.with_name(f"{folder.name}.{MAKER}")
    return folder / MAKER


def abandoned_stores(stores: Path, *, resumable: bool = False) -> list[Path]:
    """Folders of incomplete stores whose makers are dead.

    A maker on this host is dead if its process has ended, one on another host if its last heartbeat
    is old by the file server's clock.

    Parameters
    ----------
    stores : Path
        The folder of all stores.
    resumable : bool
        Return the builds that the next command resumes, not those that are useless.
    """
    names = [p for p in stores.glob(".*") if p.is_dir()]
    folders = [
        p for p in names if (p.name.endswith(BUILDING) if resumable else _ASIDE.fullmatch(p.name))
    ]
    now = server_time(stores) if folders else 0.0
    abandoned = []
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):  # it is complete, and was moved to its place
            if is_abandoned(folder, now):
                abandoned.append(folder)
    return abandoned


def is_abandoned(folder: Path, now: float) -> bool:
    """Whether the maker of an incomplete store is dead; `now` is the file server's time."""
    maker = _file_of(folder)
    if not maker.exists():  # the build has just begun or ended, or is of an early version
        last_change = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        return now - last_change > UNSIGNED_SECONDS
    with contextlib.suppress(DamagedFile):
        if Process.from_dict(read_json(maker, PROCESS)).has_ended:
            return True
    return now - maker.stat().st_mtime > SILENT_SECONDS

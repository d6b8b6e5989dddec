"""The identity of a process. Its number is not unique: other hosts, boots and containers have the
same numbers, and a number is given to a new process after the old one has ended.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scalinglab.scaling.records import machine


@cache
def boot() -> str:
    """Distinguishes boots of one host: no process outlives one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@cache
def process_space() -> str:
    """Distinguishes containers of one host: process numbers mean nothing across them."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def process_start(pid: int) -> str | None:
    """When a process of this host started; None if there is no such process.

    A process number alone may have been given to another process since.
    """
    fields = _told_by_kernel(pid)
    if not fields:
        return "unknown" if _exists(pid) else None
    return None if fields[0] == "Z" else fields[19]


def processor_ticks(pid: int) -> int | None:
    """Processor time of a process of this host, in ticks of its kernel; None where none is told."""
    fields = _told_by_kernel(pid)
    if not fields:
        return None
    return int(fields[11]) + int(fields[12])  # of the process, and of the kernel for it


def _told_by_kernel(pid: int) -> list[str]:
    """What Linux tells of a process, from its state on; empty where it tells nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


PROCESS = {"host": str, "boot": str, "pid": int}  # required keys


@dataclass(frozen=True)
class Process:
    """The identity of a process on any host.

    Attributes
    ----------
    host, boot : str
        Its host, and that host's boot.
    pid : int
    process_space : str or None
        Its container; None if unknown.
    process_start : str or None
        When it started; a later process may have the same number.
    """

    host: str
    boot: str
    pid: int
    process_space: str | None = None
    process_start: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Process:
        """Read a process from plain values; older files lack some."""
        return cls(
            values["host"],
            values["boot"],
            values["pid"],
            values.get("process_space"),
            values.get("process_start"),
        )

    def to_dict(self) -> dict[str, Any]:
        """The process as plain values."""
        return asdict(self)

    @property
    def has_ended(self) -> bool:
        """Whether it has certainly ended, which only its own host can know."""
        if self.host != machine.host():
            return False
        if self.boot != boot():
            return True
        is_visible = self.process_space == process_space()
        return is_visible and process_start(self.pid) != self.process_start


def this_process() -> Process:
    """This process."""
    return Process(machine.host(), boot(), os.getpid(), process_space(), process_start(os.getpid()))


def _exists(pid: int) -> bool:
    if Path("/proc/self/stat").exists():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

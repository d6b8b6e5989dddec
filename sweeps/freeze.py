"""Workers run a copy of the code, made when they are launched.

A job may start hours after it was submitted, and a dead worker is replaced in the middle of a
night: an edit in between must not change what they train. Copies are named by their content, so
launches of the same code share one.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from pathlib import Path

from scaling.records import machine

PACKAGES = ("scaling", "sweeps")  # all that a worker imports


def freeze(outputs: Path) -> Path:
    """Copy the code that is running into ``<outputs>/code/<hash>``; give the copy's folder."""
    root = Path(__file__).parent.parent
    files = sorted(f for package in PACKAGES for f in (root / package).rglob("*.py"))
    content = hashlib.sha256()
    for file in files:
        content.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    folder = outputs / "code" / content.hexdigest()[:12]
    if not folder.exists():
        aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
        for file in files:
            target = aside / file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        (aside / "COMMIT").write_text(f"{machine.code_commit() or ''}\n")
        try:
            aside.rename(folder)
        except OSError:  # another launch was faster; a full disk shows as a missing folder
            shutil.rmtree(aside)
            if not folder.exists():
                raise
    return folder

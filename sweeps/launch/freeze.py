"""Workers run a copy of the code, made when they are launched.

A job may start hours after it was submitted, and a dead worker is replaced in the middle of a
night: an edit in between must not change what they train. Copies are named by their content, so
launches of the same code share one.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import scalinglab
from scalinglab.scaling.extensions.handing_on import frozen_files
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import create_folder, write_atomic

# All that a worker imports, or an extension that it imports; none of them is imported for it.
PACKAGES = ("scalinglab.scaling", "scalinglab.sweeps", "scalinglab.analysis")
FILES = ("__init__.py", "register.py")  # of the package above them
COMMIT = "COMMIT"


def freeze(outputs: Path) -> Path:
    """Copy the code that is running into ``<outputs>/code/<hash>``; give the copy's folder.

    A copy that is there is compared file by file: its name does not say that nobody has removed or
    changed any of it since. What lacks is put back in place, as workers may be running from it.
    """
    # Read once: what is written is what was hashed, whatever is edited meanwhile.
    top = Path(scalinglab.__file__).parent
    files = {f"{top.name}/{name}": (top / name).read_bytes() for name in FILES}
    for package in PACKAGES:
        root = _folder_of(package)
        below = package.replace(".", "/")
        for file in sorted(root.rglob("*.py")):
            files[f"{below}/{file.relative_to(root).as_posix()}"] = file.read_bytes()
    files |= frozen_files()
    content = hashlib.sha256()
    for name, text in files.items():
        content.update(name.encode() + b"\0" + text)
    folder = outputs / "code" / content.hexdigest()[:12]
    if not folder.exists():
        create_folder(folder, lambda aside: _write(aside, files))
    for name, text in files.items():
        if not _holds(folder / name, text):
            write_atomic(folder / name, text)
    if not (folder / COMMIT).exists():
        write_atomic(folder / COMMIT, _commit())
    return folder


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
    (folder / COMMIT).write_text(_commit())


def _holds(file: Path, text: bytes) -> bool:
    try:
        return file.read_bytes() == text
    except FileNotFoundError:
        return False


def _commit() -> str:
    return f"{machine.code_commit() or ''}\n"

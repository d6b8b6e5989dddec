"""Workers run a copy of the code that is made at the launch.

A job may start hours after it was submitted, and a dead worker is replaced at any time: an edit in
between must not change what they train. Copies are named by their content, so launches of the same
code share one.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import scalinglab
from scalinglab.scaling.extensions.handing_on import frozen_files
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import create_folder, write_atomic

# All that a worker, or an extension, may import. To copy them does not import them.
PACKAGES = ("scalinglab.scaling", "scalinglab.sweeps", "scalinglab.analysis")
FILES = ("__init__.py", "register.py")  # of the package above them
COMMIT = "COMMIT"


def freeze(outputs: Path) -> Path:
    """Copy the running code into ``<outputs>/code/<hash>``; returns that folder.

    An existing copy is compared file by file, as files may have been removed or changed since. Each
    such file is replaced in place: workers may be running from the folder.
    """
    # Read once, so that the copy has the content that was hashed, whatever is edited meanwhile.
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

"""The shipped configuration groups, folders with a person's own, and the files that are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scalinglab import conf
from scalinglab.scaling.errors import ConfigError
from scalinglab.yaml_limits import check_size

SHIPPED = Path(conf.__file__).parent
# In the current folder: a folder for this program alone, and one that others may use as well.
OWN, SHARED = "scaling_conf", "conf"


def shipped_groups() -> list[str]:
    """Names of the configuration groups, sorted; ``rule`` holds further ones."""
    return sorted(p.name for p in SHIPPED.iterdir() if p.is_dir() and p.name != "__pycache__")


def own_folders(overrides: Sequence[str], config: Path | None) -> list[Path]:
    """Folders whose groups join the shipped ones, in search order."""
    chosen = [Path(text.partition("=")[2]) for text in overrides] or ([config] if config else [])
    for folder in chosen:
        if not folder.is_dir() or folder == Path():
            raise ConfigError(f"config = {str(folder)!r}: there is no such folder")
    own_places = [folder.absolute() for folder in chosen[-1:]] + [Path.cwd() / OWN]
    folders: list[Path] = []
    for folder in (*own_places, Path.cwd() / SHARED):
        if folder.is_dir() and folder.resolve() not in [SHIPPED.resolve(), *folders]:
            _check_own(folder, is_ours=folder in own_places)
            folders.append(folder.resolve())
    return folders


def quoted(folder: Path) -> str:
    """A folder as an element of Hydra's search path."""
    return '"file://' + str(folder).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _check_own(folder: Path, *, is_ours: bool) -> None:
    """Refuse a file that a shipped one of the same name would hide, or that is too large.

    In a folder that may belong to another program (`is_ours` is False) files outside of our groups
    are ignored, and hidden files as well unless they are studies, which only this program has.
    """
    groups = {path.name for path in SHIPPED.iterdir() if path.is_dir()}
    for file in sorted(folder.rglob("*.yaml")):
        name = file.relative_to(folder)
        shipped = SHIPPED / name
        if not is_ours and (
            name.parts[0] not in groups or (name.parts[0] != "study" and shipped.exists())
        ):
            continue
        if file.is_file():
            check_size(file)
        if shipped.exists() and file.read_bytes() != shipped.read_bytes():
            raise ConfigError(
                f"{file} has the name of a shipped file, conf/{name}, which would be taken "
                "instead; give it another name"
            )

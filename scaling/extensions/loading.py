"""Files of a person's own that add parts: an optimizer, a schedule, a source of tokens, a law.

``extend: [mine.py, package.module]`` names them, in a study or on the command line. Each is
imported before anything is resolved, in every process that may need what it registers: the command
line, notebooks, and workers, which have copies of them in their frozen code.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import logging
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.extensions.text import check_imports, digest, package_files
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import write_atomic

log = logging.getLogger(__name__)
FILES_AS = "scaling_extension_"  # modules of files are named so, as no module of others is
FROZEN = "extensions.json"  # in the folder of frozen code: what its workers import
INHERITED = "SCALING_EXTEND"  # the same for processes that run code as it stands


@dataclass(frozen=True)
class Extension:
    """A file that adds parts, imported.

    Attributes
    ----------
    name : str
        As it was named: a path or a module.
    module : str
        As what it is imported.
    file : Path
        Its text.
    files : tuple of Path
        It, and those of its package that it imports.
    text : str
        Hash of what in them is neither comment, docstring nor layout.
    """

    name: str
    module: str
    file: Path
    files: tuple[Path, ...]
    text: str

    @property
    def is_file(self) -> bool:
        """Whether it was named by a path."""
        return self.module.startswith(FILES_AS)


_loaded: dict[str, Extension] = {}  # module -> what was imported


def loaded() -> tuple[Extension, ...]:
    """What this process has imported, in that order."""
    return tuple(_loaded.values())


def load(names: Iterable[str], folders: Sequence[Path] = ()) -> tuple[Extension, ...]:
    """Import extensions; one that is imported already only where its text has changed since.

    Parameters
    ----------
    names : iterable of str
        Paths of files (``mine.py``), and modules (``package.module``).
    folders : sequence of Path
        Where they are looked for beside the current folder.

    Raises
    ------
    ConfigError
        If one is not there, or cannot be imported: it names the file, the line and the error.
    """
    return tuple(_load(name, (Path.cwd(), *folders)) for name in names)


def extend(*names: str) -> None:
    """Import files and modules of one's own that add parts, in a notebook: ``extend("mine.py")``.

    Raises
    ------
    ConfigError
        As `load`.
    """
    load(names)


def load_again(names: Sequence[str], folder: Path) -> None:
    """Import what a stored study was planned with; a file that has gone, from the copy beside it.

    What fails is told of and left out: much can be asked of a study without it.

    Parameters
    ----------
    names : sequence of str
        As its plan has them.
    folder : Path
        Of the study, which holds the copies.
    """
    for name, copy in zip(names, _copies(names, folder), strict=True):
        try:
            load([str(copy) if copy.exists() and not Path(name).exists() else name])
        except ConfigError as error:
            log.warning("%s; the study is read without it", error)


def keep_copies(names: Sequence[str], folder: Path) -> None:
    """Copy the files among what a study is planned with into its folder."""
    for name, copy in zip(names, _copies(names, folder), strict=True):
        if name.endswith(".py"):
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(copy, Path(name).read_text(encoding="utf-8"))


def _copies(names: Sequence[str], folder: Path) -> list[Path]:
    return [folder / "extensions" / str(i) / Path(name).name for i, name in enumerate(names)]


def load_inherited() -> None:
    """Import what the process that started this one had imported, or its frozen code holds.

    Raises
    ------
    ConfigError
        As `load`.
    """
    text = os.environ.get(INHERITED)
    if text is not None:
        handed = json.loads(text)
        load(handed["names"], [Path(folder) for folder in handed["folders"]])
        return
    folder = machine.code_folder()
    if (folder / FROZEN).exists():
        names = json.loads((folder / FROZEN).read_text(encoding="utf-8"))
        load(names, [folder])


def inherited() -> dict[str, str]:
    """The variable that hands on what this process has imported; none where that is nothing."""
    names = [str(e.file) if e.is_file else e.module for e in loaded()]
    folders = [str(root) for root in map(_root, loaded()) if root is not None]
    return {INHERITED: json.dumps({"names": names, "folders": folders})} if names else {}


def frozen_files() -> dict[str, bytes]:
    """What is copied beside frozen code, so that its workers import the same: path -> content.

    A package that is installed is part of the machine, as torch is, and is not copied.
    """
    files: dict[str, bytes] = {}
    names = []
    for i, extension in enumerate(loaded()):
        if extension.is_file:
            name = f"extensions/{i}/{extension.file.name}"
            files[name] = extension.file.read_bytes()
            names.append(name)
            continue
        names.append(extension.module)
        root = _root(extension)
        if root is None:
            continue
        folder = root / extension.module.partition(".")[0]
        for file in sorted(folder.rglob("*.py")) if folder.is_dir() else [extension.file]:
            files[file.relative_to(root).as_posix()] = file.read_bytes()
    if names:
        files[FROZEN] = json.dumps(names).encode()
    return files


def extension_of(module: str) -> Extension | None:
    """The extension that a module belongs to; None where it is none."""
    return _loaded.get(module)


def _load(name: str, folders: Sequence[Path]) -> Extension:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"extend: {name!r} is neither the path of a .py file nor a module")
    if name.endswith(".py") or os.sep in name:
        return _load_file(name, folders)
    return _load_module(name, folders)


def _load_file(name: str, folders: Sequence[Path]) -> Extension:
    places = [folder / Path(name).expanduser() for folder in folders]
    file = next((place.resolve() for place in places if place.is_file()), None)
    if file is None:
        looked = ", ".join(dict.fromkeys(str(place.parent) for place in places))
        raise ConfigError(f"extend: there is no file {name!r} (looked in {looked})")
    module = _module_of(file)
    text = digest((file,))
    loaded_before = _loaded.get(module)
    if loaded_before is not None and loaded_before.text == text:
        return loaded_before
    check_imports(name, file)
    spec = importlib.util.spec_from_file_location(module, file)
    assert spec is not None and spec.loader is not None  # of a .py file
    built = importlib.util.module_from_spec(spec)
    loader = spec.loader

    def run() -> None:
        sys.modules[module] = built  # as an import does: dataclasses look their module up
        loader.exec_module(built)

    _execute(name, module, run)
    return _remember(Extension(name, module, file, (file,), text))


def _module_of(file: Path) -> str:
    """What the module of a file is called: after it, and apart from another file's of its name."""
    name = FILES_AS + "".join(c if c.isalnum() else "_" for c in file.stem)
    loaded_before = _loaded.get(name)
    if loaded_before is None or loaded_before.file == file:
        return name
    return f"{name}_{hashlib.sha256(str(file).encode()).hexdigest()[:6]}"


def _load_module(name: str, folders: Sequence[Path]) -> Extension:
    top = name.partition(".")[0]
    for folder in folders:  # behind all others, so that it hides nothing
        is_there = (folder / top).is_dir() or (folder / f"{top}.py").is_file()
        if is_there and str(folder) not in sys.path:
            sys.path.append(str(folder))
            importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    except Exception as error:  # of a package above it
        raise ConfigError(f"extend: {_told(name, error)}") from error
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ConfigError(f"extend: there is no module {name!r} that Python finds from here")
    file = Path(spec.origin).resolve()
    files = package_files(name, file)
    text = digest(files)
    loaded_before = _loaded.get(name)
    if loaded_before is not None and loaded_before.text == text:
        return loaded_before
    for module in [
        m for m in sys.modules if loaded_before is not None and m.partition(".")[0] == top
    ]:
        del sys.modules[module]  # its text has changed: it and what it imports are read again
    _execute(name, name, lambda: importlib.import_module(name))
    return _remember(Extension(name, name, file, files, text))


def _execute(name: str, module: str, execute: Callable[[], object]) -> None:
    try:
        execute()
    except ConfigError:
        sys.modules.pop(module, None)
        raise
    except (Exception, SystemExit) as error:  # whatever a file of somebody else does
        sys.modules.pop(module, None)
        raise ConfigError(f"extend: {_told(name, error)}") from error


def _told(name: str, error: BaseException) -> str:
    """Where a file fails, and why: its own last line in the traceback."""
    if isinstance(error, SyntaxError):
        return f"{name}, line {error.lineno}: {error.msg}"
    lines = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).name == Path(name).name
        or FILES_AS in frame.name
        or name.rpartition(".")[2] in Path(frame.filename).stem
    ]
    where = f", line {lines[-1].lineno}" if lines else ""
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return f"{name}{where}: {kind}{error}{_of_a_package(name, error)}"


def _of_a_package(name: str, error: BaseException) -> str:
    """What to name instead of a file of a package, which finds the others only as its module."""
    path = Path(name)
    if not (isinstance(error, ImportError) and name.endswith(".py")):
        return ""
    package = path.parent.name or "package"
    return (
        f"; a file that imports others of its package is named by its module: "
        f"extend=[{package}.{path.stem}]"
    )


def _remember(extension: Extension) -> Extension:
    _loaded[extension.module] = extension
    return extension


def _root(extension: Extension) -> Path | None:
    """The folder in which the package of a module lies; None where it is installed."""
    is_package = extension.file.name == "__init__.py"
    root = extension.file.parents[extension.module.count(".") + is_package]
    installed = {Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")}
    return None if root in installed else root

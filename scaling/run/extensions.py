"""Files of a person's own that add parts: an optimizer, a schedule, a source of tokens, a law.

``extend: [mine.py, package.module]`` names them, in a study or on the command line. Each is
imported before anything is resolved, in every process that may need what it registers: the command
line, notebooks, and workers, which have copies of them in their frozen code.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import json
import logging
import os
import sys
import sysconfig
import tokenize
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.fields import ConfigError
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.scaling.records.fingerprint import code_fingerprint, imports_of, significant
from scalinglab.scaling.registry import Registry

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
    given = os.environ.get(INHERITED)
    if given is not None:
        handed = json.loads(given)
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


# ---------------------------------------------------------------------- runs that use them


def used_by(science: Mapping[str, Any]) -> str:
    """The extensions whose code makes the numbers of a run, ``NAME=HASH`` joined by pluses.

    The name is that of the part, so that two texts of one part are told apart. Empty where the run
    uses none.

    Parameters
    ----------
    science : mapping
        Of the run.
    """
    texts = set()
    for registry in Registry.number_making:
        name = _name_in(science, registry)
        if name in registry and not registry.is_shipped(name):
            extension = extension_of(registry.module_of(name))
            texts.add(f"{name}={extension.text if extension is not None else 'unknown'}")
    return "+".join(sorted(texts))


def check_importable(science: Mapping[str, Any]) -> None:
    """Refuse a run whose parts other processes could not import.

    Raises
    ------
    ConfigError
        If one was registered in a notebook, or by a module that no extension names.
    """
    for registry in Registry.number_making:
        name = _name_in(science, registry)
        if name in registry and not registry.is_shipped(name):
            module = registry.module_of(name)
            if extension_of(module) is None:
                raise ConfigError(
                    f"{registry.key} = {name!r} is registered by {module!r}, which workers do not "
                    "import: put it into a file, and name that in extend=[FILE.py]"
                )


def _name_in(science: Mapping[str, Any], registry: Registry[Any]) -> Any:
    """What a science names of a registry."""
    *groups, key = registry.key.split(".")
    node: Any = functools.reduce(lambda node, group: node.get(group, {}), groups, science)
    return node.get(key)


def run_fingerprint(science: Mapping[str, Any]) -> str:
    """The fingerprint of the code that trains a run here, with that of the extensions it uses."""
    extensions = used_by(science)
    return f"{code_fingerprint()}+{extensions}" if extensions else code_fingerprint()


# ---------------------------------------------------------------------- importing


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
    text = _digest((file,))
    there = _loaded.get(module)
    if there is not None and there.text == text:
        return there
    _check_imports(name, file)
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
    there = _loaded.get(name)
    if there is None or there.file == file:
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
    files = _package_files(name, file)
    text = _digest(files)
    there = _loaded.get(name)
    if there is not None and there.text == text:
        return there
    for module in [m for m in sys.modules if there is not None and m.partition(".")[0] == top]:
        del sys.modules[module]  # its text has changed: it and what it imports are read again
    _execute(name, name, lambda: importlib.import_module(name))
    return _remember(Extension(name, name, file, files, text))


def _execute(name: str, module: str, execute: Callable[[], object]) -> None:
    try:
        execute()
    except ConfigError:
        sys.modules.pop(module, None)
        raise
    except Exception as error:  # whatever a file of somebody else does
        sys.modules.pop(module, None)
        raise ConfigError(f"extend: {_told(name, error)}") from error


def _told(name: str, error: Exception) -> str:
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
    return f"{name}{where}: {type(error).__name__}: {error}"


def _remember(extension: Extension) -> Extension:
    _loaded[extension.module] = extension
    return extension


# ---------------------------------------------------------------------- its text


def _digest(files: Sequence[Path]) -> str:
    content = hashlib.sha256()
    for file in files:
        text = file.read_text(encoding="utf-8")
        try:
            content.update(significant(text).encode())
        except (SyntaxError, tokenize.TokenError):  # told of when it is imported
            content.update(text.encode())
    return content.hexdigest()[:10]


def _check_imports(name: str, file: Path) -> None:
    """Refuse a file that imports a neighbour: a worker, which has a copy, would not find it."""
    try:
        wanted = imports_of(file)
    except SyntaxError:
        return  # told of when it is imported
    for module in wanted:
        top = module.partition(".")[0]
        if any((file.parent / f).exists() for f in (f"{top}.py", f"{top}/__init__.py")):
            raise ConfigError(
                f"extend: {name} imports {top!r}, which lies beside it; files that belong together "
                "make a package (a folder with __init__.py), named by its module: "
                "extend=[package.module]"
            )


def _package_files(name: str, file: Path) -> tuple[Path, ...]:
    """A module's file, and the files of its own top package that it imports, one after another."""
    top = name.partition(".")[0]
    root = file.parents[name.count(".") + (file.name == "__init__.py")]
    found: dict[str, Path] = {}
    modules = [name]
    while modules:
        module = modules.pop()
        place = root.joinpath(*module.split("."))
        path = next(
            (p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None
        )
        if module in found or path is None or module.partition(".")[0] != top:
            continue
        found[module] = path
        try:
            modules += imports_of(path, module)
        except SyntaxError:
            continue  # told of when it is imported
    return tuple(found[module] for module in sorted(found))


def _root(extension: Extension) -> Path | None:
    """The folder in which the package of a module lies; None where it is installed."""
    is_package = extension.file.name == "__init__.py"
    root = extension.file.parents[extension.module.count(".") + is_package]
    installed = {Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")}
    return None if root in installed else root

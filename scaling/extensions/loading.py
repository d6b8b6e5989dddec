"""Extensions: files of a person's own that add an optimizer, a schedule, a source, a law, ...

``extend: [mine.py, package.module]`` names them, in a study or on the command line. They are
imported before anything is resolved, in every process that may need their parts: the command line,
notebooks, and workers, which have copies in their frozen code.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.extensions.text import check_imports, digest, package_files
from scalinglab.scaling.records.atomic import write_atomic

log = logging.getLogger(__name__)
FILES_AS = "scaling_extension_"  # how names of modules of files begin; no other module's do


@dataclass(frozen=True)
class Extension:
    """A file that adds parts, imported.

    Attributes
    ----------
    name : str
        Its name in ``extend``: a path or a module.
    module : str
        The name of the imported module.
    file : Path
        The file.
    files : tuple of Path
        The file, and files of its package that it imports.
    text : str
        Hash of their code without comments, docstrings and layout.
    """

    name: str
    module: str
    file: Path
    files: tuple[Path, ...]
    text: str

    @property
    def is_file(self) -> bool:
        """Whether ``extend`` names it by a path."""
        return self.module.startswith(FILES_AS)


_loaded: dict[str, Extension] = {}  # module -> what was imported


def loaded() -> tuple[Extension, ...]:
    """The extensions of this process, in the order of their import."""
    return tuple(_loaded.values())


def load(names: Iterable[str], folders: Sequence[Path] = ()) -> tuple[Extension, ...]:
    """Import extensions; one that is imported already only if its text has changed.

    Parameters
    ----------
    names : iterable of str
        Paths of files (``mine.py``), and modules (``package.module``).
    folders : sequence of Path
        Where they are looked for, besides the current folder.

    Raises
    ------
    ConfigError
        If one does not exist or cannot be imported: it names the file, the line and the error.
    """
    return tuple(_load(name, (Path.cwd(), *folders)) for name in names)


def extend(*names: str) -> None:
    """Import extensions in a notebook: ``extend("mine.py")``.

    Raises
    ------
    ConfigError
        As `load`.
    """
    load(names)


def load_again(names: Sequence[str], folder: Path) -> None:
    """Import the extensions of a stored study; a file that is gone, from the study's copy.

    An extension that fails is logged and left out: most answers do not need it.

    Parameters
    ----------
    names : sequence of str
        The names in the study's plan.
    folder : Path
        The folder of the study, which has the copies.
    """
    for name, copy in zip(names, _copies(names, folder), strict=True):
        try:
            load([str(copy) if copy.exists() and not Path(name).exists() else name])
        except ConfigError as error:
            log.warning("%s; the study is read without it", error)


def keep_copies(names: Sequence[str], folder: Path) -> None:
    """Copy the files among a study's extensions into its folder."""
    for name, copy in zip(names, _copies(names, folder), strict=True):
        if name.endswith(".py"):
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(copy, Path(name).read_text(encoding="utf-8"))


def _copies(names: Sequence[str], folder: Path) -> list[Path]:
    return [folder / "extensions" / str(i) / Path(name).name for i, name in enumerate(names)]


def extension_of(module: str) -> Extension | None:
    """The extension with this module; None if there is none."""
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
    earlier = _loaded.get(module)
    if earlier is not None and earlier.text == text:
        return earlier
    check_imports(name, file)
    spec = importlib.util.spec_from_file_location(module, file, loader=_Loader(module, str(file)))
    assert spec is not None and spec.loader is not None  # it is a .py file
    new_module = importlib.util.module_from_spec(spec)
    loader = spec.loader

    def run() -> None:
        sys.modules[module] = new_module  # as an import does: dataclasses look their module up
        loader.exec_module(new_module)

    _execute(name, module, run)
    return _remember(Extension(name, module, file, (file,), text))


class _Loader(SourceFileLoader):
    """Compiles the text that is there: Python's cache misses edits of one second and one size."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the file's text."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _module_of(file: Path) -> str:
    """The name of a file's module, unique also if another file of the same name is loaded."""
    name = FILES_AS + "".join(c if c.isalnum() else "_" for c in file.stem)
    earlier = _loaded.get(name)
    if earlier is None or earlier.file == file:
        return name
    return f"{name}_{hashlib.sha256(str(file).encode()).hexdigest()[:6]}"


def _load_module(name: str, folders: Sequence[Path]) -> Extension:
    top = name.partition(".")[0]
    for folder in folders:
        has_module = (folder / top).is_dir() or (folder / f"{top}.py").is_file()
        if has_module and str(folder) not in sys.path:  # appended, so that it hides no other module
            sys.path.append(str(folder))
            importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    except Exception as error:  # raised by a package above it
        raise ConfigError(f"extend: {_failure(name, error)}") from error
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ConfigError(f"extend: there is no module {name!r} that Python finds from here")
    file = Path(spec.origin).resolve()
    files = package_files(name, file)
    text = digest(files)
    earlier = _loaded.get(name)
    if earlier is not None and earlier.text == text:
        return earlier
    if earlier is not None:  # its text has changed: all modules of its package are imported anew
        for module in [m for m in sys.modules if m.partition(".")[0] == top]:
            del sys.modules[module]
        for changed in files:  # compiled files may be of the earlier text: see `_Loader`
            Path(importlib.util.cache_from_source(str(changed))).unlink(missing_ok=True)
    _execute(name, name, lambda: importlib.import_module(name))
    return _remember(Extension(name, name, file, files, text))


def _execute(name: str, module: str, execute: Callable[[], object]) -> None:
    try:
        execute()
    except ConfigError:
        sys.modules.pop(module, None)
        raise
    except (Exception, SystemExit) as error:  # code of somebody else may raise anything
        sys.modules.pop(module, None)
        raise ConfigError(f"extend: {_failure(name, error)}") from error


def _failure(name: str, error: BaseException) -> str:
    """Why the import of a file fails, and its last line in the traceback."""
    if isinstance(error, SyntaxError):
        return f"{name}, line {error.lineno}: {error.msg}"
    lines = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).name == Path(name).name
        or FILES_AS in frame.name
        or name.rpartition(".")[2] in Path(frame.filename).stem
    ]
    place = f", line {lines[-1].lineno}" if lines else ""
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return f"{name}{place}: {kind}{error}{_module_hint(name, error)}"


def _module_hint(name: str, error: BaseException) -> str:
    """The hint for a file of a package, which can import its siblings only as a module."""
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


def package_root(extension: Extension) -> Path | None:
    """The folder that contains the package of a module; None if the package is installed."""
    is_package = extension.file.name == "__init__.py"
    root = extension.file.parents[extension.module.count(".") + is_package]
    installed = {Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")}
    return None if root in installed else root

"""A hash of the code that makes a run's numbers.

Code is not part of a run's identity, but every run records this fingerprint: a plan warns when a
finished run was trained by other code, and a fit refuses to mix two fingerprints unless told to.
Comments, docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import tokenize
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).parent.parent  # scaling/
PACKAGE = __package__.rpartition(".")[0]
# The code that decides a loss curve: steps, updates of the weights, rates and batches. Of a
# package all files. Their imports make numbers, too, if they stand in one of these rooms.
STEPS = (
    "scalinglab.scaling.engine.steps.eager",
    "scalinglab.scaling.engine.steps.captured",
    "scalinglab.scaling.engine.steps.compiled",
    "scalinglab.scaling.engine.steps.sharded",
    "scalinglab.scaling.run.step_options",
    # The parts that fill the slots of the network since the first runs. A run with others has
    # their hash next to this fingerprint (``scalinglab.scaling.extensions.used``).
    "scalinglab.scaling.model.mixers.attention",
    "scalinglab.scaling.model.feed_forwards.mlp",
    "scalinglab.scaling.model.linears.dense",
    "scalinglab.scaling.model.norms.layernorm",
    "scalinglab.scaling.model.norms.none",
    "scalinglab.scaling.model.norms.rmsnorm",
    "scalinglab.scaling.model.residuals.add",
    "scalinglab.scaling.engine.network.mixers.attention",
    "scalinglab.scaling.engine.network.feed_forwards.mlp",
    "scalinglab.scaling.engine.network.linears.dense",
    "scalinglab.scaling.engine.network.norms.layernorm",
    "scalinglab.scaling.engine.network.norms.none",
    "scalinglab.scaling.engine.network.norms.rmsnorm",
    "scalinglab.scaling.engine.network.residuals.add",
    "scalinglab.scaling.engine.optimizers",
    "scalinglab.scaling.optimizers",
    "scalinglab.scaling.schedule.pieces",
    "scalinglab.scaling.data.order",
    "scalinglab.scaling.data.pools",
    "scalinglab.scaling.data.selection",
    "scalinglab.scaling.data.store",
)
ROOMS = (
    "scalinglab.scaling.model",
    "scalinglab.scaling.engine",
    "scalinglab.scaling.optimizers",
    "scalinglab.scaling.schedule",
    "scalinglab.scaling.data",
    "scalinglab.scaling.run",
)
# Imported files that change no curve: they only read a model or a store, or name the engines.
LOOKS_ON = (
    "scalinglab.scaling.engine.steps.measurements",
    "scalinglab.scaling.data.columns",
    "scalinglab.scaling.data.verify",
    "scalinglab.scaling.data.vocabulary",
    "scalinglab.scaling.run.engines",
)
LAYOUT = {tokenize.NEWLINE: ";", tokenize.INDENT: "{", tokenize.DEDENT: "}"}

# The fingerprint of this code. If it changes, a test asks whether the numbers change as well and
# says how to update this line.
CURRENT = "2aa0b1a631"
# Fingerprints of older code -> that of code which makes the same numbers, bit for bit: a fit takes
# their runs together, and a plan does not warn. Each entry says how that was shown. Shipped parts
# with files of their own have entries of their own, NAME=HASH.
EQUAL_NUMBERS: Mapping[str, str] = {
    "6c26e9c769": "2aa0b1a631",  # all golden curves are equal
    "moe=52550fda11": "moe=50d2f1ef44",  # its golden curves are equal
    "db1ba3b252": "6c26e9c769",  # all golden curves but the compiled ones are equal
    "0bc085c4b7": "db1ba3b252",  # all golden curves are equal
    "59d404f029": "0bc085c4b7",  # all golden curves are equal
    "44d0915d9a": "59d404f029",  # all golden curves are equal
    "435ce51b2a": "44d0915d9a",  # all golden curves are equal
    "f26f3a4e60": "435ce51b2a",  # all golden curves are equal
    "a12b1bb1fc": "f26f3a4e60",  # all golden curves are equal
    "ebb1b42495": "a12b1bb1fc",  # all golden curves are equal
    "b5d0d6edf2": "ebb1b42495",  # all golden curves are equal
    "d231b545cd": "ebb1b42495",  # all golden curves are equal
    "4eb2951724": "b5d0d6edf2",  # all golden curves are equal
    # Options became classes of their own and files moved to other rooms: the curves of every
    # optimizer, schedule, option of the model and engine (tests/golden/curves.py, 86 of them) that
    # the older code wrote and those of this code on one machine are equal to the last digit
    # (python -m tests.golden.fingerprint FILE).
    "11fb30e766": "4eb2951724",
}


def same_numbers(fingerprint: str) -> str:
    """The newest fingerprint of code that makes equal numbers; `code` itself if none is known.

    What stands behind it, ``+NAME=HASH``, is of each extension that a run used
    (``scalinglab.scaling.extensions.loading``).
    """
    versions = []
    for version in fingerprint.split("+"):
        while version in EQUAL_NUMBERS:
            version = EQUAL_NUMBERS[version]
        versions.append(version)
    return "+".join(versions)


def versions_of_code(fingerprints: Iterable[str]) -> list[str]:
    """The code, or the first extension, of which some runs used several versions; else empty.

    Two runs of which one used an extension and the other none do not differ in version; two that
    used one of the same name with another text do.

    Returns
    -------
    list of str
        The versions of the code, or of the first extension of which there are several.
    """
    versions_of: dict[str, set[str]] = {}
    for fingerprint in fingerprints:
        code, *extensions = same_numbers(fingerprint).split("+")
        versions_of.setdefault("", set()).add(code)
        for extension in extensions:
            versions_of.setdefault(extension.partition("=")[0], set()).add(extension)
    return next((sorted(versions) for versions in versions_of.values() if len(versions) > 1), [])


@functools.cache
def code_fingerprint() -> str:
    """The fingerprint of this code, ten hexadecimal letters."""
    content = hashlib.sha256()
    for path in number_making():
        content.update(significant(path.read_text()).encode())
    return content.hexdigest()[:10]


@functools.cache
def number_making() -> tuple[Path, ...]:
    """The files whose code decides a loss curve: `STEPS` and what they import of `ROOMS`."""
    return _reached(module for step in STEPS for module in _modules(step))


def _reached(modules: Iterable[str]) -> tuple[Path, ...]:
    """The files of some modules, and those that they import of `ROOMS`, by name."""
    files: dict[str, Path] = {}
    ahead = list(modules)
    while ahead:
        module = ahead.pop()
        if module in files or module in LOOKS_ON:
            continue
        files[module] = _file(module)
        ahead += [m for m in _imports(files[module]) if m.startswith(tuple(f"{r}." for r in ROOMS))]
    return tuple(files[module] for module in sorted(files))


def files_apart(modules: Iterable[str], *, imports: bool = False) -> list[Path]:
    """The files of some modules of this package that are not among `number_making`.

    Parameters
    ----------
    modules : iterable of str
    imports : bool
        Whether the files that they import of `ROOMS` belong to them.
    """
    common = set(number_making())
    modules = tuple(modules)
    files = [_file(module) for module in modules]
    if imports:
        files += [file for file in _reached(modules) if file not in files]
    return [file for file in files if file not in common]


def _modules(name: str) -> list[str]:
    """A module, or those of a package."""
    folder = _file(name).with_suffix("")
    if not folder.is_dir():
        return [name]
    return [f"{name}.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"]


def _file(module: str) -> Path:
    return HERE.joinpath(*module.removeprefix(f"{PACKAGE}.").split(".")).with_suffix(".py")


def _imports(path: Path) -> Iterable[str]:
    """The modules of this package that a file imports, anywhere in it."""
    return (n for n in imports_of(path) if n.startswith(f"{PACKAGE}.") and _file(n).exists())


def imports_of(path: Path, module: str = "") -> list[str]:
    """The modules that a file may import, anywhere in it; an imported name may be a module, too.

    Parameters
    ----------
    path : Path
    module : str
        Its own name, which resolves relative imports.

    Raises
    ------
    SyntaxError
        If the file is not Python.
    """
    names: list[str] = []
    is_package = path.name == "__init__.py"
    for node in _statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: len(module.split(".")) - node.level + is_package]
            base = ".".join(
                [*(parents if node.level else []), *([node.module] if node.module else [])]
            )
            if base:
                names += [base, *(f"{base}.{name.name}" for name in node.names)]
    return names


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements of a file. Expressions, nine nodes in ten, hold no imports."""
    ahead = deque[ast.AST]([tree])
    while ahead:
        node = ahead.popleft()
        yield node
        for blocks in ("body", "orelse", "finalbody", "handlers", "cases"):
            ahead += getattr(node, blocks, ())


def significant(source: str) -> str:
    """The tokens of a source text that are neither comments, docstrings nor layout."""
    tokens: list[str] = []
    statement: list[tuple[int, str]] = []
    for kind, text in _tokens(source):
        if kind not in LAYOUT:
            statement.append((kind, text))
            continue
        # A statement of strings alone does nothing: a docstring.
        if any(k != tokenize.STRING for k, _ in statement):
            tokens += [text for _, text in statement] + [LAYOUT[kind]]
        elif kind != tokenize.NEWLINE:
            tokens.append(LAYOUT[kind])
        statement = []
    return " ".join(tokens)


def _tokens(source: str) -> Iterator[tuple[int, str]]:
    """Types and texts of the tokens; f-strings are one token, which Python 3.12 splits."""
    lines = source.splitlines(keepends=True)
    depth, start = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        if name == "FSTRING_START":
            start = start if depth else token.start
            depth += 1
        elif name == "FSTRING_END":
            depth -= 1
            if not depth:
                yield tokenize.STRING, _between(lines, start, token.end)
        elif not depth and token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER):
            yield token.type, token.string


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    (first_line, first_column), (last_line, last_column) = start, end
    text = "".join(lines[first_line - 1 : last_line])
    return text[first_column : len(text) - len(lines[last_line - 1]) + last_column]

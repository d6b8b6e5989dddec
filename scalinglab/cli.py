"""The command line: finds the verb, reads its options, shows its result.

A verb's file is imported when the verb is used; the general help reads the summaries out of the
files instead, so that it starts at once. Verbs return results; this file alone prints them.
"""

from __future__ import annotations

import ast
import errno
import importlib
import inspect
import io
import itertools
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from scalinglab.as_json import print_json
from scalinglab.habits import QUIET, VERBOSE, read_flags
from scalinglab.options import OVERRIDES, WHOLE_WORDS, MissingOption, explain, read_arguments
from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.extras import PROJECT, missing_package
from scalinglab.scaling.fields import unknown_key
from scalinglab.scaling.text.printable import one_line
from scalinglab.scaling.training.child import OURS
from scalinglab.verb import INTERRUPTED, Verb, module_of

if TYPE_CHECKING:
    from scalinglab.terminal import Screen

GROUPS = {
    "train": ("new", "plan", "launch", "add", "status", "logs", "note", "cancel", "train", "data"),
    "answer": (
        "fit",
        "compare-laws",
        "probe",
        "report",
        "compare",
        "judge",
        "multiverse",
        "import",
        "replay",
    ),
    "decide": ("allocate", "tune", "schedule"),
    "look ahead": ("next", "reach", "forecast", "track"),
    "utilities": (
        "completion",
        "parts",
        "network",
        "coordcheck",
        "doctor",
        "collect",
        "export",
        "gc",
        "sync",
    ),
}
VERBS = tuple(name for names in GROUPS.values() for name in names)
# Errors of a machine that name no file.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE)
CLOSED_PIPE = 141  # as the shell says of a program that SIGPIPE ended
_FOLDER = Path(__file__).parent / "verbs"
_WIDEST = 100  # columns of a help
_BELOW = (
    "scaling VERB --help says more. Overrides are Hydra's: model.width=64 schedule=cosine. Every "
    "verb prints one JSON object with --json; -q tells no progress, -v leaves no column out; "
    "--cfg job prints what plan, launch, train and data compose. scaling --version names the "
    "version."
)
_LONGEST = 1_200  # characters of an error
COMPLETE = "--complete"  # what a shell's script calls (`scalinglab.completion`)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console command ``scaling``."""
    if argv is None:  # else a program, which may import Lightning itself
        os.environ[OURS] = "1"
    arguments = _verb_first(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what an encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments)
        sys.stdout.flush()  # here, where a pipe that was closed is handled
        sys.exit(code)
    except BrokenPipeError:  # | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except MissingOption as error:
        _fail(f"{error}; usage: {find_verb(arguments[0]).usage}")
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            _report_defect()
        _fail(f"scaling {arguments[0]} needs {missing}")
    except UserError as error:
        if set(VERBOSE) & set(arguments):
            traceback.print_exc()
        _fail(str(error))
    except OSError as error:
        if error.filename is None and error.errno not in _OF_THE_MACHINE:
            _report_defect()
        _fail(": ".join(filter(None, (error.filename and str(error.filename), error.strerror))))
    except KeyboardInterrupt:
        _screen(sys.stderr).say("interrupted; finished work is kept, run the same command again")
        sys.exit(INTERRUPTED)
    except Exception:
        _report_defect()


def _verb_first(arguments: Sequence[str]) -> list[str]:
    """The arguments, where flags before the verb stand after it."""
    flags = list(itertools.takewhile((*QUIET, *VERBOSE).__contains__, arguments))
    verb_onwards = list(arguments[len(flags) :])
    return [*verb_onwards[:1], *flags, *verb_onwards[1:]] if verb_onwards else []


def _run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if arguments[0] in ("--version", "version"):
        print(PROJECT, _version())
        return 0
    name, *verb_arguments = arguments
    if name == COMPLETE:
        # Imported here, because it reads configuration groups, which the help does not.
        from scalinglab.completion import complete

        print("\n".join(complete(" ".join(verb_arguments), VERBS)))
        return 0
    if name not in VERBS:
        raise ConfigError(unknown_key(name, VERBS).replace("key", "verb", 1))
    verb = find_verb(name)
    if {"-h", "--help"} & set(verb_arguments):
        print(_help_of(verb))
        return 0
    return _answer(verb, verb_arguments)


def _answer(verb: Verb, arguments: Sequence[str]) -> int:
    """Run a verb; with ``--json`` standard output holds its answer alone."""
    if OVERRIDES not in {f.name for f in fields(verb.options)}:  # else composing reads extend=
        arguments = _load_extensions(arguments)
    flags = read_flags(arguments)
    options: Any = read_arguments(verb.options, flags.arguments)
    screen = _screen(sys.stderr if options.json else sys.stdout)
    screen.is_verbose = flags.verbose
    if flags.show_config:
        return _show_config(options)
    if flags.quiet:
        with open(os.devnull, "w") as nowhere:
            result = verb.run(options, _screen(nowhere))
    else:
        result = _run_with_bar(verb, options, screen)
    if options.json:
        print_json(result.as_json())
    else:
        result.show(screen)
    if (error := getattr(result, "unwritten", None)) is not None:
        raise error  # of a file beside the answer: only now, so that the answer is not lost
    return result.code


def _run_with_bar(verb: Verb, options: Any, screen: Screen) -> Any:
    """Run a verb, with a bar on the terminal, or lines in a log (-v), if it may take long."""
    is_live = sys.stderr.isatty()
    if not verb.shows_bar or not (is_live or screen.is_verbose):
        return verb.run(options, screen)
    # Imported here, because most verbs show no bar.
    from scalinglab.answer_bar import answer_bar, answer_lines

    with answer_bar() if is_live else answer_lines():
        return verb.run(options, screen)


def _load_extensions(arguments: Sequence[str]) -> list[str]:
    """Import what ``extend=[mine.py,package.module]`` names; the other arguments."""
    extensions = [a.partition("=")[2] for a in arguments if a.startswith("extend=")]
    if extensions:
        # Imported here, because most calls extend nothing, and the help starts at once.
        from scalinglab.scaling.extensions.loading import load

        load([name.strip() for name in extensions[-1].strip("[]").split(",")])
    return [a for a in arguments if not a.startswith("extend=")]


def _show_config(options: Any) -> int:
    """Print the configuration that a verb's overrides compose, as YAML or JSON, and do nothing."""
    if not hasattr(options, OVERRIDES):
        raise ConfigError(
            "--cfg job shows what plan, launch, train and data compose; no other verb"
        )
    # Imported here, because other calls need neither, and both take a while.
    import yaml

    from scalinglab.prepare import compose_configuration

    study = getattr(options, "study", None)
    choice = [f"study={study}"] if study else []
    composed = compose_configuration([*choice, *getattr(options, OVERRIDES)])
    if options.json:
        print_json(composed)
    else:
        print(yaml.safe_dump(composed, sort_keys=False), end="")
    return 0


def find_verb(name: str) -> Verb:
    """A verb by its name, out of its file."""
    verb: Verb = importlib.import_module(f"scalinglab.verbs.{_file(name).stem}").VERB
    return verb


def _file(name: str) -> Path:
    return _FOLDER / f"{module_of(name)}.py"


def _summary(name: str) -> str:
    """The summary of a verb in one line, read without importing its libraries."""
    source = _file(name).read_text(encoding="utf-8")
    tree = ast.parse(source[source.index("\nVERB = ") :])
    assert isinstance(tree.body[0], ast.Assign) and isinstance(tree.body[0].value, ast.Call)
    return ast.literal_eval(tree.body[0].value.args[0])


def _columns() -> int:
    return min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)


def _help() -> str:
    lines = [
        "scaling: plan, launch, watch, fit, decide, report scaling-law studies",
        "",
        "usage: scaling VERB [key=value ...]",
    ]
    for group, names in GROUPS.items():
        lines += ["", group if group == "utilities" else f"to {group}"]
        lines += [
            textwrap.fill(
                f"  {name:<14}{_summary(name)}",
                _columns(),
                subsequent_indent=" " * 16,
                **WHOLE_WORDS,
            )
            for name in names
        ]
    return "\n".join([*lines, "", *textwrap.wrap(_BELOW, _columns(), **WHOLE_WORDS)])


def _help_of(verb: Verb) -> str:
    paragraphs = inspect.cleandoc(verb.run.__doc__ or "").split("\n\n")
    sections = [
        f"usage: {verb.usage}",
        *(textwrap.fill(" ".join(p.split()), _columns(), **WHOLE_WORDS) for p in paragraphs),
        "\n".join(["options", *explain(verb.options, _columns())]),
    ]
    return "\n\n".join(sections)


def _fail(message: str) -> NoReturn:
    """Show an error in one line, also where the message quotes a value of many lines; exit 2."""
    message = one_line(message.strip())
    if len(message) > _LONGEST:
        half = _LONGEST // 2
        message = f"{message[:half]} ... {message[-half:]}"
    _screen(sys.stderr).say(f"error: {message}")
    sys.exit(2)


def _report_defect() -> NoReturn:
    """The traceback of an exception that no user can mend, and what to do with it."""
    traceback.print_exc()
    _screen(sys.stderr).say(f"{_origin()} Runs are kept; the same command resumes.")
    sys.exit(1)


def _origin() -> str:
    """Whether an exception came from a file that ``extend`` names, or from this package."""
    # Imported here, because only a defect asks for it.
    from scalinglab.scaling.extensions.loading import loaded

    names = {str(file): extension.name for extension in loaded() for file in extension.files}
    for frame in reversed(traceback.extract_tb(sys.exc_info()[2])):
        if frame.filename in names:
            return f"It came from {names[frame.filename]}, which extend names: line {frame.lineno}."
    return (
        f"This is a defect of {PROJECT} {_version()}, not a mistake of yours: please report the "
        "lines above with the command."
    )


def _screen(stream: TextIO) -> Screen:
    """The screen, which shows text to people."""
    # Imported here, because rich takes a while, and the general help needs none.
    from scalinglab.terminal import Screen

    return Screen(stream)


def _version() -> str:
    try:
        return version(PROJECT)
    except PackageNotFoundError:
        return "of a checkout that is not installed"


if __name__ == "__main__":
    main()

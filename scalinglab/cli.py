"""The command line: finds the verb, runs it, turns mistakes into one sentence.

The verbs stand in ``scalinglab/verbs``, the one folder that puts scaling, sweeps and analysis
together. They import what they need when they run, so that ``scaling --help`` starts at once and
loads no torch. Functions elsewhere return values; only the verbs print.
"""

from __future__ import annotations

import inspect
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import NoReturn

from scalinglab.options import WHOLE_WORDS, MissingOption, explain
from scalinglab.scaling.config import ConfigError, unknown_key
from scalinglab.scaling.extras import missing_package
from scalinglab.verb import INTERRUPTED, Interrupted, Verb
from scalinglab.verbs import (
    allocating,
    checking,
    comparing,
    dashboards,
    deciding,
    doubting,
    forecasting,
    housekeeping,
    importing,
    launching,
    planning_next,
    reaching,
    scheduling,
    training,
    tuning,
    watching,
)

GROUPS = {
    "train": (launching, watching, training),
    "answer": (deciding, comparing, doubting, importing),
    "decide": (allocating, tuning, scheduling),
    "look ahead": (planning_next, reaching, forecasting),
    "beside it": (checking, housekeeping, dashboards),
}
VERBS: dict[str, Verb] = {
    name: verb
    for group in GROUPS.values()
    for module in group
    for name, verb in module.VERBS.items()
}
CLOSED_PIPE = 141  # as the shell says of a program that SIGPIPE ended
_WIDEST = 100  # columns of a help
_LONGEST = 1_200  # characters of an error


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console command ``scaling``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what an encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments)
        sys.stdout.flush()  # here, where a reader that has gone does not matter
        sys.exit(code)
    except BrokenPipeError:  # | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except MissingOption as error:
        _fail(f"{error}; usage: {VERBS[arguments[0]].usage}")
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        _fail(f"scaling {arguments[0]} needs {missing}")
    except ValueError as error:  # ConfigError among them
        _fail(str(error))
    except OSError as error:
        _fail(": ".join(filter(None, (error.filename, error.strerror or str(error)))))
    except KeyboardInterrupt as interrupt:
        if not isinstance(interrupt, Interrupted):
            _say("interrupted; what was finished is kept, and the same command starts again")
        sys.exit(INTERRUPTED)


def _run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    name, *rest = arguments
    if name not in VERBS:
        raise ConfigError(unknown_key(name, VERBS).replace("key", "verb", 1))
    if {"-h", "--help"} & set(rest):
        print(_help_of(VERBS[name]))
        return 0
    return VERBS[name].run(rest)


def _columns() -> int:
    return min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)


def _help() -> str:
    parts = [
        "scaling: plan, launch, watch, fit, decide, report scaling-law studies",
        "",
        "usage: scaling VERB [key=value ...]",
    ]
    for group, modules in GROUPS.items():
        parts += ["", f"to {group}" if group != "beside it" else group]
        parts += [
            textwrap.fill(
                f"  {name:<12}{verb.summary}", _columns(), subsequent_indent=" " * 14, **WHOLE_WORDS
            )
            for module in modules
            for name, verb in module.VERBS.items()
        ]
    return "\n".join(
        [
            *parts,
            "",
            "scaling VERB --help says more. Overrides are Hydra's: model.width=64 schedule=cosine.",
            "Verbs that answer print one JSON object with --json.",
        ]
    )


def _help_of(verb: Verb) -> str:
    paragraphs = inspect.cleandoc(verb.run.__doc__ or "").split("\n\n")
    parts = [
        f"usage: {verb.usage}",
        *(textwrap.fill(" ".join(p.split()), _columns(), **WHOLE_WORDS) for p in paragraphs),
    ]
    if verb.options is not None:
        parts.append("\n".join(["options", *explain(verb.options, _columns())]))
    return "\n\n".join(parts)


def _fail(message: str) -> NoReturn:
    """One line, whatever was given: a value of many lines or pages is not shown whole."""
    from scalinglab.scaling.text.printable import one_line

    message = one_line(message.strip())
    if len(message) > _LONGEST:
        half = _LONGEST // 2
        message = f"{message[:half]} ... {message[-half:]}"
    _say(f"error: {message}")
    sys.exit(2)


def _say(message: str) -> None:
    from scalinglab.terminal import Screen

    Screen(sys.stderr).say(message)


if __name__ == "__main__":
    main()

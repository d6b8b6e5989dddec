"""The command line: finds the verb, runs it, turns mistakes into one sentence.

The verbs stand in ``scaling/verbs``, the one folder that puts scaling, sweeps and analysis
together. They import what they need when they run, so that ``scaling --help`` starts at once and
loads no torch. Functions elsewhere return values; only the verbs print.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Sequence

from scaling.config import unknown_key
from scaling.verbs import (
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
    scheduling,
    training,
    tuning,
    watching,
)
from scaling.verbs.verb import INTERRUPTED, Verb

VERBS: dict[str, Verb] = {
    **launching.VERBS, **watching.VERBS, **training.VERBS, **deciding.VERBS, **allocating.VERBS,
    **planning_next.VERBS, **tuning.VERBS, **scheduling.VERBS, **doubting.VERBS,
    **comparing.VERBS, **forecasting.VERBS, **checking.VERBS, **importing.VERBS,
    **housekeeping.VERBS, **dashboards.VERBS,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console command ``scaling``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        sys.exit(0)
    name, *rest = arguments
    if name not in VERBS:
        _fail(unknown_key(name, VERBS).replace("key", "verb", 1))
    if rest and rest[0] in ("-h", "--help"):
        print(_help_of(VERBS[name]))
        sys.exit(0)
    try:
        sys.exit(VERBS[name].run(rest))
    except ValueError as error:  # ConfigError among them
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or ''}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _help() -> str:
    lines = [f"  {name:<10} {verb.summary}" for name, verb in VERBS.items()]
    return "\n".join([
        "scaling: plan, launch, watch, fit, decide, report scaling-law studies", "",
        "usage: scaling VERB [key=value ...]", "", *lines, "",
        "Overrides are Hydra's: model.width=64 schedule=cosine study=quickstart.",
        "Verbs that answer print one JSON object with json=true, or --json.",
        "scaling VERB --help says more.",
    ])


def _help_of(verb: Verb) -> str:
    parts = [f"usage: {verb.usage}", inspect.cleandoc(verb.run.__doc__ or "")]
    if verb.options is not None:
        options = {f.name: f for f in dataclasses.fields(verb.options)}
        parts.append("options: " + "  ".join(
            name if f.default in (None, dataclasses.MISSING) else f"{name}={f.default}"
            for name, f in options.items()))
    return "\n\n".join(parts)


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()

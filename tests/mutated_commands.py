"""Command lines, studies and files over every verb, each damaged by the draws of a seed."""

from __future__ import annotations

import dataclasses
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from scalinglab import cli
from scalinglab.compose import compose
from tests.damage import (
    FILES,
    KEYS,
    PATHS,
    SELECTIONS,
    SIZES,
    STUDIES,
    TABLES,
    TARGETS,
    VALUES,
)


@dataclass
class Command:
    """A command line, and the files that it finds beside the study."""

    verb: str
    arguments: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    study: str | None = None  # in place of the study's own file


# A good command of each verb, or several. What is slow is made small.
GOOD = {
    "plan": [
        ["study=tiny"],
        ["study=tiny", "--schedules"],
        ["study=tiny", "launch=inline", "schedule.cooldown_fraction=0.5"],
    ],
    "launch": [["study=tiny", "launch=inline"], ["study=tiny", "launch.runs=failed"]],
    "add": [["study=tiny", "block=more", "grid.model.width=[8]", "grid.tokens=[5120]"]],
    "status": [["study=tiny"], [], ["study=tiny", "why=true"], ["study=tiny", "runs=done"]],
    "logs": [["study=tiny", "runs=done"], ["study=tiny"]],
    "cancel": [["study=tiny"], ["study=tiny", "runs=done"]],
    "train": [["model.width=16", "data=markov"], ["data=markov", "schedule=cosine"]],
    "data": [["data=markov"], ["study=tiny"]],
    "fit": [
        ["study=tiny", "resamples=4"],
        ["data=points.csv", "resamples=4"],
        ["study=tiny", "law=kaplan_nd", "resamples=0"],
    ],
    "compare-laws": [
        ["study=tiny"],
        ["data=points.csv", "laws=[chinchilla,kaplan_nd]", "by=N", "beyond=3"],
    ],
    "report": [["study=tiny", "resamples=2", "multiverse=false"]],
    "compare": [
        ["study=tiny", "arm=seed", "resamples=2"],
        ["data=arms.csv", "arm=arm", "between=[a,b]", "resamples=2"],
    ],
    "judge": [
        ["study=tiny", "arm=schedule.kind", "baseline=wsd", "candidate=cosine", "at=1e9"],
        ["data=duel.csv", "arm=arm", "baseline=a", "candidate=b", "at=1e12", "tuning=elsewhere"],
    ],
    "multiverse": [["study=tiny", "target=alpha"], ["data=points.csv", "target=N at C=1e9"]],
    "import": [
        ["points.csv"],
        ["points.csv", "to=mine"],
        ["points.csv", "held_out=N > 50000", "json=true"],
    ],
    "allocate": [
        ["study=tiny", "budgets=[1e9]", "resamples=4"],
        ["data=points.csv", "budgets=1e9", "resamples=4"],
        ["data=points.csv", "budgets=[1e9]", "losses=[2.5]", "sizes=[1e4]", "resamples=0"],
    ],
    "tune": [["data=batches.csv", "losses=[2.5]", "law=critical_batch_at_loss", "resamples=2"]],
    "schedule": [["study=tiny", "steps=100", "refits=false", "resamples=0"]],
    "next": [
        [
            "study=tiny",
            "target=loss at C=1e9",
            "law=kaplan_nd",
            "resamples=80",
            "runs=1",
            "grid.model.width=[48]",
            "grid.tokens=[20480]",
        ]
    ],
    "reach": [
        [
            "study=tiny",
            "target=loss at C=1e9 within 1%",
            "law=kaplan_nd",
            "resamples=80",
            "runs=1",
            "grid.model.width=[48]",
            "grid.tokens=[20480]",
        ]
    ],
    "forecast": [["study=tiny", "resamples=2"]],
    "track": [["study=tiny"], []],
    "coordcheck": [
        ["widths=[16,32]", "depths=[1,2]", "steps=1", "seeds=1", "parametrizations=[sp]"]
    ],
    "doctor": [[]],
    "collect": [["study=tiny"]],
    "parts": [[], ["kind=law"]],
    "replay": [[], ["scalebench-parallel"]],
    "new": [["fresh"]],
    "completion": [["bash"]],
    "network": [["model.depth=1", "model.width=16", "data=markov"], ["study=tiny"]],
    "export": [["study=tiny"]],
    "probe": [
        ["study=tiny", "probe=validation", "launch=inline"],
        ["study=tiny", "withdraw=true", "probe=validation"],
    ],
    "note": [["study=tiny", "runs=done", "a note"], ["study=tiny"]],
    "gc": [[], ["dry_run=false", "keep=weights"]],
    "sync": [["study=tiny"]],
}
COMPOSED = (
    "plan",
    "launch",
    "train",
    "data",
    "add",
    "next",
    "reach",
    "coordcheck",
)  # take Hydra's overrides
FILED = (
    "import",
    "fit",
    "compare-laws",
    "allocate",
    "compare",
    "judge",
    "multiverse",
    "tune",
    "schedule",
)
STUDIED = ("plan", "launch", "data", "add", "next", "reach", "report")


def command(seed: int) -> Command:
    """The damaged command of a seed."""
    rng = random.Random(seed)
    verb = sorted(GOOD)[seed % len(GOOD)]
    made = Command(verb, list(rng.choice(GOOD[verb])))
    made.files |= TABLES
    if verb == "import" and rng.random() < 0.3:
        made.arguments[0] = "events"
        made.files["events/events.out.tfevents.1.a"] = _events(rng)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        rng.choice(_mutations(verb))(rng, made)
    if rng.random() < 0.15:
        made.arguments.append(rng.choice(["--json", "--json", "--json=", "json=1", "--JSON"]))
    return made


def _mutations(verb: str) -> list[Callable[[random.Random, Command], None]]:
    found = [*[_number] * 4, *[_value] * 3, _option, _option, _unknown, _argument, _twice]
    found += [_option] * 4
    if verb in COMPOSED:
        found += [_override] * 5 + [_prefixed, _prefixed]
    if verb in STUDIED:
        found += [_study] * 5
    if verb in FILED:
        found += [_file, _file]
    return found


def _value(rng: random.Random, made: Command) -> None:
    """Another value of an argument that is there."""
    if made.arguments:
        k = rng.randrange(len(made.arguments))
        key = made.arguments[k].partition("=")[0]
        made.arguments[k] = f"{key}={_any_value(rng, key)}"


def _any_value(rng: random.Random, key: str) -> str:
    if key == "target" and rng.random() < 0.8:
        return rng.choice(TARGETS)
    if key.split(".")[-1] in ("runs", "take_up", "held_out", "exclude") and rng.random() < 0.8:
        return rng.choice(SELECTIONS)
    if key in ("to", "save", "outputs", "data", "dir") and rng.random() < 0.5:
        return rng.choice(PATHS)
    return rng.choice(VALUES)


def _option(rng: random.Random, made: Command) -> None:
    """An option of the verb, with any value."""
    options = cli.find_verb(made.verb).options
    key = rng.choice(
        [f.name for f in dataclasses.fields(options) if f.name not in ("watch", "follow", "stop")]
    )
    made.arguments.append(f"{key}={_any_value(rng, key)}")


def _number(rng: random.Random, made: Command) -> None:
    """A number where one is wanted, of a size that nobody wants."""
    options = cli.find_verb(made.verb).options
    number = rng.choice(SIZES)
    if made.verb in COMPOSED and rng.random() < 0.5:
        key = rng.choice(
            [k for k, v in _leaves() if isinstance(v, int | float) and not isinstance(v, bool)]
        )
        made.arguments.append(f"{key}={number}")
        return
    keys = [
        f.name
        for f in dataclasses.fields(options)
        if any(kind in str(f.type) for kind in ("int", "float"))
    ]
    if keys:
        key = rng.choice(keys)
        made.arguments.append(
            f"{key}="
            + rng.choice([number, number, f"[{number}]", f"[{number},{rng.choice(SIZES)}]"])
        )


def _keys(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{path}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{path}{key}.")


_COMPOSED_KEYS: list[str] = []


def _leaves() -> list[tuple[str, Any]]:
    values = compose(["study=quickstart"])

    def of(node: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            if isinstance(value, dict):
                yield from of(value, f"{path}{key}.")
            else:
                yield f"{path}{key}", value

    return list(of(values, ""))


def _composed_keys() -> list[str]:
    if not _COMPOSED_KEYS:
        _COMPOSED_KEYS.extend(_keys(compose(["study=quickstart"])))
    return _COMPOSED_KEYS


def _override(rng: random.Random, made: Command) -> None:
    """A key of the configuration, with any value."""
    key = rng.choice(_composed_keys())
    made.arguments.append(f"{key}={_any_value(rng, key)}")


def _prefixed(rng: random.Random, made: Command) -> None:
    """Something added, forced or taken away."""
    key = rng.choice([*_composed_keys(), *KEYS])
    mark = rng.choice(["+", "++", "~", "~", "-", "+~"])
    made.arguments.append(mark + key + rng.choice(["", f"={_any_value(rng, key)}"]))


def _unknown(rng: random.Random, made: Command) -> None:
    """A key that no verb knows."""
    made.arguments.append(f"{rng.choice(KEYS)}={rng.choice(['1', *VALUES])}")


def _argument(rng: random.Random, made: Command) -> None:
    """Something that is no key=value."""
    made.arguments.append(
        rng.choice(
            [
                "x",
                "-x",
                "--x",
                "=",
                "=1",
                "--",
                "---",
                "a=b=c",
                "study",
                "--study",
                "--study=tiny",
                "",
                " ",
                "-",
                "--outputs",
                "--no-json",
                "+",
                "~",
                "tiny",
                "points.csv",
                "@x",
                "\n",
                "é",
            ]
        )
    )


def _twice(rng: random.Random, made: Command) -> None:
    if made.arguments:
        made.arguments.append(rng.choice(made.arguments))


def _study(rng: random.Random, made: Command) -> None:
    """A study whose file is damaged."""
    from tests.conftest import FINISHED_STUDY

    text = made.study or FINISHED_STUDY
    lines = text.splitlines()
    k = rng.randrange(len(lines)) if lines else 0
    kind = rng.randrange(10) if lines else 8
    lines = lines or [""]
    indent = lines[k][: len(lines[k]) - len(lines[k].lstrip())]
    key, colon, _ = lines[k].partition(": ")
    if kind <= 2 and colon:
        lines[k] = f"{key}: {rng.choice(VALUES)}"
    elif kind == 3:
        del lines[k]
    elif kind == 4:
        lines.insert(k, lines[k])
    elif kind == 5:
        lines.insert(k, f"{indent}{rng.choice(KEYS)}: {rng.choice(VALUES)}")
    elif kind == 6:
        lines[k] = rng.choice([" ", "  ", "\t"]) + lines[k]
    elif kind == 7:
        at = rng.randrange(len(lines[k]) + 1)
        lines[k] = (
            lines[k][:at]
            + rng.choice(
                [
                    "[",
                    "}",
                    ":",
                    " #",
                    "'",
                    "&a ",
                    "*a",
                    "\x00",
                    "é",
                    "-",
                    "\t",
                    "!!int ",
                    "${x}",
                    "? ",
                    "|",
                    "%",
                ]
            )
            + lines[k][at:]
        )
    elif kind == 8:
        lines = rng.choice(STUDIES).splitlines()
    else:
        lines = lines[:k]
    made.study = "\n".join(lines) + "\n"
    if not any(a.startswith("study=") for a in made.arguments):
        made.arguments.append("study=tiny")


def _file(rng: random.Random, made: Command) -> None:
    """A table that is no table, a fit that is no fit."""
    name, content = rng.choice(FILES)
    made.files[name] = content
    made.arguments.append(
        rng.choice(
            [f"data={name}", f"source=[{name}]", name, f"runs={name}", f"save={name}", f"to={name}"]
        )
    )


def _events(rng: random.Random) -> bytes:
    """A file of TensorBoard events that is torn, lies about its lengths, or holds anything."""
    body = bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 20, 200])))
    length = rng.choice([len(body), 0, 1, 2**31, 2**63, len(body) + 7])
    record = struct.pack("<QI", length, 0) + body + struct.pack("<I", 0)
    return rng.choice([b"", record, record * 3, record[: len(record) // 2], body])

"""Tables that are damaged at random: what must come of each is the truth or one sentence."""

from __future__ import annotations

import random
from collections.abc import Callable

Rows = list[list[str]]


def table(rng: random.Random) -> tuple[list[str], Rows]:
    """A good table of runs: names, and cells as text."""
    names = ["name", "params", "tokens", "val_loss", "lr", "corpus"]
    rows = []
    for k in range(rng.randint(9, 16)):
        n, d = 10 ** rng.uniform(7, 10), 10 ** rng.uniform(9, 12)
        loss = 1.7 + 400 / n**0.34 + 1800 / d**0.37
        rows.append([f"run-{k}", str(int(n)), str(int(d)), f"{loss:.5f}", "0.001", "web"])
    return names, rows


def _cell(value: str) -> Callable:
    def change(rng: random.Random, names: list[str], rows: Rows) -> None:
        row = rng.choice(rows)
        row[rng.randrange(1, 5)] = value

    return change


def _drop_cell(rng: random.Random, names: list[str], rows: Rows) -> None:
    rng.choice(rows).pop(rng.randrange(len(names)))


def _add_cell(rng: random.Random, names: list[str], rows: Rows) -> None:
    rng.choice(rows).insert(rng.randrange(len(names)), rng.choice(["7", "", "x"]))


def _trailing(rng: random.Random, names: list[str], rows: Rows) -> None:
    for row in rows:
        row.append("")


def _column_twice(rng: random.Random, names: list[str], rows: Rows) -> None:
    k = rng.randrange(1, 4)
    names.append(names[k])
    for row in rows:
        row.append("1" + row[k])


def _row_twice(rng: random.Random, names: list[str], rows: Rows) -> None:
    rows.append(list(rng.choice(rows)))


def _heading(rng: random.Random, names: list[str], rows: Rows) -> None:
    k = rng.randrange(len(names))
    names[k] = rng.choice(
        [
            "",
            names[k].upper(),
            f" {names[k]} ",
            f"[{names[k]}]*",
            "loss",
            "ppl",
            "N",
            "step",
            "status",
            "a,b",
            '"',
            "é",
            names[k] + "M",
            "perplexity",
        ]
    )


def _swap(rng: random.Random, names: list[str], rows: Rows) -> None:
    a, b = rng.sample(range(len(names)), 2)
    for row in [names, *rows]:
        row[a], row[b] = row[b], row[a]


def _thousands(rng: random.Random, names: list[str], rows: Rows) -> None:
    for row in rows:
        row[1] = f"{int(row[1]):,}" if row[1].isdecimal() else row[1]


def _nothing(rng: random.Random, names: list[str], rows: Rows) -> None:
    rows.clear()


MUTATIONS: dict[str, Callable[[random.Random, list[str], Rows], None]] = {
    **{
        f"cell {v!r}": _cell(v)
        for v in (
            "",
            "nan",
            "inf",
            "-1",
            "0",
            "1e400",
            "abc",
            "1,5",
            "1_000",
            "0x10",
            "-",
            "1.2B",
            "NaN",
            "None",
            "1e",
            "--",
            "9" * 400,
            "=1+1",
            "\x00",
            '"',
            "1 000",
            "true",
        )
    },
    "drop a cell": _drop_cell,
    "add a cell": _add_cell,
    "a comma at every end": _trailing,
    "a column twice": _column_twice,
    "a row twice": _row_twice,
    "another heading": _heading,
    "two columns swapped": _swap,
    "thousands": _thousands,
    "no rows": _nothing,
}


def written(rng: random.Random, names: list[str], rows: Rows) -> bytes:
    """The table as a file, damaged as a whole at random."""
    separator = rng.choice([",", ",", ";", "\t"])

    def quoted(cell: str) -> str:
        inner = cell.replace('"', '""')
        return f'"{inner}"' if separator in cell or '"' in cell else cell

    text = "\n".join(separator.join(map(quoted, row)) for row in [names, *rows]) + "\n"
    data = text.encode()
    damage = rng.choice(
        [
            "none",
            "none",
            "none",
            "torn",
            "bom",
            "crlf",
            "comment",
            "latin",
            "byte",
            "blank",
            "utf16",
        ]
    )
    if damage == "torn":
        data = data[: rng.randrange(1, len(data))]
    elif damage == "bom":
        data = b"\xef\xbb\xbf" + data
    elif damage == "crlf":
        data = data.replace(b"\n", b"\r\n")
    elif damage == "comment":
        data = b"# made by hand\n" + data
    elif damage == "latin":
        data = data.replace(b"web", b"w\xe9b")
    elif damage == "byte":
        at = rng.randrange(len(data))
        data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    elif damage == "blank":
        data = data.replace(b"\n", b"\n\n")
    elif damage == "utf16":
        data = text.encode("utf-16")
    return data

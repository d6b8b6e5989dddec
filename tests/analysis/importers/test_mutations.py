"""Damaged tables: no traceback, no noise, and never another number without a word."""

from __future__ import annotations

import random
import time
import warnings

import pytest

from scalinglab import analysis
from tests.analysis.importers.layouts import LAYOUTS
from tests.analysis.importers.mutations import MUTATIONS, table, written

_HARMLESS = 1e-6  # relative; losses are written with five decimals


def _truths(names: list[str], rows: list[list[str]]) -> dict[str, tuple[float, float, float]]:
    """What the table said before it was damaged: N, D and loss of each run."""
    at = [names.index(c) for c in ("params", "tokens", "val_loss")]
    return {row[0]: tuple(float(row[k]) for k in at) for row in rows}


def attempt(seed: int, path) -> str:
    """Damage one table, read it through both doors, and say what came out."""
    rng = random.Random(seed)
    names, rows = table(rng)
    truth = _truths(names, rows)
    changed = []
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        name = rng.choice(list(MUTATIONS))
        changed.append(name)
        MUTATIONS[name](rng, names, rows)
        if not rows:
            break
    file = path / f"t{seed}.csv"
    file.write_bytes(written(rng, names, rows))
    read, refused = None, ""
    try:
        read = analysis.read_runs(file)
    except ValueError as error:
        refused = str(error)
        assert refused and "\n" not in refused and len(refused) < 1000, (seed, refused)
    try:
        points = analysis.read_table(file, "chinchilla")
    except ValueError as error:
        assert "\n" not in str(error), (seed, error)
        points = None
    if read is not None and not {"another heading", "a column twice"} & set(changed):
        _compare(seed, changed, truth, read.runs)
        if points is not None:
            done = read.runs[(read.runs["status"] == "done") & read.runs["loss"].notna()]
            fit = points[points["status"] == "done"] if "status" in points else points
            assert len(fit) <= len(done), (seed, changed)
    return "refused" if read is None else "read"


def _compare(seed: int, changed: list[str], truth: dict, runs) -> None:
    """At most the cells that were damaged differ from the truth."""
    wrong = 0
    for _, row in runs.iterrows():
        wanted = truth.get(row["run_id"])
        if wanted is None:
            continue
        pairs = zip(("N", "D", "loss"), wanted, strict=True)
        wrong += sum(
            column in row
            and row[column] == row[column]
            and abs(row[column] / value - 1) > _HARMLESS
            for column, value in pairs
        )
    assert wrong <= 1 + len(changed), (seed, changed, wrong)


def _many(count: int, first: int, path) -> dict[str, int]:
    seen = {"read": 0, "refused": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(first, first + count):
            seen[attempt(seed, path)] += 1
    return seen


@pytest.mark.long
def test_damaged_tables_are_read_right_or_refused_in_one_sentence(tmp_path, capfd) -> None:
    seen = _many(60, 0, tmp_path)
    assert seen["read"] > 10 and seen["refused"] > 10
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_thousand_damaged_tables(tmp_path, capfd) -> None:
    seen = _many(1000, 1000, tmp_path)
    assert seen["read"] > 200 and seen["refused"] > 200
    assert capfd.readouterr() == ("", "")


def _damaged_layout(seed: int, path) -> None:
    """Change, cut or repeat some bytes of one file of a layout; only ValueError may come of it."""
    rng = random.Random(seed)
    name = rng.choice(list(LAYOUTS))
    folder = path / f"{seed}"
    folder.mkdir()
    made = LAYOUTS[name](folder)
    file = rng.choice(sorted(p for p in folder.rglob("*") if p.is_file()))
    data = bytearray(file.read_bytes())
    for _ in range(rng.choice([1, 2, 5])):
        at, kind = rng.randrange(max(len(data), 1)), rng.randrange(5)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            data[at : at + rng.randrange(8)] = bytes(rng.randrange(256) for _ in range(4))
        elif kind == 2:
            data[at:at] = data[at : at + rng.randrange(60)]
        elif kind == 3:
            data[at : at + 1] = rng.choice([b",", b"\n", b'"', b"{", b"]", b"nan", b"1e999", b"-"])
        else:
            del data[at : at + rng.randrange(40)]
    file.write_bytes(bytes(data))
    start = time.monotonic()
    try:
        analysis.read_runs(made.source, **made.options)
    except ValueError as error:
        assert "\n" not in str(error).strip(), (seed, name, error)
    except Exception as error:
        raise AssertionError((seed, name, file.name)) from error
    assert time.monotonic() - start < 60, (seed, name)


@pytest.mark.parametrize("count", [40, pytest.param(600, marks=pytest.mark.slow)])
def test_damaged_files_of_every_layout_are_read_or_refused(tmp_path, capfd, count) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(count):
            _damaged_layout(seed, tmp_path)
    assert capfd.readouterr() == ("", "")

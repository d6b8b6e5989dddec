"""Logs of text, by the pattern of their lines that a person states.

``step {step}/{steps} | loss {train_loss} | lr {lr}``: what stands in braces is a column, the rest
is there letter by letter (spaces as many as there are). Lines that no pattern fits are passed over.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from scalinglab.analysis.importers.formats.delimited import table_of_text
from scalinglab.analysis.importers.formats.raw import Raw, of_records
from scalinglab.analysis.importers.formats.registry import (
    Request,
    register,
    stem_of,
    suffix_of,
    text_of,
)
from scalinglab.analysis.importers.formats.trainer_logs import read_trainer_log
from scalinglab.scaling.errors import UserError

_NUMBER = r"[-+]?(?:\d[\d,_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[kKmMbBtT]?|[-+]?(?:nan|inf|infinity)"
_PLACE = re.compile(r"\{([A-Za-z_][\w./-]*)\}")


@register(
    "text logs (.log, .txt, .out; with pattern=)",
    lambda path: suffix_of(path) in (".log", ".txt", ".out", ".err"),
)
def read_text_log(path: Path, request: Request) -> list[Raw]:
    """One table with a row for each line that a pattern fits; without a pattern, the log of a known
    program or a plain table.

    Raises
    ------
    UserError
        If no line fits the pattern that was given.
    """
    text = text_of(path)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not request.pattern:
        return [_known_log(lines, path) or _plain_table(text, path)]
    patterns = [compiled(pattern) for pattern in request.pattern]
    records, rows, notes = [], [], []
    for number, line in enumerate(lines, 1):
        match = next((m for p in patterns if (m := p.search(line))), None)
        if match is None:
            continue
        if number == len(lines):  # no line end after it: its last number may lack digits
            notes.append(f"{path.name}: line {number}, torn off, was left out")
            continue
        records.append(
            {
                name: match[f"c{k}"]
                for k, name in enumerate(_PLACE.findall(request.pattern[patterns.index(match.re)]))
            }
        )
        rows.append(number)
    if not records:
        longest = max(lines, key=len)[:100]
        raise UserError(
            f"{path}: no line fits pattern={request.pattern[0]!r}; one of its lines is {longest!r}"
        )
    return [
        Raw(
            of_records(records),
            stem_of(path),
            rows[0],
            notes=tuple(notes),
            rows=np.array(rows),
            path=path,
            one_run="run" not in records[0],
        )
    ]


def compiled(pattern: str) -> re.Pattern[str]:
    """The expression that a stated pattern is.

    Raises
    ------
    UserError
        If it names no column, or one twice.
    """
    names = _PLACE.findall(pattern)
    if not names or len(set(names)) < len(names):
        raise UserError(
            f"pattern = {pattern!r}: name each column once in braces, as in"
            " 'step {step} loss {train_loss}'"
        )
    parts, at = [], 0
    for k, place in enumerate(_PLACE.finditer(pattern)):
        parts.append(_literal(pattern[at : place.start()]))
        cell = r"[^\s,;|]+" if place[1] in ("run", "status", "time") else _NUMBER
        parts.append(rf"(?P<c{k}>{cell})")
        at = place.end()
    return re.compile("".join([*parts, _literal(pattern[at:])]), re.IGNORECASE)


def _literal(text: str) -> str:
    words = [re.escape(word) for word in re.split(r"\s+", text)]
    return r"\s*".join(words) if len(words) > 1 else words[0]


def _known_log(lines: list[str], path: Path) -> Raw | None:
    """The log of a program that is known by its lines; a line that was torn off is left out."""
    log = read_trainer_log(lines[:-1])
    if log is None:
        return None
    notes = [f"{path.name}: {note}" for note in log.notes]
    if lines[-1].strip():
        notes.append(f"{path.name}: line {len(lines)}, torn off, was left out")
    return Raw(
        of_records(log.rows),
        stem_of(path),
        log.numbers[0],
        facts=log.facts,
        notes=tuple(notes),
        rows=np.array(log.numbers),
        path=path,
        one_run=True,
    )


def _plain_table(text: str, path: Path) -> Raw:
    try:
        raw = table_of_text(text, path)
    except UserError as error:
        first, problem = next((s for s in text.split("\n") if s.strip()), ""), str(error)
    else:
        if len(raw.frame.columns) > 1:
            return raw
        first, problem = str(raw.frame.columns[0]), "it has one column"
    reason = problem.removeprefix(str(path)).lstrip(", :").partition(";")[0]
    raise UserError(
        f"{path} is no table ({reason}); of a log of text say how its lines read, as in"
        " pattern='step {step} loss {train_loss} lr {lr}' (its first line is"
        f" {first[:80]!r})"
    )

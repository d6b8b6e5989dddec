"""Console logs of Megatron, torchtitan and OLMo-core, known by their lines.

Each program has lines for training and validation, and lines with the size of the model and of a
batch. Colours of a terminal and prefixes that a launcher writes are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Row = dict[str, object]
Take = Callable[[int, re.Match[str]], object]
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|[-+]?inf"


@dataclass
class TrainerLog:
    """The content of a log.

    Attributes
    ----------
    rows : list of dict
        Step -> what was logged of it; each step once an attempt.
    numbers : list of int
        The line of each row.
    facts : dict
        What holds for the run.
    notes : list of str
    """

    rows: list[Row]
    numbers: list[int]
    facts: dict[str, object]
    notes: list[str]


def read_trainer_log(lines: list[str]) -> TrainerLog | None:
    """The log of a known program; None if no line is one of training of any."""
    lines = [_COLOUR.sub("", line) for line in lines]
    for mark, read in _PROGRAMS:
        if any(mark.search(line) for line in lines):
            log = TrainerLog([], [], {}, [])
            read(lines, log)
            return log if log.rows else None
    return None


def _add(log: TrainerLog, number: int, row: Row) -> None:
    """Add a row; a row of the same step as the last one is joined to it."""
    last = log.rows[-1] if log.rows else None
    if last is not None and last["step"] == row["step"] and not set(last) & set(row) - {"step"}:
        last |= row
        return
    log.rows.append(row)
    log.numbers.append(number)


def _each(lines: list[str], *rules: tuple[re.Pattern[str], Take]) -> None:
    """Give each line, with its number, to the first rule whose pattern is found in it."""
    for number, line in enumerate(lines, 1):
        for pattern, take in rules:
            if match := pattern.search(line):
                take(number, match)
                break


def _count(text: str) -> int:
    return int(text.replace(",", ""))


# ---------------------------------------------------------------------- Megatron

_MEGATRON = re.compile(r"\biteration\s+(\d+)/\s*(\d+) \|(.*)")
_MEGATRON_CELL = re.compile(rf"\s*([a-zA-Z][^|:]*?)\s*:\s*({_NUMBER})\s*(?:\||$)", re.IGNORECASE)
_MEGATRON_VALIDATION = re.compile(
    rf"validation loss at iteration (\d+)( on \w+ set)? \|.*?lm loss value: ({_NUMBER})",
    re.IGNORECASE,
)
_MEGATRON_ARGUMENT = re.compile(r"^(?:\S+: ?)?\s+(\w+) \.{3,} (\S+)\s*$")
_MEGATRON_SIZE = re.compile(r"number of parameters on .*?rank \((\d+), (\d+)\): (\d+)")
_MEGATRON_NAMES = {
    "lm loss": "train_loss",
    "learning rate": "lr",
    "grad norm": "grad_norm",
    "consumed samples": "samples",
}
_MEGATRON_FACTS = {
    "hidden_size": "width",
    "padded_vocab_size": "vocab",
    "seed": "seed",
    "lr_decay_style": "schedule",
    "num_experts": "num_experts",
    "moe_router_topk": "moe_router_topk",
}


def _megatron(lines: list[str], log: TrainerLog) -> None:
    arguments: dict[str, str] = {}
    sizes: dict[tuple[str, str], int] = {}
    _each(
        lines,
        (_MEGATRON_ARGUMENT, lambda _, match: arguments.update({match[1]: match[2]})),
        (_MEGATRON_SIZE, lambda _, match: sizes.update({(match[1], match[2]): int(match[3])})),
    )
    context = int(arguments.get("seq_length", 0))
    final: list[tuple[int, Row]] = []  # a longer validation after the last step

    def train(number: int, match: re.Match[str]) -> None:
        cells = {name.lower(): value for name, value in _MEGATRON_CELL.findall(match[3])}
        row: Row = {"step": match[1], "steps": match[2]}
        row |= {column: cells[name] for name, column in _MEGATRON_NAMES.items() if name in cells}
        if context and "samples" in row:
            row["tokens"] = str(_count(str(row.pop("samples"))) * context)
        _add(log, number, row)

    def validate(number: int, match: re.Match[str]) -> None:
        row: Row = {"step": match[1], "loss": match[3]}
        if not match[2]:
            _add(log, number, row)
        elif "validation" in match[2]:
            final.append((number, row))

    _each(lines, (_MEGATRON, train), (_MEGATRON_VALIDATION, validate))
    for number, row in final:
        if not any(r["step"] == row["step"] and "loss" in r for r in log.rows):
            _add(log, number, row)
    _megatron_facts(arguments, sizes, log)


def _megatron_facts(
    arguments: dict[str, str], sizes: dict[tuple[str, str], int], log: TrainerLog
) -> None:
    facts = {fact: arguments[name] for name, fact in _MEGATRON_FACTS.items() if name in arguments}
    log.facts |= {name: value for name, value in facts.items() if value != "None"}
    if "seq_length" in arguments:
        log.facts["context"] = arguments["seq_length"]
        log.facts["batch"] = arguments.get("global_batch_size", "")
    tensor, pipeline, expert = (
        int(arguments.get(f"{kind}_parallel_size", 1))
        for kind in ("tensor_model", "pipeline_model", "expert_model")
    )
    if sizes and expert == 1 and len(sizes) == tensor * pipeline:
        log.facts["n_total"] = sum(sizes.values())
        if len(sizes) > 1:
            log.notes.append(
                f"n_total is the sum over {len(sizes)} model-parallel ranks; gains that several of"
                " them hold count several times"
            )
    elif sizes:
        log.notes.append(
            f"the log has the sizes of {len(sizes)} of the ranks among which the model is divided"
            f" (tensor {tensor}, pipeline {pipeline}, expert {expert}), so N is not known:"
            " columns.N=NUMBER"
        )


# ---------------------------------------------------------------------- torchtitan

_TITAN = re.compile(
    rf"(?<!validate )step:\s*(\d+)\s+loss:\s*({_NUMBER})(?:\s+grad_norm:\s*({_NUMBER}))?"
)
_TITAN_VALIDATION = re.compile(rf"validate step:\s*(\d+)\s+loss:\s*({_NUMBER})")
_TITAN_SIZE = re.compile(r"size: ([\d,]+) total parameters")
_TITAN_ACTIVE = re.compile(r"Total parameter count: dense [\d,]+, sparse ([\d,]+).*active ([\d,]+)")
_TITAN_SHAPE = re.compile(
    r"global batch size (\d+),.*?sequence length (\d+), total steps (\d+)", re.IGNORECASE
)


def _torchtitan(lines: list[str], log: TrainerLog) -> None:
    def validate(number: int, match: re.Match[str]) -> None:
        _add(log, number, {"step": match[1], "loss": match[2]})

    def train(number: int, match: re.Match[str]) -> None:
        row: Row = {"step": match[1], "train_loss": match[2]}
        _add(log, number, row | ({"grad_norm": match[3]} if match[3] else {}))

    def shape(_: int, match: re.Match[str]) -> None:
        log.facts |= {"batch": match[1], "context": match[2], "steps": match[3]}

    def active(_: int, match: re.Match[str]) -> None:
        if _count(match[1]):
            log.facts["n_active"] = _count(match[2])
            note = "torchtitan's count of active parameters, n_active, contains the embedding"
            log.notes = [note]

    _each(
        lines,
        (_TITAN_VALIDATION, validate),
        (_TITAN, train),
        (_TITAN_SIZE, lambda _, match: log.facts.update(n_total=_count(match[1]))),
        (_TITAN_SHAPE, shape),
        (_TITAN_ACTIVE, active),
    )


# ---------------------------------------------------------------------- OLMo-core

_OLMO = re.compile(r"\[step=([\d,]+)/([\d,]+),epoch=")
_OLMO_METRIC = re.compile(rf"^\s+(\S.*?)=({_NUMBER})([KMBT]?)\s*$")
_OLMO_SIZE = re.compile(r"([\d,]+) total params, ([\d,]+) non-embedding params")
_OLMO_SIZES = re.compile(
    r"(Total|Non-embedding) parameters:\D*([\d,]+)(?:\s*\(([\d,]+) active\))?", re.IGNORECASE
)


def _olmo_core(lines: list[str], log: TrainerLog) -> None:
    step = ""
    validated = False
    for number, line in enumerate(lines, 1):
        if match := _OLMO.search(line):
            step = match[1].replace(",", "")
            _add(log, number, {"step": step, "steps": match[2].replace(",", "")})
        elif step and (match := _OLMO_METRIC.match(line)):
            name = match[1]
            if name.endswith("/CE loss") and not name.startswith(("train/", "eval/")):
                name, validated = f"eval/lm/{name}", True
            _add(log, number, {"step": step, name: match[2].replace(",", "") + match[3]})
        else:
            _olmo_sizes(line, log)
    if validated:
        log.notes.append("validation losses are those of the step that was logged before them")


def _olmo_sizes(line: str, log: TrainerLog) -> None:
    """Sizes; without the embedding they are `n_matmul`, but for the gains."""
    if match := _OLMO_SIZE.search(line):
        log.facts |= {"n_total": _count(match[1]), "n_matmul": _count(match[2])}
    for kind, size, active in _OLMO_SIZES.findall(line):
        if kind.lower() == "total":
            log.facts["n_total"] = _count(size)
        else:
            log.facts["n_matmul"] = _count(size)
            if active:
                log.facts["n_active"] = _count(active)


_PROGRAMS: tuple[tuple[re.Pattern[str], Callable[[list[str], TrainerLog], None]], ...] = (
    (_MEGATRON, _megatron),
    (_TITAN, _torchtitan),
    (_OLMO, _olmo_core),
)

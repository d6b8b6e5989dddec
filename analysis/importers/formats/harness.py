"""Result files of EleutherAI's lm-evaluation-harness: the scores of a model as columns of its run.

A file holds ``results`` (task -> ``metric,filter`` -> number), the model and the settings of each
task. The number ``acc,none`` of the task ``arc_easy`` is the column ``task.arc_easy.acc``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.probes.probe import TASK

NAMES = "results_*.json"
_NO_SCORE = ("alias", "name", "sample_len", "sample_count")
_NO_FILTER = ("", "none")
_PRETRAINED = re.compile(r"(?:^|,)pretrained=([^,]+)")
_NO_NAME = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class HarnessResults:
    """Scores of one model.

    Attributes
    ----------
    model : str
        Where the harness loaded it from.
    columns : mapping of str to float
    notes : tuple of str
        What a reader of the scores should know.
    settings : mapping
        What decides them: version and shots of each task, and the limit of items.
    """

    model: str
    columns: Mapping[str, float]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The last part of the model's path."""
        return PurePath(self.model).name


def is_results(document: Any) -> bool:
    """Whether a JSON document is a result file."""
    return (
        isinstance(document, Mapping)
        and isinstance(document.get("results"), Mapping)
        and isinstance(document.get("configs"), Mapping)
        and isinstance(document.get("config"), Mapping)
    )


def harness_results(document: Mapping[str, Any], where: str) -> HarnessResults:
    """Read a result file.

    Raises
    ------
    UserError
        If it names no model, or holds no score.
    """
    config, shots = document["config"], document.get("n-shot") or {}
    columns: dict[str, float] = {}
    for task, scores in document["results"].items():
        if not isinstance(scores, Mapping):
            raise UserError(f"{where}: results.{task} holds no scores by their names")
        place = f"{TASK}{_column_part(task)}{_shots(shots.get(task))}"
        for key, value in scores.items():
            if (name := _metric(key)) is not None and _is_number(value):
                columns[f"{place}.{name}"] = float(value)
    if not columns:
        raise UserError(f"{where}: it holds the results of no task")
    limit = config.get("limit")
    notes = () if limit is None else (f"{where}: scores are of {limit:g} items a task (limit)",)
    settings = {"versions": document.get("versions") or {}, "n-shot": shots, "limit": limit}
    return HarnessResults(_model(document, where), columns, notes, settings)


def _metric(key: str) -> str | None:
    """The column of a score; of another filter than none with its name."""
    metric, _, kind = str(key).partition(",")
    if metric in _NO_SCORE:
        return None
    return _column_part(metric if kind in _NO_FILTER else f"{metric}_{kind}")


def _shots(count: Any) -> str:
    """Examples in the context make another task."""
    return f"_{count}shot" if isinstance(count, int) and count > 0 else ""


def _column_part(name: str) -> str:
    return _NO_NAME.sub("_", str(name))


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _model(document: Mapping[str, Any], where: str) -> str:
    arguments = document["config"].get("model_args")
    if isinstance(arguments, Mapping) and isinstance(arguments.get("pretrained"), str):
        return str(arguments["pretrained"])
    if isinstance(arguments, str) and (match := _PRETRAINED.search(arguments)) is not None:
        return match[1]
    if isinstance(document.get("model_name"), str) and document["model_name"]:
        return str(document["model_name"])
    raise UserError(f"{where}: it names no model (config.model_args, model_name)")

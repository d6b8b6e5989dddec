"""Scores of a task."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from scalinglab.scaling.engine.probes.continuations import Scored, scored
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.tasks import Tasks
from scalinglab.scaling.tasks.items import Item


@PROBED_BY.register("tasks")
def tasks(probe: Tasks, reading: Reading) -> dict[str, float]:
    """``bpb`` of the right answer and ``items`` always.

    Of choices ``accuracy`` by the whole loss, ``accuracy_norm`` by the loss a byte, ``brier``,
    ``gold_loss`` and ``other_loss`` in nats a choice. Of answers ``loss`` in nats a token,
    ``accuracy`` of greedy generation, ``pass_rate`` of sampling and its ``neg_log``, the mean of
    -log.
    """
    items = probe.read(reading.outputs)
    encoded = probe.tokens(reading.spec, reading.outputs)
    pairs = [(context, choice) for context, choices in encoded for choice in choices]
    flat = iter(scored(reading.model(), pairs, reading.go_on))
    found = [[next(flat) for _ in choices] for _, choices in encoded]
    per_token = reading.store.manifest.bytes_per_token
    sizes = [[_bytes(text, per_token) for text in item.choices] for item in items]
    numbers = _of_choices if items[0].gold is not None else _of_answers
    return {**numbers(items, found, sizes), "items": len(items)}


def _bytes(text: str | tuple[int, ...], per_token: float) -> float:
    return len(text.encode()) if isinstance(text, str) else per_token * len(text)


def _of_choices(
    items: Sequence[Item], found: Sequence[Sequence[Scored]], sizes: Sequence[Sequence[float]]
) -> dict[str, float]:
    right, right_norm, brier, gold, others, bits = [], [], [], [], [], []
    for item, choices, size in zip(items, found, sizes, strict=True):
        losses = np.array([choice.loss for choice in choices])
        assert item.gold is not None
        share = np.exp(losses.min() - losses)
        share /= share.sum()
        share[item.gold] -= 1
        right.append(losses.argmin() == item.gold)
        right_norm.append((losses / np.array(size)).argmin() == item.gold)
        brier.append(np.square(share).sum())
        gold.append(losses[item.gold])
        others.append(np.delete(losses, item.gold).mean())
        bits.append(losses[item.gold] / size[item.gold] / math.log(2))
    columns = {
        "accuracy": right,
        "accuracy_norm": right_norm,
        "brier": brier,
        "gold_loss": gold,
        "other_loss": others,
        "bpb": bits,
    }
    return {name: float(np.mean(values)) for name, values in columns.items()}


def _of_answers(
    items: Sequence[Item], found: Sequence[Sequence[Scored]], sizes: Sequence[Sequence[float]]
) -> dict[str, float]:
    """Scores of prompts with answers: the first right answer is scored, any of them passes."""
    first = [answers[0] for answers in found]
    log_rates = [np.logaddexp.reduce([-a.loss for a in answers]) for answers in found]
    return {
        "bpb": float(np.mean([a.loss / s[0] for a, s in zip(first, sizes, strict=True)]))
        / math.log(2),
        "loss": sum(a.loss for a in first) / sum(len(a.log_p) for a in first),
        "accuracy": float(np.mean([any(a.is_greedy for a in answers) for answers in found])),
        "pass_rate": float(np.mean(np.exp(log_rates))),
        "neg_log": float(-np.mean(log_rates)),
    }

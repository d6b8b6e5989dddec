"""Scores of tasks: what a model gives, against what is computed by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.probes.continuations import scored
from scalinglab.scaling.engine.probes.kinds.pass_until import _generator, _samples
from scalinglab.scaling.engine.probes.reading import PROBED_BY, AtLeast, AtMost, Reading
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.probes.kinds.pass_until import PassUntil
from scalinglab.scaling.probes.probe import probe_of


@pytest.fixture
def reading(make_run) -> Reading:
    """The initial weights of a tiny run over eight tokens."""
    folder = make_run()
    spec = folder.spec()
    return Reading(folder.outputs, spec, 0, [(spec, 0)], ExecutionConfig(), spec.batch)


def asked(reading, tmp_path, name, rows, **options):
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return PROBED_BY[name](probe_of(name, {"file": str(file), **options}), reading)


def log_p(reading, context, rest) -> list[float]:
    """Token after token, each in a pass of its own."""
    model, given, found = reading.model(), list(context), []
    for token in rest:
        logits = model.of_tokens(torch.tensor([given]))[0, -1].double()
        found.append(float(logits.log_softmax(-1)[token]))
        given.append(token)
    return found


PAIRS = [([1], [2, 3]), ([1, 2, 3, 4, 5], [0]), ([7, 7], [7, 7, 7, 7])]


def test_continuations_of_any_length_are_scored_as_token_by_token(reading) -> None:
    found = scored(reading.model(), PAIRS)
    for one, (context, rest) in zip(found, PAIRS, strict=True):
        assert one.log_p == pytest.approx(log_p(reading, context, rest), abs=1e-5)


def test_choices_are_scored_by_their_losses(reading, tmp_path) -> None:
    rows = [
        {"context": [1, 2], "choices": [[3], [4, 5, 6]], "gold": 0},
        {"context": [3], "choices": [[0, 1], [2]], "gold": 0},
    ]
    numbers = asked(reading, tmp_path, "tasks", rows)
    losses = [[-sum(log_p(reading, r["context"], c)) for c in r["choices"]] for r in rows]
    sizes = [[len(c) for c in r["choices"]] for r in rows]
    share = [math.exp(-one) / (math.exp(-one) + math.exp(-other)) for one, other in losses]
    by_byte = [
        [v / n for v, n in zip(*pair, strict=True)] for pair in zip(losses, sizes, strict=True)
    ]
    wanted = {
        "accuracy": np.mean([one < other for one, other in losses]),
        "accuracy_norm": np.mean([one < other for one, other in by_byte]),
        "brier": np.mean([2 * (1 - s) ** 2 for s in share]),
        "gold_loss": np.mean([one for one, _ in losses]),
        "other_loss": np.mean([other for _, other in losses]),
        "bpb": np.mean([one for one, _ in by_byte]) / math.log(2),
        "items": 2,
    }
    assert numbers == pytest.approx(wanted, rel=1e-4)


def test_the_pass_rate_of_answers_is_their_probability(reading, tmp_path) -> None:
    rows = [{"prompt": c, "answer": a} for c, a in PAIRS]
    numbers = asked(reading, tmp_path, "tasks", rows)
    rates = [math.exp(sum(log_p(reading, c, a))) for c, a in PAIRS]
    assert numbers["pass_rate"] == pytest.approx(np.mean(rates), rel=1e-4)
    assert numbers["neg_log"] == pytest.approx(-np.mean(np.log(rates)), rel=1e-4)
    several = asked(reading, tmp_path, "tasks", [{"prompt": [1], "answer": [[2], [3]]}])
    alone = [asked(reading, tmp_path, "tasks", [{"prompt": [1], "answer": [t]}]) for t in (2, 3)]
    assert several["pass_rate"] == pytest.approx(sum(a["pass_rate"] for a in alone), rel=1e-6)


def test_sampling_agrees_with_the_probability_and_what_is_capped_is_a_bound(
    reading, tmp_path
) -> None:
    rows = [{"prompt": c, "answer": a} for c, a in PAIRS * 20]
    exact = asked(reading, tmp_path, "tasks", rows)
    sampled = asked(reading, tmp_path, "pass_until", rows)
    assert not isinstance(sampled["pass_until"], AtMost) and sampled["capped"] == 0
    assert sampled["pass_until"] == pytest.approx(exact["pass_rate"], rel=0.15)
    few = asked(reading, tmp_path, "pass_until", rows, cap=50)
    assert few["capped"] > 0 and few["pass_until_low"] == 0
    assert isinstance(few["pass_until"], AtMost) and isinstance(few["pass_neg_log"], AtLeast)
    assert few["pass_until"] > exact["pass_rate"]
    assert few == asked(reading, tmp_path, "pass_until", rows, cap=50)


def test_the_estimate_has_no_bias_and_a_hopeless_item_is_no_zero() -> None:
    probe, draw = PassUntil(successes=3, cap=10**9), _generator(0, 0)
    rates = [2 / (_samples(0.05, probe, draw) - 1) for _ in range(4_000)]
    assert np.mean(rates) == pytest.approx(0.05, abs=4 * np.std(rates) / math.sqrt(4_000))
    assert _samples(1e-300, probe, draw) == math.inf


def test_what_cannot_be_asked_is_refused(reading, tmp_path) -> None:
    spec, outputs = reading.spec, reading.outputs

    def refused(name, said, **options):
        with pytest.raises(ConfigError, match=said):
            probe_of(name, options).check(spec, outputs)

    refused("tasks", "give one of them")
    refused("tasks", "give one of them", file="a.jsonl", task="copy")
    refused("tasks", "options.task = 'cpy' .*did you mean 'copy'", task="cpy")
    refused("tasks", "its items are texts, and run", task="copy")
    refused("tasks", "there is no such file", file="none.jsonl")
    refused("pass_until", "options.cap = 5: allowed is more than options.successes = 10", cap=5)
    file = tmp_path / "choices.jsonl"
    file.write_text('{"context": [1], "choices": [[2], [3]], "gold": 0}')
    refused("pass_until", "has choices; sampling wants prompts", file=str(file))


def test_a_file_is_kept_by_its_content_and_named_by_its_stem(tmp_path) -> None:
    file = tmp_path / "sums.jsonl"
    file.write_text('{"prompt": [1], "answer": [2]}')
    probe = probe_of("tasks", {"file": str(file)})
    kept = probe.prepared(tmp_path / "outputs")
    file.unlink()
    assert kept.read(tmp_path / "outputs") and kept.prepared(tmp_path / "outputs") == kept
    assert kept.column("tasks", "bpb") == probe.column("tasks", "bpb") == "task.sums.bpb"
    other = probe_of("pass_until", {"task": "copy", "difficulty": 3, "cap": 50})
    assert other.column("pass_until", "capped") == "task.copy_3.cap_50.capped"

"""A run that is validated on other data as well, while it trains."""

from __future__ import annotations

import pytest

from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.runs import load
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data.validation import further_stores
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError

OTHER = {"vocab": 8, "successors": 3, "tokens": 4_000, "validation_tokens": 1_000, "seed": 7}


def asked(*stores):
    return {"execution.validate": [s.folder.name for s in stores]}


@pytest.fixture
def other(outputs, tiny_store):
    """Another language of the same alphabet or a smaller one."""
    return open_store(DataConfig(source="markov", options=OTHER), outputs)


def test_the_own_set_named_again_has_the_own_losses(make_run, train_run, tiny_store, other):
    """And another set has others; the record has a column of each."""
    folder = make_run(asked(tiny_store, other))
    assert train_run(folder) == "done"
    record = folder.record()
    measured, own = record.measured, f"loss.{tiny_store.folder.name}"
    assert list(measured) == ["step", own, f"loss.{other.folder.name}"]
    assert measured[own][-1] == record.final.validation_loss
    assert measured[f"loss.{other.folder.name}"][-1] > measured[own][-1]  # not trained on it


def test_the_run_is_the_same_and_packs_are_measured_by_member(
    make_run, train_run, make_apart, curve_of, tiny_store
):
    changes = [{"seed": seed} | asked(tiny_store) for seed in range(2)]
    members = [make_run(c) for c in changes]
    assert train_run(*members) == "done"
    for member in members:
        record = member.record()
        name = f"loss.{tiny_store.folder.name}"
        assert record.measured[name][-1] == record.final.validation_loss
    assert make_apart({"seed": 1}).run_id == members[1].run_id  # what is measured is no science


@pytest.mark.long
def test_an_interrupted_run_keeps_what_was_measured(make_run, train_run, tiny_store):
    folder = make_run(asked(tiny_store))
    while train_run(folder, should_stop=lambda: True) == "interrupted":
        pass
    curve, record = folder.record().measured, folder.record()
    assert curve["step"][-1] == record.steps
    assert len(curve["step"]) == len(set(curve["step"])) > 1


def test_final_losses_are_columns_of_the_table(make_run, train_run, outputs, tiny_store, other):
    folder = make_run(asked(tiny_store, other))
    train_run(folder)
    plain = make_run({"seed": 5})
    train_run(plain)
    table = load(outputs).set_index("run_id")
    assert table.loc[plain.run_id].filter(like="loss.").isna().all()
    row = load(outputs).set_index("run_id").loc[folder.run_id]
    assert row[f"loss.{tiny_store.folder.name}"] == row["loss"]
    assert row[f"loss.{other.folder.name}"] > row["loss"]


def test_curves_have_what_was_measured_in_between(make_run, train_run, outputs, tiny_store, other):
    folder = make_run(asked(other))
    train_run(folder)
    name, measured = f"loss.{other.folder.name}", folder.record().measured
    curve = load_curves(outputs)
    known = curve.dropna(subset=[name])
    assert known["step"].tolist() == measured["step"] and known[name].tolist() == measured[name]
    as_loss = load_curves(outputs, loss=name)
    assert as_loss["loss"].dropna().tolist() == measured[name]
    assert as_loss["train_loss"].equals(curve["train_loss"])


@pytest.mark.parametrize(
    ("name", "vocab", "tokens", "message"),
    [
        ("text-none", 8, 64, r"'text-none': there is no such store; there are .*markov-"),
        (
            None,
            7,
            64,
            r"has 8 kinds of tokens, the model's data 7; allowed are stores of one tokeni",
        ),
        (
            None,
            8,
            100_000,
            r"has 1000 tokens for validation; data\.validation_tokens = 100000 takes",
        ),
    ],
)
def test_what_cannot_be_validated_on_is_refused(outputs, other, name, vocab, tokens, message):
    with pytest.raises(ConfigError, match=message):
        further_stores([name or other.folder.name], outputs, vocab, tokens, 16)

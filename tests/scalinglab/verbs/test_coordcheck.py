"""``scaling coordcheck`` as a person uses it."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["to=p.foo"], "to = 'p.foo': the picture is a .png, .svg or .pdf file"),
        (["to=name"], "to = 'name': the picture is a .png, .svg or .pdf file"),
        (["parametrizations=[]"], "parametrizations = []: allowed are one or more of sp,"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_trained(
    run, arguments, message, monkeypatch
) -> None:
    monkeypatch.setattr("scalinglab.scaling.engine.trainer.coordcheck._movement", None)
    code, out, error = run("coordcheck", *arguments)
    assert code == 2 and out == "" and message in error and error.count("\n") == 1


def test_the_table_is_shown_even_where_the_picture_cannot_be_written(run, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x.png")

    monkeypatch.setattr("scalinglab.verbs.coordcheck.write_coordinate_check", full)
    small = ("widths=[16,32]", "depths=[1]", "steps=1", "seeds=1", "parametrizations=[sp]")
    code, out, error = run("coordcheck", *small)
    assert code == 2 and "mean change" in out and "drawn in" not in out
    assert error == "error: x.png: No space left on device\n"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model=lama", "did you mean 'llama'?"),
        ("tokens=1e6", "'tokens=1e6': a coordinate check takes keys of the model"),
        ("parametrization=mup", "'parametrization=mup': a coordinate check takes keys"),
    ],
)
def test_it_composes_as_other_verbs_and_takes_only_what_it_uses(run, override, sentence) -> None:
    code, out, error = run("coordcheck", override)
    assert code == 2 and out == "" and sentence in error and error.count("\n") == 1


def test_groups_choose_the_network_and_the_optimizer(run) -> None:
    small = ("widths=[16,32]", "depths=[1]", "steps=1", "seeds=1", "parametrizations=[sp]")
    code, out, _ = run("coordcheck", *small, "model/feed_forward=moe", "optimizer=lion", "--json")
    assert code == 0 and '"lr": 0.01' in out
    _, other, _ = run("coordcheck", *small, "optimizer=lion", "--json")
    assert other != out

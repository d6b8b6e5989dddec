"""What tells the runs of a study apart, in a few words."""

from __future__ import annotations

from typing import Any

import pytest

from scalinglab.scaling.records.plan_file import read_plan_file
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.plan.varying import varying
from scalinglab.sweeps.store.status import status


def base(**changes: Any) -> dict[str, Any]:
    settings = {"model.width": 64, "tokens": 1000, "optimizer.lr": 0.1, "schedule.kind": "wsd"}
    return {**settings, **{key.replace("__", "."): value for key, value in changes.items()}}


ADAMW, LION = {"optimizer__name": "adamw", "optimizer__beta1": 0.9}, {"optimizer__name": "lion"}


@pytest.mark.parametrize(
    ("settings", "asked", "said"),
    [
        ([base(), base(model__width=128)], (), ["", ""]),  # has a column
        ([base(**ADAMW), base(**LION)], (), ["optimizer=adamw", "optimizer=lion"]),
        # A warm-up that follows the tokens tells nothing; one that does not, does.
        ([base(s__warmup=8), base(tokens=2000, s__warmup=16)], (), ["", ""]),
        ([base(s__warmup=8), base(s__warmup=16)], (), ["warmup=8", "warmup=16"]),
        # An axis is named though the size would tell it.
        (
            [base(model__loops=1), base(model__width=32, model__loops=2)],
            ("model.loops",),
            ["loops=1", "loops=2"],
        ),
        (
            [base(model__bias=True, execution__threads=1), base(model__bias=False)],
            (),
            ["bias=true", "bias=false"],
        ),
        (
            [base(a__x=a, b__x=b) for a, b in ((1, 1), (1, 2), (2, 1))],
            ("a.x", "b.x"),
            ["a.x=1 b.x=1", "a.x=1 b.x=2", "a.x=2 b.x=1"],
        ),
        (  # an empty word and a key that is not there look alike in a table
            [
                base(s__where="", s__keep="top", w=""),
                base(s__where="x", s__keep="", w=""),
                base(w="v"),
            ],
            (),
            ["where= keep=top", "where=x keep=", ""],
        ),
        ([base(schedule__kind="cosine"), base(schedule__cooldown="linear")], (), ["", ""]),
    ],
)
def test_what_is_named(settings: list[dict[str, Any]], asked: tuple[str, ...], said: list[str]):
    shown = [(one["model.width"], one["tokens"], one["optimizer.lr"]) for one in settings]
    assert varying(settings, shown, asked) == said


def test_plan_and_status_say_it(study: Any) -> None:
    composed = study()
    grid = {"optimizer.name": ["adamw", "lion"], "tokens": [2560]}
    own = composed["study"] | {"blocks": {"all": {"role": "fit", "grid": grid}}}
    plan = make_plan(composed | {"study": own})
    save_plan(plan)
    said = {"optimizer=adamw", "optimizer=lion"}
    assert {p.varies for p in plan.runs} == said
    assert {r.varies for r in read_plan_file(plan.folder / "plan.json").runs} == said
    assert set(status(plan.outputs, "tiny")["varies"]) == said

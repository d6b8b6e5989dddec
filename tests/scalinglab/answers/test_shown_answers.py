"""Whatever a method answers, the cell of a notebook shows it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalinglab import Study, Table
from scalinglab.analysis import plot
from scalinglab.analysis.shown import Shown
from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.answers.methods import FileAnswers, StudyAnswers
from scalinglab.answers.next import PRECISION

pytestmark = pytest.mark.usefixtures("early_fits")
PLAIN = {"Path", "list[str]"}  # what a notebook shows anyway
OF_A_TABLE: dict[str, Callable[[Table], Any]] = {
    "allocate": lambda t: t.allocate(
        budgets=[1e20],
        resamples=20,
        approaches=True,
        losses=[2.5],
        sizes=[1e9],
        splits=[[1e9, 2e10]],
    ),
    "compare_laws": lambda t: t.compare_laws(laws=["chinchilla", "kaplan_nd"]),
    "multiverse": lambda t: t.multiverse(target="alpha"),
    "compare": lambda t: t.compare(arm="recipe", resamples=20),
    "judge": lambda t: Table(t.path.replace("points", "ladder")).judge(
        arm="recipe", baseline="old", candidate="new", at=1e22, tuning="elsewhere"
    ),
    "next": lambda t: t.next(target="loss at C=1e22", resamples=40, runs=2),
}
OF_A_STUDY: dict[str, Callable[[Study], Any]] = {
    "answer": lambda s: s.answer(resamples=20, multiverse=False, laws=False),
    "schedule": lambda s: s.schedule(steps=40, resamples=0, refits=False),
    "forecast": lambda s: s.forecast(keep=False),
    "track": lambda s: s.track(),
}
IN_PERCENT = {"multiverse": "total effect", "next": PRECISION}  # a heading that a notebook shows
WITH_FIGURES = ("allocate", "compare_laws", "multiverse", "compare", "answer")


def all_shown(kind: type = Shown) -> set[str]:
    return {kind.__name__}.union(*(all_shown(below) for below in kind.__subclasses__()))


@pytest.mark.parametrize("kind", [StudyAnswers, FileAnswers])
def test_every_answer_shows_itself(kind: type) -> None:
    shown = all_shown() | PLAIN
    asked = [
        (name, method)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and name not in ("compose", "source")
    ]
    assert len(asked) > 8
    for name, method in asked:
        kinds = set(inspect.unwrap(method).__annotations__["return"].split(" | "))
        assert kinds <= shown, f"{name} returns {kinds - shown}, which no notebook can show"


def check(name: str, answer: Any) -> None:
    page, text = answer._repr_html_(), repr(answer)
    assert page.startswith("<p><b>") and len(text) < 500
    assert page.count("<table") == len(answer.shown.tables)
    assert all(part in page for part in map(str, list(answer.shown.tables)[1:]))
    if name in WITH_FIGURES:
        assert len(plot.data(answer.plot())) > 1
    if name in IN_PERCENT:  # also where the heading is another than the column's name
        (shown,) = answer.shown.tables.values()
        assert with_intervals(shown)[IN_PERCENT[name]].str.endswith("%").all()
    if answer.shown.tables:
        assert r"\begin{tabular}" in answer.to_latex()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    N, D = (g.ravel() for g in np.meshgrid(np.geomspace(1e7, 1e9, 4), np.geomspace(1e9, 1e11, 4)))
    recipes = [
        pd.DataFrame({"N": N, "D": D, "recipe": recipe, "seed": 0}).assign(
            loss=(1.7 + 400 / N**0.34 + 1800 / D**0.37) * factor
        )
        for recipe, factor in (("old", 1.0), ("new", 0.99))
    ]
    path = tmp_path_factory.mktemp("table") / "points.csv"
    both = pd.concat(recipes)
    both.to_csv(path, index=False)
    one_ladder = np.isclose(both["D"], 100 * both["N"])
    both[one_ladder].to_csv(path.with_name("ladder.csv"), index=False)
    return Table(str(path))


@pytest.mark.parametrize("name", OF_A_TABLE)
def test_an_answer_to_a_table_is_shown(name: str, table: Table) -> None:
    check(name, OF_A_TABLE[name](table))


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_an_answer_of_a_study_is_shown(name: str, finished) -> None:
    check(name, OF_A_STUDY[name](Study.open("tiny", outputs=finished)))

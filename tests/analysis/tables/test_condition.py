"""Conditions choose the rows that pandas' own eval would; only that eval runs what it is given."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab.analysis.tables.condition import rows_that_meet
from scalinglab.scaling.text.conditions import ConditionError, parse

ROOT = Path(__file__).parents[3]
TABLE = pd.DataFrame(
    {
        "N": [1e6, 2e6, np.nan, 4e12, 0.0, -3.0, 64.0],
        "D": [20, 40, 2**61, 2**62, 3, 7, 64],
        "step": [1, 2, 3, 60, 200, 400, 0],
        "loss": [3.1, np.nan, 2.0, 9.8, 2.5, 0.5, 1.0],
        "status": ["done", "diverged", None, "running", "done", "it's", "fit,curve"],
        "note": pd.Series(["a", "b", "a", "c", "", "b", "z"], dtype=object),
        "superseded": [True, False, True, False, False, True, True],
        "loss.book-1": [1.0, 2.0, 3.0, np.nan, 5.0, 6.0, 7.0],
        "seed": [1, 2, 3, 4, 5, 6, 7],
    }
)
NUMBERS = ("N", "D", "step", "loss", "`loss.book-1`", "seed")
DOCUMENTED = (  # every condition of docs, help and tests that a table can meet
    "D < 1e9",
    "N > 1e9",
    "N > 9e8",
    "D < 2e9",
    "step < 200",
    "D > 0",
    "N >= 64 and step == 1",
    "note == 'other data'",
    "status == 'diverged'",
    "~superseded",
    "not superseded",
    "`loss.book-1` > 2 & loss < 3",
    "N < 1e6 or D > 1e9",
    "log(N) > 14 and step in [1, 2]",
    "sqrt(loss) < 1.5 | abs(N) > 1e6",
    "1 < step < 200",
    "loss != loss",
    "status != 'done'",
    "status in ['done', 'running']",
    "note not in ('a', 'b')",
    "D / N > 1e-3",
    "-loss < -2",
    "(N > 1) & (D < 50)",
    "superseded == True",
    "superseded and loss > 1",
    "log(seed) > 1",
    "D < 1e9 and status != 'done'",
    "6*N*D > 1e20 or log10(loss) < 0.4",
    "1e7 <= N < 1e9",
    "seed in [1, 2] and not superseded",
    "`loss.book-1` < 3",
    "N > 1 and not (step > 2 or loss < 2)",
    "note < 'b'",
    "step % 2 == 0",
    "loss ** 2 > 4",
)


def by_pandas(text: str) -> np.ndarray:
    """What pandas says, of a table of floats: of whole numbers its products wrap at 2^63."""
    table = TABLE.astype({"D": float, "step": float, "seed": float})
    with np.errstate(all="ignore"):
        return np.asarray(table.eval(text, engine="python"))


@pytest.mark.parametrize("text", DOCUMENTED)
def test_documented_conditions(text: str) -> None:
    assert rows_that_meet(TABLE, text).tolist() == by_pandas(text).tolist()


def test_all_that_is_documented_is_tested() -> None:
    pages = [*ROOT.glob("docs/*.md"), ROOT / "README.md"]
    text = "\n".join(page.read_text() for page in pages)
    rules = [r for rules in re.findall(r"exclude=\[([^\]]*)\]", text) for r in rules.split(",")]
    rules += re.findall(r"held_out='([^']*)'", text)
    page = (ROOT / "docs" / "conditions.md").read_text()
    rules += [
        line for line in page.splitlines() if line.startswith("    ") and " in role" not in line
    ]
    found = {rule.strip().strip('"') for rule in rules}
    conditions = {rule for rule in found if not rule.strip("'").isidentifier()} - {"..."}
    assert len(conditions) > 6 and conditions <= set(DOCUMENTED)


literals = st.sampled_from(["0", "1", "2.5", "1e6", "-3", "64", "7", "2e18"])
numbers = st.recursive(
    st.sampled_from(NUMBERS) | literals,
    lambda inner: st.one_of(
        st.tuples(
            st.sampled_from(["({} {} {})", "{} {} {}"]),
            inner,
            st.sampled_from("+ - * / // %".split()),
            inner,
        ).map(lambda p: p[0].format(*p[1:])),
        st.tuples(st.sampled_from(["log", "sqrt", "abs", "exp", "log1p", "floor"]), inner).map(
            lambda p: f"{p[0]}({p[1]})"
        ),
        inner.map(lambda one: f"-({one})"),
        inner.map(lambda one: f"({one}) ** 2"),
    ),
    max_leaves=5,
)
texts = st.sampled_from(["'done'", '"it\'s"', "'a'", "''", "'fit,curve'", "'&|`'"])
signs = st.sampled_from("== != < <= > >=".split())


def _has_column(text: str) -> bool:
    """Where there is none, pandas negates True by ~ to -2, which is true (a warning from 3.12 on)."""
    return any(name in text for name in NUMBERS)


atoms = st.one_of(
    st.tuples(numbers, signs, numbers).map(" ".join).filter(_has_column),
    st.tuples(literals, signs, numbers, signs, literals).map(" ".join).filter(_has_column),
    st.tuples(st.sampled_from(["status", "note"]), signs, texts).map(" ".join),
    st.tuples(
        st.sampled_from(["status", "note"]),
        st.sampled_from(["in", "not in"]),
        st.lists(texts, min_size=1, max_size=3).map(lambda some: f"[{', '.join(some)}]"),
    ).map(" ".join),
    st.tuples(
        st.sampled_from(NUMBERS),
        st.sampled_from(["in", "not in"]),
        st.lists(literals, min_size=1, max_size=3).map(lambda some: f"[{', '.join(some)}]"),
    ).map(" ".join),
    st.sampled_from(["superseded", "superseded == True", "superseded == 0", "status == note"]),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or", "&", "|"]), inner).map(" ".join),
        inner.map(lambda one: f"({one})"),
        inner.map(lambda one: f"not ({one})"),
        inner.map(lambda one: f"~({one})"),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(text=conditions)
def test_generated_conditions(text: str) -> None:
    try:
        ours = rows_that_meet(TABLE, text).tolist()
    except ConditionError as error:  # what pandas says of it hangs on no row
        assert re.search("no column|no finite number", str(error)), str(error)
        return
    assert ours == by_pandas(text).tolist()


PIECES = (*"N019.eE'\"`()[]{},&|~!<>=+-*/%@:;\\\n_#", " and ", " in ", " not ", "status", "log(")


@settings(deadline=None, max_examples=150)
@given(text=st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_whatever_is_written_is_read_or_refused_in_words(text: str) -> None:
    try:
        assert rows_that_meet(TABLE, text).dtype == bool
    except ConditionError as error:
        assert str(error)


def test_whole_numbers_do_not_wrap() -> None:
    assert rows_that_meet(TABLE, "6*N*D < 2e18").tolist() == [True, True, *[False] * 2, *[True] * 3]
    assert rows_that_meet(TABLE, "6*D*D > 0").all()
    assert rows_that_meet(TABLE, "D * D > 2**63").tolist() == [False] * 2 + [True] * 2 + [False] * 3


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "category", "string", "boolean"])
def test_missing_values_of_every_kind_meet_nothing_but_unequal(dtype: str) -> None:
    value = {"category": "a", "string": "a", "boolean": True}.get(dtype, 1)
    table = pd.DataFrame({"x": pd.Series([value, None], dtype=dtype)})
    literal = repr(value)
    assert rows_that_meet(table, f"x == {literal}").tolist() == [True, False]
    assert rows_that_meet(table, f"x != {literal}").tolist() == [False, True]
    assert rows_that_meet(table, f"x in [{literal}]").tolist() == [True, False]
    assert rows_that_meet(table, "x == null").tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("@pd.io.common.os.system('touch {}')", "there are no variables"),
        ("__import__('os').system('touch {}')", "only comparisons"),
        ("loss.to_csv('{}')", "only comparisons"),
        ("loss.__class__ == 1", "unknown column 'loss.__class__'"),
        ("[x for x in loss] == 1", "only comparisons"),
        ("(lambda: 1) == N", "only comparisons"),
        ("f'{{N}}' == 'a'", "only comparisons"),
        ("N[0] == 1", "only comparisons"),
        ("9**9**9**9 < N", "'9 [*][*] 9 [*][*] 9': this is no finite number"),
        ("N < " + "9" * 400, "no finite number"),
        ("'a' * 10**9 == note", "text is no number"),
        ("N > 1 or " * 2_000 + "D > 1", "at most 10000"),
        ("-" * 9_000 + "N > 1", "nested|cannot be read"),
        ("(" * 400 + "N" + ")" * 400 + " > 1", "cannot be read"),
        ("~" * 150 + "superseded", "nested more than 100 deep"),
        ("N = 3", "write =="),
        ("N + 1", "a number, not a condition"),
        ("note", "text, not a condition"),
        ("not N", "'N' is a number, not a condition: compare it, as in N > 0"),
        ("note > 3", "text is compared with a number"),
        ("N == '3'", "a number is compared with text"),
        ("N in note", "stands a list"),
        ("N in [D]", "no columns"),
        ("1 < 2", "names no column"),
        ("tokens < 3", "unknown column 'tokens'.*there are: N, D, step, loss"),
        ("los < 3", "did you mean 'loss'"),
        ("log(N, 2) > 1", "one argument"),
        ("N is None", "only comparisons"),
    ],
)
def test_all_else_is_refused_in_one_sentence(tmp_path, text: str, sentence: str) -> None:
    trace = tmp_path / "trace"
    with pytest.raises(ConditionError, match=sentence) as refusal:
        rows_that_meet(TABLE, text.replace("{}", str(trace)).replace("{{N}}", "{N}"))
    assert not trace.exists() and len(str(refusal.value)) < 600


def test_a_name_of_the_law_is_as_good_as_that_of_the_table() -> None:
    table = TABLE.rename(columns={"N": "params"})
    assert rows_that_meet(table, "N > 64", {"N": "params"}).sum() == 3
    assert rows_that_meet(table, "params > 64", {"N": "params"}).sum() == 3
    with pytest.raises(ConditionError, match="'N' is ambiguous.*write 'D'"):
        rows_that_meet(TABLE, "N > 64", {"N": "D"})


def test_a_column_may_have_the_name_of_a_function() -> None:
    assert rows_that_meet(pd.DataFrame({"log": [1.0, 10.0]}), "log(log) > 1").tolist() == [0, 1]


def test_a_part_of_a_text_is_found() -> None:
    assert rows_that_meet(TABLE, "'fit' in status").tolist() == [False] * 6 + [True]


def test_a_condition_tells_what_it_reads() -> None:
    assert parse("model.width > 3 and `odd name` == 1 or log(N) < 2").names == (
        "model.width",
        "odd name",
        "N",
    )


def test_runs_are_named_run_or_run_id_by_tables_that_have_one_of_them() -> None:
    for column, name in (("run", "run_id"), ("run_id", "run")):
        table = pd.DataFrame({column: ["a", "b"]})
        assert rows_that_meet(table, f"{name} == 'b'").tolist() == [False, True]
    both = pd.DataFrame({"run": ["a", "b"], "run_id": ["b", "c"]})
    assert rows_that_meet(both, "run == 'b'").tolist() == [False, True]
    with pytest.raises(ConditionError, match="unknown column 'run_id'"):
        rows_that_meet(pd.DataFrame({"N": [1.0]}), "run_id == 'a'")

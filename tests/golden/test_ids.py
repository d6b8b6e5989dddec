"""No run loses its id: they name the folders that people have, and checkpoints by their prefixes."""

from __future__ import annotations

import pytest

from tests.golden import cases, product
from tests.golden.write import groups, read, variants

IDS = read("ids")


def test_every_option_has_a_case() -> None:
    known = product.options()
    for group, table in (
        ("model", cases.MODELS),
        ("data", cases.DATA),
        ("trainer", cases.TRAINERS),
        ("execution", cases.EXECUTION),
    ):
        assert known[group] <= set(table), "add a case to tests/golden/cases.py, then write ids"
    assert known["optimizer"] <= set(cases.OPTIMIZERS)


def test_every_variant_of_a_run_keeps_its_ids() -> None:
    now = variants()
    assert {name: now.get(name) for name in IDS["variants"]} == IDS["variants"]
    assert set(now) == set(IDS["variants"]), "a case without a record: write ids"


def test_each_option_makes_another_run() -> None:
    """Else the table would protect nothing: only these say what is the default anyway."""
    same = {name for name, line in IDS["variants"].items() if line == IDS["variants"]["tiny"]}
    assert same == {"tiny", "data.options.0", "optimizer.adamw", "schedule.wsd.0"} & set(same)
    assert {"model.bias.0", "run.seed.0", "trainer.kind.0"}.isdisjoint(same)


@pytest.mark.parametrize("key", sorted(cases.EXECUTION))
def test_how_a_run_is_executed_is_not_in_its_id(key: str) -> None:
    how = {f"execution.{key}": cases.EXECUTION[key]}
    assert product.identity(how) == IDS["variants"]["tiny"]


@pytest.mark.long
def test_what_conf_ships_keeps_its_ids() -> None:
    now = groups()
    assert {line: now.get(line) for line in IDS["groups"]} == IDS["groups"]
    unwritten = set(now) - set(IDS["groups"])
    assert unwritten <= set(cases.REFUSED_GROUPS.values()), "a case without a record: write ids"


@pytest.mark.parametrize("name", cases.REFUSED_VARIANTS)
def test_a_key_that_a_schedule_does_not_use_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"warmup_tokens = \d+: schedule\.kind = .* does not use it"
    ):
        product.identity(cases.REFUSED_VARIANTS[name][0])


@pytest.mark.parametrize("line", cases.REFUSED_GROUPS)
def test_a_base_that_a_parametrization_does_not_use_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"base_depth = 1: model\.parametrization = .* not use it"):
        product.identity_of(line.split())


@pytest.mark.long
def test_shipped_studies_keep_their_runs() -> None:
    shipped = {path.stem for path in (product.ROOT / "conf" / "study").glob("*.yaml")}
    assert shipped <= set(cases.STUDIES), "add the study to tests/golden/cases.py, then write ids"
    assert {name: product.identities_of_study(name) for name in cases.STUDIES} == IDS["studies"]

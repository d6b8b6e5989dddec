"""Every model, optimizer, schedule and engine trains as it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import cases, curves
from tests.golden.write import read

CURVES = read("curves")
# Over some steps rounding grows, and bf16 has eight bits of a number.
TOLERANCE = {"lr": 1e-9, "loss": 1e-3, "grad_norm": 2e-2, "validation_loss": 1e-3}
# Signs of updates and bases of eigenvectors hang on what is nearly nothing.
COARSE = {
    "bf16": 20.0,
    "optimizer.lion": 10.0,
    "optimizer.lion.set": 10.0,
    "optimizer.soap": 20.0,
    "optimizer.soap.set": 20.0,
    "optimizer.muon": 5.0,
    "optimizer.muon.set": 5.0,
}


def assert_all_close(now: dict[str, dict[str, str]], group: str) -> None:
    """Every case, each of which is a training of its own."""
    assert set(now) == set(CURVES[group]), "a case without a record: write curves"
    for name, golden in CURVES[group].items():
        assert_close(name, now[name], golden)
    losses = [curve["loss"] for curve in now.values()]
    assert len(set(losses)) >= len(losses) - 3  # else a case would protect nothing


def assert_close(name: str, now: dict[str, str], golden: dict[str, str]) -> None:
    """Column by column, to what rounding on another processor does."""
    found = curves.numbers(now)
    for column, values in curves.numbers(golden).items():
        rel = TOLERANCE[column] * (COARSE.get(name, 1.0) if column != "lr" else 1.0)
        assert found[column] == pytest.approx(values, rel=rel), f"{name}: {column}"


@pytest.mark.long
def test_every_optimizer_and_schedule_trains_as_it_did(tmp_path: Path) -> None:
    now = curves.case_curves(tmp_path, cases.trained())
    assert_all_close(now, "cases")


@pytest.mark.slow
def test_every_option_of_the_model_trains_as_it_did(tmp_path: Path) -> None:
    assert_all_close(curves.case_curves(tmp_path, cases.trained_models()), "models")


def test_every_way_to_execute_a_run_gives_its_curve(tmp_path: Path) -> None:
    now = curves.engine_curves(tmp_path, cases.ENGINES) | curves.pack_curves(tmp_path / "pack")
    for name, curve in now.items():
        assert_close(name, curve, CURVES["engines"][name])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's
@pytest.mark.parametrize("name", sorted(cases.SLOW_ENGINES))
def test_every_slow_way_to_execute_a_run_gives_its_curve(tmp_path: Path, name: str) -> None:
    now = curves.engine_curves(tmp_path, {name: cases.SLOW_ENGINES[name]})
    assert_close(name, now[name], CURVES["engines"][name])

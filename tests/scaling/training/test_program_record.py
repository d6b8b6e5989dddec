"""What a program has left, and what it is still writing."""

from __future__ import annotations

from pathlib import Path

from scalinglab.scaling.training.program_record import read_measured


def test_of_a_growing_curve_only_whole_lines_count(tmp_path: Path) -> None:
    assert read_measured(tmp_path) == {}
    curve = tmp_path / "curve.csv"
    curve.write_text("step, loss, validation_loss\n1,5.0,\n2,4.5,4.75\n3,4.25,4.5")
    assert read_measured(tmp_path) == {2: 4.75}
    curve.write_text(curve.read_text() + "9\n")
    assert read_measured(tmp_path) == {2: 4.75, 3: 4.59}


def test_what_is_not_in_order_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("step,loss,validation_loss\nx,1,2\n2,1,much\n3\n4,1,1.5\n")
    assert read_measured(tmp_path) == {4: 1.5}
    (tmp_path / "curve.csv").write_text("step,loss\n1,2.0\n")
    assert read_measured(tmp_path) == {}

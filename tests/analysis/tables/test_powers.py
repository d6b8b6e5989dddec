"""Numbers as a page shows them."""

from __future__ import annotations

from scalinglab.analysis.tables.interval_text import value_text
from scalinglab.analysis.tables.powers import in_print, short


def test_signs_are_those_of_print_and_what_can_be_typed_again_is_untouched() -> None:
    text = "-1.5% (-2e-05 to 3), N >= 1k, of 2026-11-30, --out=-1; exclude=['D <= -1']"
    assert in_print(text) == (
        "\u22121.5% (\u22122·10⁻⁵ to 3), N ≥ 1k, of 2026-11-30, --out=-1; exclude=['D <= -1']"
    )
    assert in_print("N* grows as C^0.5, x-1, 3 - 2") == "N* grows as C^0.5, x-1, 3 - 2"


def test_a_count_and_its_interval_have_equally_many_digits() -> None:
    row = {"N": 55_700.0, "N_lower": 42_600.0, "N_upper": 70_000.0}
    assert value_text(row, "N", short) == "55.7k (42.6k to 70.0k)"
    assert value_text({"N": 7e4}, "N", short) == "70k"

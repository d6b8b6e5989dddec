"""``scaling fit`` and ``scaling report`` as a person uses them."""

from __future__ import annotations

import json

import pytest


@pytest.mark.long
@pytest.mark.usefixtures("early_fits", "undrawn_figures")
def test_an_answer_is_told_even_where_its_page_cannot_be_written(run, own) -> None:
    page = own / "outputs" / "studies" / "tiny" / "report.html"
    page.unlink(missing_ok=True)
    page.mkdir()
    asked = ("report", "study=tiny", "resamples=0", "multiverse=false")
    code, out, error = run(*asked)
    assert code == 2 and "[[Parameters]]" in out and "report:" not in out
    assert error.startswith("error: ") and "Traceback" not in error
    code, out, again = run(*asked, "--json")
    assert code == 2 and again.count("\n") == 1 and json.loads(out)["report"] is None
    answer = json.loads(out)
    assert answer["headline"] and isinstance(answer["cautions"], list)

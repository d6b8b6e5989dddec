"""``scaling fit`` and ``scaling report`` as a person uses them."""

from __future__ import annotations


def test_an_answer_is_told_even_where_its_page_cannot_be_written(run, finished, tmp_path) -> None:
    (tmp_path / "file").write_text("no folder")
    code, out, error = run(
        "report", "study=tiny", "resamples=0", "multiverse=false", f"to={tmp_path}/file/report.html"
    )
    assert code == 2 and "Fitted law:" in out and "report:" not in out
    assert error.startswith("error: ") and "Traceback" not in error

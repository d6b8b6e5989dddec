"""``scaling data``: makes a store where it is asked for one, and shows of which text each is."""

from __future__ import annotations

import json

import pytest

from scalinglab.cli import main
from tests.scaling.data.corpora import documents, write_jsonl


def said(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["data", *arguments])
    assert end.value.code == 0
    return capsys.readouterr().out


def test_nothing_is_made_without_a_source(tmp_path, capsys):
    assert "no stores yet" in said(capsys, f"outputs={tmp_path}")
    assert not (tmp_path / "data").exists()


def test_a_store_says_of_which_text_it_is(tmp_path, capsys):
    path = write_jsonl(tmp_path / "a.jsonl", [*documents(2_000), ""])
    text = said(capsys, f"outputs={tmp_path}", "data=jsonl", f"data.options.path={path}")
    assert f"of {path}" in text and "bytes a token" in text
    assert "rows 2,001" in text and "empty 1" in text
    again = json.loads(said(capsys, f"outputs={tmp_path}", "--json"))
    assert [store["source"] for store in again["stores"]] == ["jsonl"]


def test_an_option_that_a_message_advises_is_taken(tmp_path, capsys):
    path = write_jsonl(tmp_path / "a.jsonl", documents(200))
    path.write_text(path.read_text() + "no JSON\n")
    given = [f"outputs={tmp_path}", "data=jsonl", f"data.options.path={path}"]
    with pytest.raises(SystemExit):
        main(["data", *given])
    advice = capsys.readouterr().err.strip().rpartition(" ")[2]
    assert advice == "data.options.unreadable=skip"
    assert "unreadable 1" in said(capsys, *given, advice)

"""References that a bibliography can be made of."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from scalinglab import analysis
from scalinglab.analysis.reporting import citations
from scalinglab.analysis.reporting.citations import bibtex


def test_entries_name_authors_and_titles() -> None:
    text = bibtex([analysis.LAWS["chinchilla"].source, "arXiv:2203.15556"])
    assert text.count("@misc") == 2
    assert "author = {Hoffmann, Jordan and others}" in text
    assert "title = {Training Compute-Optimal Large Language Models}" in text


def test_no_entry_lacks_a_title_whatever_law_is_cited() -> None:
    text = bibtex([law.source for law in analysis.LAWS.values()])
    entries = re.findall(r"@misc\{.*?\n\}", text, re.DOTALL)
    assert len(entries) > 20
    assert all("title = {" in entry and entry.count("{") == entry.count("}") for entry in entries)
    assert len({entry.partition(",")[0] for entry in entries}) == len(entries)
    untitled = re.findall(r"title = \{arXiv:([\d.]+)\}", text)
    assert untitled == ["2303.01566"]  # known at second hand only: its law says so


def test_a_paper_whose_title_is_not_kept_has_the_authors_that_are_cited_and_no_others() -> None:
    for cited, authors in (
        ("Smith 2024, arXiv:2401.00001", "{Smith}"),
        ("Smith and Jones 2024, arXiv:2401.00001", "{Smith and Jones}"),
        ("Smith et al. 2024, arXiv:2401.00001", "{Smith and others}"),
    ):
        assert f"author = {authors}," in bibtex([cited])


def test_this_program_is_cited_as_its_citation_file_says(monkeypatch) -> None:
    cited = yaml.safe_load((Path(__file__).parents[3] / "CITATION.cff").read_text())
    (author,) = [entry["name"] for entry in cited["authors"]]
    text = bibtex([])
    assert f"author = {{{{{author}}}}}," in text and "year = {20" in text
    assert f"version = {{{cited['version']}}}" in text
    assert ("url = " in text) == ("repository-code" in cited)
    monkeypatch.setattr(citations, "source_url", lambda: "https://example.org/source")
    assert "url = {https://example.org/source}" in bibtex([])

"""What an answer rests on, for a paper: BibTeX of laws and methods."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, metadata

from scalinglab.analysis.reporting.papers import PAPERS
from scalinglab.scaling.extras import PROJECT
from scalinglab.scaling.records.machine import version

_CITED = re.compile(r"([^;]*?)\s*(?:,\s*)?arXiv[: ](\d{4}\.\d{4,5})")
_YEAR = re.compile(r"\b(19|20)\d\d\b")
_AUTHORS = "The authors of the scaling-law laboratory"  # as in CITATION.cff
_SOURCES = ("repository", "source", "homepage")  # names of links in pyproject.toml
_FIRST_YEAR = 2026  # in which what is cited was written


def bibtex(sources: Iterable[str]) -> str:
    """Entries of the papers that some sources name, by arXiv number, and of this software.

    Parameters
    ----------
    sources : iterable of str
        As laws state them: ``"Hoffmann et al. 2022, arXiv:2203.15556; ..."``.
    """
    entries: dict[str, str] = {}
    for source in sources:
        for name, number in _CITED.findall(source):
            entries.setdefault(number, _entry(name, number))
    return "\n\n".join([*entries.values(), _software()]) + "\n"


def source_url() -> str | None:
    """Where the source of the installed package is, if its metadata say so."""
    try:
        links = metadata(PROJECT).get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    named = {name.lower(): url for name, _, url in (link.partition(", ") for link in links)}
    return next((named[name] for name in _SOURCES if name in named), None)


def _software() -> str:
    """This program; where its source is only if its installation says so."""
    fields = {
        "author": f"{{{_AUTHORS}}}",  # braces: a group, which is no family name
        "title": f"{PROJECT}: plan, launch, watch, fit, decide, report",
        "year": str(_FIRST_YEAR),
        "version": version(PROJECT),
    }
    if (url := source_url()) is not None:
        fields["url"] = url
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@software{{scaling_laboratory,\n{lines}\n}}"


def _entry(citation: str, number: str) -> str:
    kept = PAPERS.get(number)
    author, year, title = kept or _as_cited(citation, number)
    family = author.partition(",")[0].partition(" ")[0].lower()
    key = f"{re.sub(r'[^a-z]', '', family) or 'arxiv'}{year}_{number.replace('.', '_')}"
    others = " and others" if kept and not author.endswith("others") else ""
    named = f"  author = {{{author}{others}}},\n" if author else ""
    return (
        f"@misc{{{key},\n{named}  title = {{{title}}},\n  year = {{{year}}},\n"
        f"  eprint = {{{number}}},\n  archivePrefix = {{arXiv}},\n"
        f"  url = {{https://arxiv.org/abs/{number}}}\n}}"
    )


def _as_cited(citation: str, number: str) -> tuple[str, int | str, str]:
    """What a law says of a paper whose title is not kept: its author and year."""
    year = _YEAR.search(citation)
    names = citation[: year.start()] if year else ""
    names = names.strip(" ,.()").replace(" et al.", " and others").replace(" et al", " and others")
    return names, year[0] if year else f"20{number[:2]}", f"arXiv:{number}"

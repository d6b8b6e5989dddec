"""What an answer rests on, for a paper: BibTeX of laws and methods."""

from __future__ import annotations

import re
from collections.abc import Iterable

from scalinglab.analysis.reporting.papers import PAPERS

_CITED = re.compile(r"([^;]*?)\s*(?:,\s*)?arXiv[: ](\d{4}\.\d{4,5})")
_YEAR = re.compile(r"\b(19|20)\d\d\b")
SOFTWARE = """@software{scaling_laboratory,
  title = {scaling-laboratory: plan, launch, watch, fit, decide, report},
  note = {version VERSION}
}"""


def bibtex(sources: Iterable[str], version: str) -> str:
    """Entries of the papers that some sources name, by arXiv number, and of this software.

    Parameters
    ----------
    sources : iterable of str
        As laws state them: ``"Hoffmann et al. 2022, arXiv:2203.15556; ..."``.
    version : str
        Of the software.
    """
    entries: dict[str, str] = {}
    for source in sources:
        for name, number in _CITED.findall(source):
            entries.setdefault(number, _entry(name, number))
    return "\n\n".join([*entries.values(), SOFTWARE.replace("VERSION", version)]) + "\n"


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

"""What an answer rests on, for a paper: BibTeX of laws and methods, LaTeX of a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd

_CITED = re.compile(r"([^;]*?)\s*(?:,\s*)?arXiv[: ](\d{4}\.\d{4,5})")
_YEAR = re.compile(r"\b(19|20)\d\d\b")
_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_SIGNS = {"±": r"$\pm$", "−": "$-$", "α": r"$\alpha$", "β": r"$\beta$", "²": "$^2$"}
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


def _entry(said: str, number: str) -> str:
    year = _YEAR.search(said)
    names = said[: year.start()] if year else said
    names = names.strip(" ,.()").replace(" et al.", " and others").replace(" et al", " and others")
    first = re.sub(r"[^a-z]", "", names.split(" ")[0].lower()) or "arxiv"
    when = year[0] if year else f"20{number[:2]}"
    author = f"  author = {{{names}}},\n" if names else ""
    return (
        f"@misc{{{first}{when}_{number.replace('.', '_')},\n{author}  year = {{{when}}},\n"
        f"  eprint = {{{number}}},\n  archivePrefix = {{arXiv}},\n"
        f"  url = {{https://arxiv.org/abs/{number}}}\n}}"
    )


def latex(table: pd.DataFrame, caption: str, texts: Sequence[Sequence[str]]) -> str:
    """A table for the package booktabs; `texts` are its cells as they are shown, by column."""
    names = [escape(str(name)) for name in table]
    align = "".join("r" if pd.api.types.is_numeric_dtype(table[name]) else "l" for name in table)
    rows = [" & ".join(map(escape, row)) + r" \\" for row in zip(*texts, strict=True)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"  \caption{{{escape(caption)}}}",
            rf"  \begin{{tabular}}{{{align}}}",
            r"    \toprule",
            "    " + " & ".join(names) + r" \\",
            r"    \midrule",
            *(f"    {row}" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def escape(text: str) -> str:
    r"""A text as LaTeX shows it.

    >>> escape("n_matmul & 5%")
    'n\\_matmul \\& 5\\%'
    """
    signs = _SPECIAL | _SIGNS
    return "".join(signs.get(c, c) for c in text)

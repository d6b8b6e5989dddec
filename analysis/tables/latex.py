"""Tables as LaTeX, for a paper."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_SIGNS = {"±": r"$\pm$", "−": "$-$", "α": r"$\alpha$", "β": r"$\beta$", "²": "$^2$"}


def latex(table: pd.DataFrame, caption: str, texts: Sequence[Sequence[str]]) -> str:
    """A table for the package booktabs; `texts` are its formatted cells, by column."""
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

"""Names of parameters and formulas of laws as LaTeX's mathematics."""

from __future__ import annotations

import re
from collections.abc import Callable

_GREEK = (
    "alpha beta gamma delta epsilon eta kappa lambda mu nu omega phi psi rho sigma tau theta zeta"
).split()
_SYMBOLS = {name: f"\\{name}" for name in _GREEK} | {
    "lam": r"\lambda",
    "eps": r"\epsilon",
    "inf": r"\infty",
    "sum": r"\sum",
    "star": r"\star",
    "log": r"\log",
    "ln": r"\ln",
    "exp": r"\exp",
}
_NAME = r"[A-Za-z](?:\w*[A-Za-z0-9])?'?"
_TOKEN = re.compile(rf"{_NAME}|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\s+|.")
# How a formula begins. Letter by letter: names of any length would be tried in all their parts.
_EQUATION = re.compile(r"(?:[\w\s/^'-]|\([^()]*\))+ = ")
_WORDS = re.compile(r" (?:and so on)$")
_SPECIAL = re.compile(r"([&%$#_{}])")


def symbol(name: str) -> str:
    r"""The name of a parameter or column as a symbol, without the dollars.

    >>> symbol("alpha"), symbol("alpha_N"), symbol("x0"), symbol("n_active"), symbol("A[gelu]")
    ('\\alpha', '\\alpha_{N}', 'x_{0}', 'n_{\\mathrm{active}}', 'A_{\\mathrm{gelu}}')
    """
    name, prime = name.removesuffix("'"), "'" * name.endswith("'")
    name, _, arm = name.partition("[")
    base, *below = re.sub(r"^([A-Za-z]+?)(\d+)$", r"\1_\2", name).split("_")
    below += [_SPECIAL.sub(r"\\\1", arm.removesuffix("]"))] if arm else []
    lowered = ", ".join(_letters(part) for part in below)
    return _letters(base) + prime + (f"_{{{lowered}}}" if below else "")


def is_formula(text: str) -> bool:
    """Whether a caption is the formula of a law."""
    return _EQUATION.match(text) is not None


def formula(text: str, words: Callable[[str], str] = str) -> str:
    r"""The formula of a law, its equations as mathematics; `words` writes what is between them.

    >>> formula("L = E + A / N^alpha, N counted as in M")
    '$L = E + A / N^{\\alpha}$, N counted as in M'
    """
    parts = text.split(", ")
    return ", ".join(_equation(part) if is_formula(part) else words(part) for part in parts)


def _equation(text: str) -> str:
    rest = _WORDS.search(text)
    equation = text[: rest.start()] if rest else text
    return f"${_mathematics(_TOKEN.findall(equation))}$" + (rest[0] if rest else "")


def _mathematics(tokens: list[str]) -> str:
    """Tokens as mathematics: what is raised and lowered in braces."""
    written, at = "", 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token in "^_":
            end = _end_of_script(tokens, at)
            script = tokens[at:end]
            if script[0] == "(" and script[-1] == ")":
                script = script[1:-1]
            written += f"{token}{{{_mathematics(script)}}}"
            at = end
        elif token == "of" or token.isspace():
            written += " " if token.isspace() else ""
        else:
            written += symbol(token) if token[0].isalpha() else _number(token)
    return re.sub(r"(\}) (\\mathrm)", r"\1\\ \2", re.sub(" +", " ", written))


def _end_of_script(tokens: list[str], at: int) -> int:
    """Where an exponent or an index ends that begins at a token."""
    at += tokens[at] == "-"
    if tokens[at] != "(":
        at += 1
        if at == len(tokens) or tokens[at] != "(":
            return at  # else a function: beta(N)
    depth = 0
    for end in range(at, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[end], 0)
        if not depth:
            return end + 1
    return len(tokens)


def _number(token: str) -> str:
    digits, _, exponent = token.partition("e")
    if not exponent:
        return token
    raised = f"10^{{{int(exponent)}}}"
    return raised if digits == "1" else rf"{digits} \times {raised}"


def _letters(name: str) -> str:
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    if name in ("log2", "log10"):
        return rf"\log_{{{name[3:]}}}"
    return name if len(name) == 1 or name.isdigit() else rf"\mathrm{{{name}}}"

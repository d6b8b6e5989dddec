"""Which role the name of a column has.

Names are compared without regard to case and to the signs that join their words, so ``Val Loss``,
``val/loss`` and ``val_loss`` are equal; single letters are compared exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from scalinglab.analysis.importers.roles import ROLES

_JOINTS = re.compile(r"[\s/._\-:]+")


# Words in a name by which a number is a perplexity or in bits, and no loss in nats per token.
_NO_NATS = {
    "perplexity": ("ppl", "perplexity", "perp", "perplexities"),
    "bits": ("bpb", "bits", "bit", "bpc", "bpt", "bpw"),
}
_LOSS_WORDS = ("loss", "ce", "nll", "xent", "crossentropy", "entropy", "crossentropyloss")
_VALIDATION_WORDS = ("val", "valid", "validation", "eval", "evaluation", "test", "dev")


def normal(name: str) -> str:
    """A name as it is compared: lower case, words joined by "_"; a single letter as it is."""
    stripped = str(name).strip()
    return stripped if len(stripped) == 1 else _JOINTS.sub("_", stripped.lower()).strip("_")


@cache
def spellings(role: str) -> dict[str, int]:
    """Names of a role as they are compared -> rank (0 is the surest)."""
    ranks: dict[str, int] = {}
    for k, name in enumerate(ROLES[role].names):
        ranks.setdefault(normal(name), k)
    return ranks


def measure_of(name: str) -> str | None:
    """ "perplexity" or "bits" if a name says that its numbers are no loss in nats, else None."""
    words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", str(name)).lower()))
    for measure, signs in _NO_NATS.items():
        if words & set(signs) and not (measure == "perplexity" and "log" in words):
            return measure
    return None


def sounds_like_a_loss(name: str) -> bool:
    """Whether a name has a word for a loss."""
    words = set(normal(name).split("_"))
    return bool(words & set(_LOSS_WORDS)) or normal(name).endswith("loss")


def sounds_validated(name: str) -> bool:
    """Whether a name says that its loss was measured on held-out data."""
    return sounds_like_a_loss(name) and bool(set(normal(name).split("_")) & set(_VALIDATION_WORDS))


def matching(role: str, names: Sequence[str]) -> list[str]:
    """The names that have a role, the surest first; if none has, those that match its patterns."""
    ranks, exact = spellings(role), ROLES[role].names
    rank = {
        name: exact.index(name) if name in exact else ranks[normal(name)] + 0.5
        for name in names
        if name in exact or normal(name) in ranks
    }
    if rank:
        return sorted(rank, key=rank.__getitem__)
    patterns = [re.compile(p, re.IGNORECASE) for p in ROLES[role].patterns]
    return [n for n in names if any(p.fullmatch(n) for p in patterns)]

"""FLOPs of one trained token, in parts; conventions are sums of the parts.

Published codes differ by tens of per cent on small models only in which parts they add up, so a
run records the parts and the analysis chooses the sum. Recomputation and padding never count.
A multiply-add is 2 FLOPs and the backward pass costs twice the forward: hence the factors 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.model.stated import WHOLE

DEFAULT_CONVENTION = "causal"


def flop_parts(architecture: Network) -> dict[str, int]:
    """FLOPs per trained token (forward and backward) by part.

    Returns
    -------
    dict
        ``block`` and ``unembedding``: matrix products with the weights that a token passes
        through. ``attention_causal``: scores and values, each query seeing T/2 keys on average
        (fewer through a window); ``attention_full``: the full T x T map. Both include what else a
        part multiplies beside its weights, such as the states of a linear mixer. ``softmax``: 3
        operations per score on the full map. ``embedding``: the embedding counted as a product
        with a one-hot vector, as by Hoffmann et al. (arXiv 2203.15556, appendix F).
        ``matmul`` is ``block + unembedding``; ``gain``: gains and biases.
    """
    if isinstance(architecture, ModuleNetwork):
        return dict(architecture.census.flops)
    n = parameter_counts(architecture)
    L, maps = architecture.passes, [p.map_flops(architecture) for p in architecture.parts]
    block, unembedding = 6 * (n["n_active"] - n["unembedding"]), 6 * n["unembedding"]
    return {
        "block": block,
        "unembedding": unembedding,
        "matmul": block + unembedding,
        "attention_causal": L * sum(m.seen for m in maps),
        "attention_full": L * sum(m.whole for m in maps),
        "softmax": L * sum(m.softmax for m in maps),
        "embedding": 6 * n["embedding"],
        "gain": 6 * (n["gain"] + n["bias"]),
    }


CONVENTIONS: Mapping[str, Callable[[Mapping[str, float]], float]] = {
    # Kaplan et al. (2001.08361): C = 6 N with N without embeddings and without unembedding.
    "kaplan": lambda p: p["block"],
    # Porian et al. (2406.19146) `flops_per_token`: the unembedding belongs to N.
    "matmul": lambda p: p["matmul"],
    # The default here; Porian's `flops_per_token_att`.
    "causal": lambda p: p["matmul"] + p["attention_causal"],
    # PaLM (2204.02311, appendix B), nanoGPT, torchtitan: what MFU is quoted in.
    "palm": lambda p: p["matmul"] + p["attention_full"],
    # levanter: the full map with its mask and softmax counted.
    "palm_mask": lambda p: p["matmul"] + p["attention_full"] + p["softmax"],
    # lingua: causal half at 3.5 times the forward (flash attention recomputes), all parameters
    # but the embedding, gains included.
    "lingua": lambda p: p["matmul"] + p["gain"] + 7 * p["attention_causal"] / 6,
    # Hoffmann et al. (2203.15556, appendix F).
    "chinchilla": lambda p: p["matmul"] + p["attention_full"] + p["softmax"] + p["embedding"],
}


def flops_per_token(parts: Mapping[str, float], convention: str = DEFAULT_CONVENTION) -> float:
    """FLOPs of one trained token under a named convention.

    What a program gave as a whole has no parts, and is the same under every convention
    (`scalinglab.scaling.model.stated.stated_convention` names how it was counted).

    Raises
    ------
    UserError
        If the convention is not one of ``CONVENTIONS``.
    """
    if convention not in CONVENTIONS:
        raise UserError(
            f"unknown FLOP convention {convention!r}; allowed: {', '.join(CONVENTIONS)}"
        )
    whole = next((parts[name] for name in WHOLE if name in parts), None)
    return CONVENTIONS[convention](parts) if whole is None else whole

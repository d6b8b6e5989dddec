"""Parameters of an architecture, by name and by role, without building it.

Which N a study uses decides its exponents (Porian et al., arXiv 2406.19146), so every count is
recorded and the analysis chooses.
"""

from __future__ import annotations

import math
from collections import Counter

from scalinglab.scaling.model.architecture import GATED, Architecture, Norms

Size = tuple[int, ...]
N_COUNTS = ("n_block", "n_matmul", "n_total")
ROLES = ("embedding", "attention", "mlp", "gain", "bias", "unembedding")


def tensor_sizes(architecture: Architecture) -> dict[str, Size]:
    """The size of each parameter by name, in the order of ``Transformer.named_parameters``."""
    before, after = _outside(architecture)
    for layer in range(architecture.shape.depth):
        block = _block(architecture, *architecture.norms(layer))
        before |= {f"blocks.{layer}.{name}": size for name, size in block.items()}
    return before | after


def _outside(architecture: Architecture) -> tuple[dict[str, Size], dict[str, Size]]:
    """What stands before the blocks and after them."""
    matrix = (architecture.shape.vocab, architecture.shape.width)
    normed = architecture.embedding_scale == "norm"
    before = {"embedding.weight": matrix} | _norm(architecture, "embedding_norm", normed)
    head = {} if architecture.tied_head else {"head.weight": matrix}
    return before, _norm(architecture, "norm", architecture.final_norm) | head


def _block(architecture: Architecture, attention: Norms, mlp: Norms) -> dict[str, Size]:
    return _attention(architecture, attention) | _mlp(architecture, mlp)


def _attention(architecture: Architecture, norms: Norms) -> dict[str, Size]:
    shape = architecture.shape
    d, heads = shape.width, (shape.head_dim,)
    sizes = _norm(architecture, "attention_norm", norms.input)
    if architecture.head_gains:
        sizes["attention.head_gain"] = (shape.heads,)
    for name in ("query", "key", "value", "out"):
        sizes |= _linear(architecture, f"attention.{name}", d, d)
    if architecture.qk_norm:
        sizes |= {"attention.query_norm.gain": heads, "attention.key_norm.gain": heads}
    if architecture.value_norm:
        sizes["attention.value_norm.gain"] = heads
    sizes |= _norm(architecture, "attention.inner_norm", norms.inner)
    sizes |= _norm(architecture, "attention_output_norm", norms.output)
    return sizes | _norm(architecture, "attention_sum_norm", norms.sum)


def _mlp(architecture: Architecture, norms: Norms) -> dict[str, Size]:
    d, m = architecture.shape.width, architecture.shape.mlp_width
    sizes = _norm(architecture, "mlp_norm", norms.input)
    sizes |= _linear(architecture, "up", m, d)
    if architecture.activation in GATED:
        sizes |= _linear(architecture, "gate", m, d)
    sizes |= _norm(architecture, "mlp_inner_norm", norms.inner, m)
    sizes |= _linear(architecture, "down", d, m)
    sizes |= _norm(architecture, "mlp_output_norm", norms.output)
    return sizes | _norm(architecture, "mlp_sum_norm", norms.sum)


def _norm(
    architecture: Architecture, name: str, wanted: bool, width: int | None = None
) -> dict[str, Size]:
    if not wanted:
        return {}
    parts = ("gain", "bias") if architecture.norm == "layernorm" else ("gain",)
    return {f"{name}.{part}": (width or architecture.shape.width,) for part in parts}


def _linear(architecture: Architecture, name: str, rows: int, columns: int) -> dict[str, Size]:
    bias: dict[str, Size] = {f"{name}.bias": (rows,)} if architecture.bias else {}
    return {f"{name}.weight": (rows, columns)} | bias


def count_role(name: str) -> str:
    """What a parameter of this name is counted as, one of ``ROLES``."""
    if name.endswith(("gain", "bias")):
        return name[-4:]
    if name.startswith("embedding"):
        return "embedding"
    if name.startswith("head"):
        return "unembedding"
    return "attention" if ".attention." in name else "mlp"


def parameter_counts(architecture: Architecture) -> dict[str, int]:
    """Count parameters by role, and the three N that studies use.

    Returns
    -------
    dict
        ``ROLES`` and the sums ``n_block`` (matrices of the blocks: exactly 12 L d^2 for the
        default MLP of 4 d), ``n_matmul`` (``n_block`` + unembedding: every weight that multiplies
        in a matrix product) and ``n_total``, every parameter once. Gains and biases are in
        ``n_total`` only; a tied head is the embedding and the unembedding.
    """
    roles = dict.fromkeys(ROLES, 0)
    before, after = _outside(architecture)
    for name, size in (before | after).items():
        roles[count_role(name)] += math.prod(size)
    alike = Counter(architecture.norms(layer) for layer in range(architecture.shape.depth))
    for norms, layers in alike.items():
        for name, size in _block(architecture, *norms).items():
            roles[count_role(f"blocks.0.{name}")] += layers * math.prod(size)
    n_total = sum(roles.values())
    if architecture.tied_head:
        roles["unembedding"] = roles["embedding"]
    n_block = roles["attention"] + roles["mlp"]
    n_matmul = n_block + roles["unembedding"]
    return roles | {"n_block": n_block, "n_matmul": n_matmul, "n_total": n_total}

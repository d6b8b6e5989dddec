"""Parameters of an architecture, by name and by role, without building it.

Which N a study uses decides its exponents (Porian et al., arXiv 2406.19146), so every count is
recorded and the analysis chooses.
"""

from __future__ import annotations

import math

from scaling.architecture import GATED, Architecture

Size = tuple[int, ...]
ROLES = ("embedding", "attention", "mlp", "gain", "bias", "unembedding")


def tensor_sizes(architecture: Architecture) -> dict[str, Size]:
    """The size of each parameter by name, in the order of ``Transformer.named_parameters``."""
    shape = architecture.shape
    sizes: dict[str, Size] = {"embedding.weight": (shape.vocab, shape.width)}
    if architecture.embedding_scale == "norm":
        sizes |= _norm(architecture, "embedding_norm")
    for layer in range(shape.depth):
        block = _attention(architecture, layer) | _mlp(architecture, layer)
        sizes |= {f"blocks.{layer}.{name}": size for name, size in block.items()}
    if architecture.final_norm:
        sizes |= _norm(architecture, "norm")
    return sizes if architecture.tied_head else sizes | {"head.weight": (shape.vocab, shape.width)}


def _attention(architecture: Architecture, layer: int) -> dict[str, Size]:
    shape, norms = architecture.shape, architecture.norms(layer)[0]
    d, heads = shape.width, (shape.head_dim,)
    sizes = _norm(architecture, "attention_norm") if norms.input else {}
    if architecture.head_gains:
        sizes["attention.head_gain"] = (shape.heads,)
    for name in ("query", "key", "value", "out"):
        sizes |= _linear(architecture, f"attention.{name}", d, d)
    if architecture.qk_norm:
        sizes |= {"attention.query_norm.gain": heads, "attention.key_norm.gain": heads}
    if architecture.value_norm:
        sizes["attention.value_norm.gain"] = heads
    if norms.inner:
        sizes |= _norm(architecture, "attention.inner_norm")
    return sizes | _after(architecture, "attention", norms.output, norms.sum)


def _mlp(architecture: Architecture, layer: int) -> dict[str, Size]:
    shape, norms = architecture.shape, architecture.norms(layer)[1]
    d, m = shape.width, shape.mlp_width
    sizes = _norm(architecture, "mlp_norm") if norms.input else {}
    sizes |= _linear(architecture, "up", m, d)
    if architecture.activation in GATED:
        sizes |= _linear(architecture, "gate", m, d)
    if norms.inner:
        sizes |= _norm(architecture, "mlp_inner_norm", m)
    sizes |= _linear(architecture, "down", d, m)
    return sizes | _after(architecture, "mlp", norms.output, norms.sum)


def _after(architecture: Architecture, sublayer: str, output: bool, total: bool) -> dict[str, Size]:
    sizes = _norm(architecture, f"{sublayer}_output_norm") if output else {}
    return sizes | (_norm(architecture, f"{sublayer}_sum_norm") if total else {})


def _norm(architecture: Architecture, name: str, width: int | None = None) -> dict[str, Size]:
    parts = ("gain", "bias") if architecture.norm == "layernorm" else ("gain",)
    return {f"{name}.{part}": (width or architecture.shape.width,) for part in parts}


def _linear(architecture: Architecture, name: str, rows: int, columns: int) -> dict[str, Size]:
    bias = {f"{name}.bias": (rows,)} if architecture.bias else {}
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
    for name, size in tensor_sizes(architecture).items():
        roles[count_role(name)] += math.prod(size)
    n_total = sum(roles.values())
    if architecture.tied_head:
        roles["unembedding"] = roles["embedding"]
    n_block = roles["attention"] + roles["mlp"]
    n_matmul = n_block + roles["unembedding"]
    return roles | {"n_block": n_block, "n_matmul": n_matmul, "n_total": n_total}

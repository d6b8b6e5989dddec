"""Parameters of an architecture, by name and by role, without building it.

Which N a study uses decides its exponents (Porian et al., arXiv 2406.19146), so every count is
recorded and the analysis chooses.
"""

from __future__ import annotations

import math

from scaling.architecture import Architecture

Size = tuple[int, ...]


def tensor_sizes(architecture: Architecture) -> dict[str, Size]:
    """The size of each parameter by name, in the order of ``Transformer.named_parameters``."""
    shape = architecture.shape
    sizes: dict[str, Size] = {"embedding.weight": (shape.vocab, shape.width)}
    for layer in range(shape.depth):
        block = _block_sizes(architecture)
        sizes |= {f"blocks.{layer}.{name}": size for name, size in block.items()}
    return sizes | {"norm.gain": (shape.width,), "head.weight": (shape.vocab, shape.width)}


def _block_sizes(architecture: Architecture) -> dict[str, Size]:
    shape = architecture.shape
    d, m = shape.width, shape.mlp_width
    return {
        "attention_norm.gain": (d,),
        **{f"attention.{name}.weight": (d, d) for name in ("query", "key", "value", "out")},
        "attention.query_norm.gain": (shape.head_dim,),
        "attention.key_norm.gain": (shape.head_dim,),
        "mlp_norm.gain": (d,),
        "up.weight": (m, d),
        "down.weight": (d, m),
    }


def count_role(name: str) -> str:
    """What a parameter of this name is counted as."""
    if name.endswith("gain"):
        return "gain"
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
        Roles ``embedding, attention, mlp, gain, unembedding`` and the sums ``n_block`` (matrices
        of the blocks: exactly 12 L d^2 for the default MLP of 4 d), ``n_matmul`` (``n_block`` +
        unembedding: every weight that multiplies in a matrix product) and ``n_total``.
        The gains of the norms are in ``n_total`` only.
    """
    roles = dict.fromkeys(("embedding", "attention", "mlp", "gain", "unembedding"), 0)
    for name, size in tensor_sizes(architecture).items():
        roles[count_role(name)] += math.prod(size)
    n_block = roles["attention"] + roles["mlp"]
    n_matmul = n_block + roles["unembedding"]
    return roles | {"n_block": n_block, "n_matmul": n_matmul, "n_total": sum(roles.values())}

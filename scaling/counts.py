"""Parameter counts of a model shape, by hand and exact.

Which N a study uses decides its exponents (Porian et al., arXiv 2406.19146), so every count is
recorded and the analysis chooses.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Everything that fixes the sizes of a model's tensors.

    Attributes
    ----------
    depth : int
        Number of blocks, L.
    width : int
        Residual width, d = heads * head_dim.
    heads : int
        Attention heads, h.
    mlp_width : int
        Hidden width of the MLP, 4 d by default.
    context : int
        Tokens in one sequence, T.
    vocab : int
        Size of the token alphabet, V.
    """

    depth: int
    width: int
    heads: int
    mlp_width: int
    context: int
    vocab: int

    @property
    def head_dim(self) -> int:
        """Width of one attention head, d_h = d / h."""
        return self.width // self.heads


def parameter_counts(shape: Shape) -> dict[str, int]:
    """Count parameters by role, and the three N that studies use.

    Returns
    -------
    dict
        Roles ``embedding, attention, mlp, gain, unembedding`` and the sums ``n_block`` (matrices
        of the blocks: exactly 12 L d^2 for the default MLP of 4 d), ``n_matmul`` (``n_block`` +
        unembedding: every weight that multiplies in a matrix product) and ``n_total``.
        The gains of the norms are in ``n_total`` only.
    """
    L, d, V = shape.depth, shape.width, shape.vocab
    roles = {
        "embedding": V * d,
        "attention": L * 4 * d * d,
        "mlp": L * 2 * d * shape.mlp_width,
        "gain": L * (2 * d + 2 * shape.head_dim) + d,  # two norms, q and k norms; final norm
        "unembedding": V * d,
    }
    n_block = roles["attention"] + roles["mlp"]
    n_matmul = n_block + roles["unembedding"]
    n_total = n_matmul + roles["embedding"] + roles["gain"]
    assert n_total == sum(roles.values())
    return roles | {"n_block": n_block, "n_matmul": n_matmul, "n_total": n_total}

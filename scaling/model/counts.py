"""Parameters of an architecture, by name and by role, without building it.

Which N a study uses decides its exponents (Porian et al., arXiv 2406.19146), so every count is
recorded and the analysis chooses.
"""

from __future__ import annotations

import math
from collections import Counter

from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.model.part import Branch, Size, norm_sizes
from scalinglab.scaling.model.placements import Norms

N_COUNTS = ("n_block", "n_matmul", "n_total", "n_active")
ROLES = ("embedding", "attention", "mlp", "gain", "bias", "unembedding")


def tensor_sizes(architecture: Architecture) -> dict[str, Size]:
    """The size of each parameter by name, in the order of ``Transformer.named_parameters``."""
    before, after = _outside(architecture)
    for layer in range(architecture.shape.depth):
        block = _block(architecture, *architecture.norms(layer))
        before |= {f"blocks.{layer}.{name}": size for name, size in block.items()}
    return before | after


def _outside(architecture: Architecture) -> tuple[dict[str, Size], dict[str, Size]]:
    """Parameters before the blocks and after them."""
    matrix = (architecture.shape.vocab, architecture.shape.width)
    normed = architecture.embedding_scale == "norm"
    before = {"embedding.weight": matrix} | norm_sizes(architecture, "embedding_norm", normed)
    head = {} if architecture.tied_head else {"head.weight": matrix}
    return before, norm_sizes(architecture, "norm", architecture.final_norm) | head


def _block(architecture: Architecture, mixer: Norms, feed_forward: Norms) -> dict[str, Size]:
    return {
        **norm_sizes(architecture, "attention_norm", mixer.input),
        **_part(architecture, architecture.mixer, mixer),
        **norm_sizes(architecture, "attention_output_norm", mixer.output),
        **_residual(architecture, "attention_residual"),
        **norm_sizes(architecture, "attention_sum_norm", mixer.sum),
        **norm_sizes(architecture, "mlp_norm", feed_forward.input),
        **_part(architecture, architecture.feed_forward, feed_forward),
        **norm_sizes(architecture, "mlp_output_norm", feed_forward.output),
        **_residual(architecture, "mlp_residual"),
        **norm_sizes(architecture, "mlp_sum_norm", feed_forward.sum),
    }


def _residual(architecture: Architecture, place: str) -> dict[str, Size]:
    sizes = architecture.residual_part.tensors(architecture)
    return {f"{place}.{name}": size for name, size in sizes.items()}


def _part(architecture: Architecture, part: Branch, norms: Norms) -> dict[str, Size]:
    place = f"{part.module}." if part.module else ""
    return {place + name: size for name, size in part.tensors(architecture, norms).items()}


def count_role(name: str) -> str:
    """The role under which a parameter of this name is counted, one of ``ROLES``."""
    if name.endswith(("gain", "bias")):
        return name[-4:]
    if name.startswith("embedding"):
        return "embedding"
    if name.startswith("head"):
        return "unembedding"
    return "attention" if ".attention" in name or ".mixer." in name else "mlp"


def parameter_counts(architecture: Network) -> dict[str, int]:
    """Count parameters by role, and the N that studies use.

    Returns
    -------
    dict
        ``ROLES`` and the sums ``n_block`` (matrices of the blocks: exactly 12 L d^2 for the
        default MLP of 4 d), ``n_matmul`` (``n_block`` + unembedding: every weight that multiplies
        in a matrix product), ``n_total``, every parameter once, and ``n_active``: the weights of
        ``n_matmul`` that one token is multiplied by, each time that it is, so that 6 n_active D are
        the FLOPs of matrix products. Gains and biases are in ``n_total`` only; a tied head is the
        embedding and the unembedding. Of a network of anybody's (``ModuleNetwork``) matrices are
        ``hidden`` in place of ``attention`` and ``mlp``, and ``other`` is what no product has.
    """
    if isinstance(architecture, ModuleNetwork):
        return dict(architecture.census.counts)
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
    n_block = roles["attention"] + roles["mlp"]  # what fills the two slots
    n_matmul = n_block + roles["unembedding"]
    idle = sum(part.idle_weights(architecture) for part in architecture.parts)
    used = architecture.loops * (n_block - architecture.shape.depth * idle)
    n_active = used + roles["unembedding"]
    sums = {"n_block": n_block, "n_matmul": n_matmul, "n_total": n_total, "n_active": n_active}
    return roles | sums

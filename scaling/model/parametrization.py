"""Parametrizations: init, learning rate, weight decay and epsilon of each tensor by the shape.

One table by role. With m_N = width / base width, m_L = depth / base depth and alpha the depth
exponent, each entry is an exponent of m_N, or of m_L for what stands in the blocks:

- ``sp``: the standard one. Nothing but the init (variance 1 / fan-in) follows the shape.
- ``ntk``: weights of unit variance times fan-in^-1/2 under one learning rate (arXiv 1806.07572);
  written here as weights of variance 1 / fan-in whose rate is scaled: the same training
  (arXiv 2011.14522, the symmetry of abc-parametrizations).
- ``mup``: maximal update (arXiv 2203.03466, table 8; Lion and other updates whose size does not
  depend on the gradient's are as Adam's, arXiv 2308.01814).
- ``completep``: mup, and residual branches times m_L^-alpha (arXiv 2505.01618, table 1; alpha = 1/2
  is depth-mup, arXiv 2310.02244). The exponent 2 alpha - 1 of SGD follows from gradient and branch
  both carrying m_L^-alpha, and is depth-mup's 0 at alpha = 1/2.

Muon's orthogonal updates scaled by sqrt(max(1, rows / columns)) have the spectral norm that mup
asks of a hidden matrix (arXiv 2310.17813), so its learning rate needs no width; scaled to the rms
of AdamW's, which is sqrt(width) times that, it needs m_N^-1/2, and so does Adafactor's, whose
updates are relative to weights of rms m_N^-1/2. Depth is as Adam's. Forward multipliers are the
architecture's. At the base shape every one is ``sp``.

A router maps the width to a few experts, as the head maps it to the vocabulary, but without a
multiplier: under mup its deviation goes as 1 / m_N with that of the base, its rate as 1 / m_N
(arXiv 2203.03466, table 3). Its gradient does not fall with the width, as it is a sum over the
width of what an expert adds times the stream's gradient, so its epsilon stays. Experts are hidden
matrices: their number is not a width.

The gradient of an entry of a gain or bias is a sum over all that the entry multiplies: m_N / m
terms of size 1 / m_N each, where m is the growth of the tensor's own length. So under mup m takes
the place of m_N: a gain of a head whose width is fixed (m = 1) keeps SGD's rate and Adam's epsilon.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import ALIGNED, Architecture
from scalinglab.scaling.model.counts import Size, tensor_sizes
from scalinglab.scaling.model.module import ModuleNetwork, Network, TensorCount
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS, OptimizerConfig

VECTORS = ("gain", "bias")
# Matrices of a block whose scale deepnorm and sub_ln set.
BRANCH_MATRICES = ("value.weight", "out.weight", "up.weight", "gate.weight", "down.weight")
# Exponents of m_N of the learning rate, by parametrization, by what the size of an optimizer's
# updates depends on (``OptimizerConfig.family``), and by role; 0 where left out.
MATRICES_BY_FAN_IN = ("hidden", "router", "head")
# Roles of tensors of networks that are built, and those whose rules they have.
LIKE: Mapping[str, str] = {"kernel": "hidden", "other": "bias"}
_INPUT_SGD = dict.fromkeys(("embedding", "head", *VECTORS), 1.0)
WIDTH_LR: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "ntk": {
        "adaptive": dict.fromkeys(MATRICES_BY_FAN_IN, -0.5),
        "sgd": dict.fromkeys(MATRICES_BY_FAN_IN, -1.0),
    },
    "mup": {
        "adaptive": {"hidden": -1.0, "router": -1.0},
        # The rms of the weights has the other half; of a router's all of it.
        "relative": {"hidden": -0.5},
        "sgd": _INPUT_SGD | {"router": -1.0},
        "muon": {},
        "muon_match_rms": {"hidden": -0.5},
    },
}
# Exponents of m_N of epsilon, the gradient's: under mup every one passes the head's 1 / m_N.
WIDTH_EPSILON: Mapping[str, Mapping[str, float]] = {
    "ntk": dict.fromkeys(
        MATRICES_BY_FAN_IN, 0.5
    ),  # the symmetry again: epsilon meets the gradient of w
    "mup": dict.fromkeys(("embedding", "hidden", "head", *VECTORS), -1.0),
}


@dataclass(frozen=True)
class TensorRule:
    """Initialization and update rule of one tensor.

    Attributes
    ----------
    role : str
        ``embedding``, ``hidden`` (a matrix of a block), ``router``, ``head``, ``gain`` or ``bias``.
    init_std : float
        Standard deviation of the initial weights; 0 for gains, all one, and biases, all zero.
    lr, weight_decay, epsilon : float
        Multipliers of the optimizer's values; ``weight_decay`` 0: not decayed.
    """

    role: str
    init_std: float
    lr: float = 1.0
    weight_decay: float = 1.0
    epsilon: float = 1.0


def tensor_rules(architecture: Network, optimizer: OptimizerConfig) -> dict[str, TensorRule]:
    """The rule of every parameter by name, in the order of the module's ``named_parameters``.

    Parameters
    ----------
    architecture : Network
        With a base shape unless its parametrization is ``sp``.
    optimizer : OptimizerConfig
        ``sp`` takes any.

    Raises
    ------
    ConfigError
        If the parametrization has no rule for the optimizer.
    """
    check_optimizer(architecture.parametrization, optimizer)
    if isinstance(architecture, ModuleNetwork):
        return {
            name: _module_rule(architecture, optimizer.family, tensor)
            for name, tensor in architecture.census.tensors.items()
        }
    sizes, base = tensor_sizes(architecture), tensor_sizes(_base(architecture))
    return {
        name: _rule(architecture, optimizer.family, name, size, _growth(size, base[name]))
        for name, size in sizes.items()
    }


def initial_deviations(architecture: Architecture) -> dict[str, float]:
    """Standard deviation of the initial weights of every parameter by name: ``init_std``."""
    return {
        name: _init_std(architecture, role_of(name, size), name, size)
        for name, size in tensor_sizes(architecture).items()
    }


def check_optimizer(parametrization: str, optimizer: OptimizerConfig) -> None:
    """Raise `ConfigError` if a parametrization has no rule for an optimizer."""
    if parametrization == "sp":
        return
    table = WIDTH_LR[_width_part(parametrization)]
    if optimizer.family not in table:
        known = [name for name, kind in OPTIMIZERS.items() if kind.update_family in table]
        raise ConfigError(
            f"model.parametrization = {parametrization!r} has no rule for optimizer.name = "
            f"{optimizer.name!r}; allowed are {', '.join(known)}, or model.parametrization = 'sp'"
        )


def role_of(name: str, size: Size) -> str:
    """The role of a parameter in the network, by its name and size."""
    if len(size) == 1:
        return "gain" if name.endswith("gain") else "bias"
    if name.endswith("router.weight"):
        return "router"
    return name.partition(".")[0] if name.startswith(("embedding", "head")) else "hidden"


def _base(architecture: Architecture) -> Architecture:
    """The network at its base width; its depth stays, so that it has the same tensors.

    Widths are exact fractions: a base need not be a model that could be built.
    """
    shape = architecture.shape
    ratio = Fraction(shape.width, architecture.base_width or shape.width)
    head_dim = architecture.base_head_dim or shape.head_dim
    width = shape.width / ratio
    exact: dict[str, Any] = {  # fractions in a shape that is typed by whole numbers
        "width": width,
        "heads": width / head_dim,
        "mlp_width": shape.mlp_width / ratio,
    }
    return dataclasses.replace(architecture, shape=dataclasses.replace(shape, **exact))


def _growth(size: Size, base: Size) -> float:
    """The length of a tensor over its length in the base model."""
    return float(Fraction(size[0]) / base[0])


def _module_rule(network: ModuleNetwork, family: str | None, tensor: TensorCount) -> TensorRule:
    """The rule of a tensor of a network that was built; its initial scale is the module's own.

    A head of its own has the factor 1 / m_N in its weights and its rate, as a router has.
    """
    role = LIKE.get(tensor.role, tensor.role)
    if role == "head":
        role = "router"
    decayed = float(role in MATRICES_BY_FAN_IN)
    if network.parametrization == "sp":
        return TensorRule(tensor.role, 0.0, weight_decay=decayed)
    assert family is not None  # checked above
    if family.startswith("muon") and tensor.role != "hidden":
        family = "adaptive"
    lr = tensor.growth ** WIDTH_LR["mup"][family].get(role, 0.0)
    decay = {"product": 1 / lr, "sqrt": math.sqrt(tensor.growth) if role == "hidden" else 1.0}
    return TensorRule(
        tensor.role,
        0.0,
        lr=lr,
        weight_decay=decayed and decay.get(network.decay_rule, 1.0),
        epsilon=tensor.growth ** WIDTH_EPSILON["mup"].get(role, 0.0),
    )


def _rule(
    architecture: Architecture, family: str | None, name: str, size: Size, growth: float
) -> TensorRule:
    """The rule of a tensor of some size, which has `growth` times as many rows as at the base."""
    role = role_of(name, size)
    std = _init_std(architecture, role, name, size)
    decayed = float(role in MATRICES_BY_FAN_IN)
    if architecture.parametrization == "sp":
        return TensorRule(role, std, weight_decay=decayed)
    assert family is not None  # checked above
    if family.startswith("muon") and role != "hidden":
        family = "adaptive"  # Muon leaves them to AdamW
    part = _width_part(architecture.parametrization)
    ratio = growth if role in VECTORS else architecture.width_ratio
    width = ratio ** WIDTH_LR[part][family].get(role, 0.0)
    epsilon = ratio ** WIDTH_EPSILON[part].get(role, 0.0)
    depth_lr, depth_epsilon = _depth(architecture, family) if name.startswith("blocks") else (1, 1)
    return TensorRule(
        role,
        std,
        lr=width * depth_lr,
        # The paper's table has the width alone; under SGD depth would multiply what a step shrinks.
        weight_decay=decayed
        and _decay(architecture, role, width * depth_lr if family == "sgd" else width),
        epsilon=epsilon * depth_epsilon,
    )


def _width_part(parametrization: str) -> str:
    return "mup" if parametrization in ALIGNED else parametrization


def _depth(architecture: Architecture, family: str) -> tuple[float, float]:
    """Multipliers of learning rate and epsilon of what stands in the blocks."""
    alpha, ratio = architecture.depth_exponent, architecture.depth_ratio
    return ratio ** (2 * alpha - 1 if family == "sgd" else alpha - 1), ratio**-alpha


def _decay(architecture: Architecture, role: str, lr: float) -> float:
    if architecture.decay_rule == "product":
        return 1 / lr
    if architecture.decay_rule == "sqrt" and role == "hidden":
        return math.sqrt(architecture.width_ratio)
    return 1.0


def _init_std(architecture: Architecture, role: str, name: str, size: Size) -> float:
    """Variance 1 / fan-in; embeddings have unit variance, which pre-norm makes the natural unit.

    A tied embedding has the head's. `small` is Xavier's deviation of the MLP for all matrices
    (arXiv 1910.05895). Under mup embedding and head keep the variance that they have at the base.
    """
    if role in VECTORS:
        return 0.0
    width = architecture.shape.width
    if role != "hidden" and architecture.parametrization in ALIGNED:
        width = architecture.base_width or width
    if architecture.init == "small":
        std = math.sqrt(2 / (5 * width))
    elif role == "embedding" and not architecture.tied_head:
        std = 1.0
    else:
        std = 1 / math.sqrt(size[-1] if role == "hidden" else width)
    if role == "router":  # the head's multiplier is a part of its weights
        return std * architecture.head_multiplier
    return std if role != "hidden" else _on_branch(architecture, name, std)


def _on_branch(architecture: Architecture, name: str, std: float) -> float:
    """The deviation of a block's matrix as depth asks.

    Those that write to the residual stream are divided by sqrt(2 L), so that its variance does not
    grow with depth (GPT-2). DeepNet has (8 L)^(-1/4) instead (arXiv 2203.00555), sub-LN
    sqrt(log 2 L) (arXiv 2210.06423), both on values and the MLP, too.
    """
    depth = architecture.base_depth or architecture.passes
    if architecture.placement == "deepnorm":
        return std * (8 * depth) ** -0.25 if name.endswith(BRANCH_MATRICES) else std
    if architecture.placement == "sub_ln":
        return std * math.sqrt(math.log(2 * depth)) if name.endswith(BRANCH_MATRICES) else std
    return std / math.sqrt(2 * depth) if name.endswith(("out.weight", "down.weight")) else std

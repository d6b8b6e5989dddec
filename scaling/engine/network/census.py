"""What a network of anybody's is: its tensors, their roles, its FLOPs, by building and running it.

On the meta device, where tensors have sizes and no numbers, or with fake tensors of the CPU, which
have none either; if its code asks for numbers, on the CPU. FLOPs are those of torch's own formulas
(``torch.utils.flop_counter``), operation by operation, of one forward pass; the backward pass costs
twice that. A product is with weights if all that one side was made of are parameters: it counts in
the block or the unembedding, and else as attention.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from scalinglab.scaling.engine.network.module import (
    build,
    in_words,
    logits_of,
    options_in_words,
    persistent_buffers,
)
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import one_of
from scalinglab.scaling.model.module import ROLES, Census, ModuleNetwork, TensorCount

BATCH = 2  # of the pass that is counted
CONVOLUTIONS = (nn.modules.conv._ConvNd,)
_FORWARD_AND_BACKWARD = 3


def census(network: ModuleNetwork) -> Census:
    """Build a network and run it once.

    Raises
    ------
    ConfigError
        If it cannot be built, does not map tokens (B, T) to logits (B, T, V), or has parameters
        that are not float32 or not trained.
    """
    module, watch, logits, without_meta = _counted(network)
    _check_logits(network, logits)
    _check_parameters(network, module)
    roles = _roles(network, module, watch)
    growth = _growths(network, module, roles)
    uses = {
        n: watch.flops[n] / (2 * BATCH * network.context * p.numel()) for n, p in _named(module)
    }
    tensors = {
        name: TensorCount(tuple(p.shape), *roles[name], growth[name], uses[name])
        for name, p in _named(module)
    }
    tied = watch.head if roles.get(watch.head, ("",))[0] == "embedding" else ""
    counts = _counts(tensors, tied)
    embedding = next((t.size for t in tensors.values() if t.role == "embedding"), ())
    return Census(
        tensors=tensors,
        counts=counts,
        flops=_flops(network, watch, counts),
        kept_floats=_kept(network, module, watch),
        width=embedding[-1] if embedding else 0,
        depth=max((len(m) for m in module.modules() if isinstance(m, nn.ModuleList)), default=0),
        buffers={n: tuple(b.shape) for n, b in persistent_buffers(module).items()},
        tied=bool(tied),
        without_meta=without_meta,
    )


def _named(module: nn.Module) -> Iterable[tuple[str, nn.Parameter]]:
    return module.named_parameters()


def _counted(network: ModuleNetwork) -> tuple[nn.Module, _Watch, Any, str]:
    """A network that has run once, without numbers if its code lets it; and why it did not."""
    try:
        return *_on_meta(network), ""
    except ConfigError:
        raise
    except Exception as error:  # its code may ask for numbers
        without_meta = in_words(error)
    try:
        # Of fake tensors, which say that they are on the CPU, some libraries ask for none.
        with FakeTensorMode(allow_non_fake_inputs=True):
            return *_on_cpu(network), ""
    except Exception:
        pass
    try:
        return *_on_cpu(network), without_meta
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"model.target = {network.target!r} with {options_in_words(network)}: its forward pass on "
            f"tokens ({BATCH}, {network.context}) fails: {in_words(error)}"
        ) from error


def _on_meta(network: ModuleNetwork) -> tuple[nn.Module, _Watch, Any]:
    with torch.device("meta"):
        module = build(network, 0)
    module.to("meta")  # what was made of numbers, as tables are
    return _run(network, module, torch.zeros(*_size(network), dtype=torch.long, device="meta"))


def _on_cpu(network: ModuleNetwork) -> tuple[nn.Module, _Watch, Any]:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(network.vocab, _size(network), generator=generator)
    return _run(network, build(network, 0), tokens)


def _size(network: ModuleNetwork) -> tuple[int, int]:
    return BATCH, network.context


def _run(
    network: ModuleNetwork, module: nn.Module, tokens: Tensor
) -> tuple[nn.Module, _Watch, Any]:
    watch = _Watch(module, network.context, network.vocab)
    # Attention as its two products, which have formulas of their FLOPs on every device.
    with (
        torch.random.fork_rng(devices=[]),
        torch.enable_grad(),
        sdpa_kernel(SDPBackend.MATH),
        watch.kept(),
        watch,
    ):
        return module, watch, logits_of(module(tokens))


class _Watch(TorchDispatchMode):
    """Adds up the FLOPs of what runs below it, by the parameters in each product.

    Attributes
    ----------
    flops : dict
        Parameter -> forward FLOPs of products with it.
    maps, others, scores : int
        FLOPs of products of what is no weight: of maps between all tokens, and the rest; and the
        entries of those maps.
    kept_bytes : int
        Of what autograd keeps beside parameters.
    head : str
        The parameter in the last product that gives as many numbers as there are symbols.
    kernels : set
        Parameters of convolutions.
    """

    def __init__(self, module: nn.Module, context: int, vocab: int) -> None:
        super().__init__()
        self._context, self._vocab = context, vocab
        self._of = {_storage(p): {name} for name, p in module.named_parameters()}
        self._constants = {_storage(b) for b in module.buffers()}
        self._alive: list[Tensor] = []  # of weights: a storage that is freed may come again
        self.flops: defaultdict[str, float] = defaultdict(float)
        self.maps = self.others = self.scores = 0
        self.head = ""
        self.kernels: set[str] = set()
        self._kept: dict[int, tuple[Tensor, int]] = {}

    def kept(self) -> Any:
        """A context that notes what autograd keeps."""

        def keep(tensor: Tensor) -> Tensor:
            if _storage(tensor) not in self._of:
                self._kept[_storage(tensor)] = tensor, tensor.untyped_storage().nbytes()
            return tensor

        return torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)

    @property
    def kept_bytes(self) -> int:
        """See the class."""
        return sum(size for _, size in self._kept.values())

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        tensors = [t for t in torch.utils._pytree.tree_leaves((args, kwargs)) if _is(t)]
        made = [t for t in torch.utils._pytree.tree_leaves(out) if _is(t)]
        packet = function._overloadpacket
        if packet in flop_registry:
            count = flop_registry[packet](*args, **(kwargs or {}), out_val=out)
            self._add(packet, count, tensors, made[0])
        weights = [self._of.get(_storage(t)) for t in tensors]
        if tensors and all(
            w is not None or _storage(t) in self._constants
            for w, t in zip(weights, tensors, strict=True)
        ):
            names = set().union(*(w for w in weights if w))
            for tensor in made if names else ():
                self._of[_storage(tensor)] = names
                self._alive.append(tensor)
        return out

    def _add(self, packet: Any, count: int, tensors: list[Tensor], out: Tensor) -> None:
        sides = [t for t in tensors if t.dim() > 1]  # without what is added to the product
        names = set().union(*(self._of.get(_storage(t), set()) for t in sides))
        if names:
            for name in names:
                self.flops[name] += count / len(names)
            if out.shape[-1] == self._vocab or self._vocab in out.shape:
                self.head = min(names)
            if "conv" in str(packet):
                self.kernels |= names
            return
        square = (self._context, self._context)
        attention = "attention" in str(packet)
        if attention or any(tuple(t.shape[-2:]) == square for t in (out, *sides)):
            self.maps += count
            if attention:
                self.scores += math.prod(sides[0].shape[:-1]) * self._context
            elif tuple(out.shape[-2:]) == square:
                self.scores += out.numel()
        else:
            self.others += count


def _is(leaf: Any) -> bool:
    return isinstance(leaf, Tensor)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


# ---------------------------------------------------------------------- refusals


def _check_logits(network: ModuleNetwork, logits: Any) -> None:
    wanted = (BATCH, network.context, network.vocab)
    is_tensor = isinstance(logits, Tensor)
    if not is_tensor or tuple(logits.shape) != wanted or not logits.is_floating_point():
        found = f"a tensor {tuple(logits.shape)}" if is_tensor else f"a {type(logits).__name__}"
        raise ConfigError(
            f"model.target = {network.target!r} maps tokens {wanted[:2]} to {found}; expected are logits "
            f"{wanted}: (B, T, V), V = {network.vocab} symbols of the data; by themselves, first of a "
            "tuple, or as .logits"
        )


def _check_parameters(network: ModuleNetwork, module: nn.Module) -> None:
    said = f"model.target = {network.target!r}: the parameter"
    for name, parameter in _named(module):
        if parameter.dtype != torch.float32:
            raise ConfigError(f"{said} {name} is {parameter.dtype}; allowed is float32")
        if not parameter.requires_grad:
            raise ConfigError(
                f"{said} {name} is not trained (requires_grad = False): make it a buffer, and a "
                "checkpoint keeps it"
            )
    if not dict(_named(module)):
        raise ConfigError(f"model.target = {network.target!r} has no parameters")


# ---------------------------------------------------------------------- roles


def _roles(network: ModuleNetwork, module: nn.Module, watch: _Watch) -> dict[str, tuple[str, str]]:
    """Role of each parameter, and from what it was concluded; empty where it is stated."""
    stated = {**_annotated(network, module), **network.roles}
    unused = [pattern for pattern in stated if not _matching(pattern, module)]
    if unused:
        raise ConfigError(
            f"model.roles: no parameter of {network.target} is called {unused[0]!r}; there are "
            f"{', '.join(name for name, _ in _named(module))}"
        )
    found = {name: _guess(name, parameter, module, watch) for name, parameter in _named(module)}
    for pattern, role in stated.items():
        found |= dict.fromkeys(_matching(pattern, module), (role, ""))
    return found


def _annotated(network: ModuleNetwork, module: nn.Module) -> dict[str, str]:
    """The attribute ``roles`` of a module: pattern of names -> role."""
    roles = getattr(module, "roles", {})
    if not isinstance(roles, dict):
        return {}
    for pattern, role in roles.items():
        one_of(f"roles[{pattern!r}] of {network.target}", role, ROLES)
    return roles


def _matching(pattern: str, module: nn.Module) -> list[str]:
    return [name for name, _ in _named(module) if fnmatchcase(name, pattern)]


def _guess(name: str, parameter: nn.Parameter, module: nn.Module, watch: _Watch) -> tuple[str, str]:
    path, _, own = name.rpartition(".")
    owner = module.get_submodule(path)
    kind = type(owner).__name__
    if isinstance(owner, nn.Embedding):
        return "embedding", f"of {kind}"
    if parameter.dim() < 2:
        if own.endswith("bias") or own.startswith("bias"):
            return "bias", "its name"
        if "norm" in kind.lower() or own.endswith(("gain", "scale", "gamma")):
            return "gain", f"of {kind}"
        return "bias", "a vector"
    if not watch.flops[name]:
        return "other", "no product has it: no decay, rates as a bias"
    if name == watch.head and module.get_parameter(name).numel() % watch._vocab == 0:
        return "head", "the last product gives the logits"
    if name in watch.kernels:
        return "kernel", "of a convolution"
    return "hidden", "tokens are multiplied with it"


def _growths(
    network: ModuleNetwork, module: nn.Module, roles: dict[str, tuple[str, str]]
) -> dict[str, float]:
    """By what each tensor is longer than at the base; a matrix that ends in few is a router."""
    growth = dict.fromkeys(roles, 1.0)
    if network.parametrization == "sp":
        return growth
    base = network.base.census.tensors
    if set(base) != set(roles):
        raise ConfigError(
            f"model.base_options makes {network.target} with other parameters "
            f"({', '.join(sorted(set(base) ^ set(roles))[:3])}): the base differs in sizes alone"
        )
    for name, parameter in _named(module):
        size, at_base = tuple(parameter.shape), base[name].size
        if len(size) != len(at_base):
            raise ConfigError(f"model.base_options gives {name} another number of axes")
        ratios = [now / then for now, then in zip(size, at_base, strict=True)]
        role, why = roles[name]
        axis = 1 if role == "kernel" and len(ratios) > 1 else -1
        growth[name] = ratios[axis]
        if role == "hidden" and why and len(ratios) == 2 and ratios[0] == 1 < ratios[1]:
            roles[name] = "router", "its fan-in alone grows with the width"
    if all(ratio == 1 for ratio in growth.values()) and network.base_options != {
        key: network.options[key] for key in network.base_options
    }:
        raise ConfigError(
            f"model.base_options = {dict(network.base_options)} changes the size of no parameter of "
            f"{network.target}: name the options that make it wider"
        )
    return growth


# ---------------------------------------------------------------------- counts


def _counts(tensors: dict[str, TensorCount], tied: str) -> dict[str, int]:
    """Parameters by role, and the sums that studies use."""
    of_role: Counter[str] = Counter()
    for tensor in tensors.values():
        of_role[tensor.role] += math.prod(tensor.size)
    unembedding = math.prod(tensors[tied].size) if tied else of_role["head"]
    block = sum(of_role[role] for role in ("hidden", "kernel", "router"))
    active = sum(
        t.uses * math.prod(t.size)
        for name, t in tensors.items()
        if t.role != "head" and name != tied
    )
    return {
        "embedding": of_role["embedding"],
        "hidden": block,
        "gain": of_role["gain"],
        "bias": of_role["bias"],
        "other": of_role["other"],
        "unembedding": unembedding,
        "n_block": block,
        "n_matmul": block + unembedding,
        "n_total": sum(of_role.values()),
        "n_active": round(active) + unembedding,
    }


def _flops(
    network: ModuleNetwork,
    watch: _Watch,
    counts: dict[str, int],
) -> dict[str, int]:
    """FLOPs a trained token by part, as ``scalinglab.scaling.model.flops.flop_parts``."""
    tokens = BATCH * network.context
    block, unembedding = 6 * (counts["n_active"] - counts["unembedding"]), 6 * counts["unembedding"]
    maps, others, scores = (
        _FORWARD_AND_BACKWARD * count // tokens
        for count in (watch.maps, watch.others, 3 * watch.scores)
    )
    return {
        "block": block,
        "unembedding": unembedding,
        "matmul": block + unembedding,
        "attention_causal": maps // 2 + others,  # of a map half is seen
        "attention_full": maps + others,
        "softmax": scores,
        "embedding": 6 * counts["embedding"],
        "gain": 6 * (counts["gain"] + counts["bias"]),
    }


def _kept(network: ModuleNetwork, module: nn.Module, watch: _Watch) -> float:
    """Floats kept of a token, with its logits, their log-softmax and its gradient."""
    return watch.kept_bytes / 4 / (BATCH * network.context) + 3 * network.vocab

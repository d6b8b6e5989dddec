"""The operations of a network's pass, as torch dispatches them: FLOPs, roles and kept bytes."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from scalinglab.scaling.engine.network.grouped import GROUPED_FLOPS

_FLOPS = GROUPED_FLOPS | flop_registry  # torch's own formula where it has one


class Watch(TorchDispatchMode):
    """Sums the FLOPs of the operations run inside it, by the parameters in each product.

    Attributes
    ----------
    flops : dict
        Parameter -> forward FLOPs of products with it.
    maps, others : int
        FLOPs of products without weights: of maps between all tokens, and of the others.
    scores : int
        Entries of those maps.
    kept_bytes : int
        Bytes that autograd keeps beside parameters.
    head : str
        The parameter in the last product that gives as many numbers as there are symbols.
    kernels : set
        Parameters of convolutions.
    """

    def __init__(self, module: nn.Module, context: int, vocab: int) -> None:
        super().__init__()
        self._context, self.vocab = context, vocab
        self._of = {storage(p): {name} for name, p in module.named_parameters()}
        self._constants = {storage(b) for b in module.buffers()}
        self._alive: list[Tensor] = []  # made of weights; a freed storage may be used again
        self.flops: defaultdict[str, float] = defaultdict(float)
        self.maps = self.others = self.scores = 0
        self.head = ""
        self.kernels: set[str] = set()
        self._kept: dict[int, tuple[Tensor, int]] = {}

    def kept(self) -> Any:
        """A context that notes what autograd keeps."""

        def keep(tensor: Tensor) -> Tensor:
            if storage(tensor) not in self._of:
                self._kept[storage(tensor)] = tensor, tensor.untyped_storage().nbytes()
            return tensor

        return torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)

    @property
    def kept_bytes(self) -> int:
        """See the class."""
        return sum(size for _, size in self._kept.values())

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        tensors, results = tensors_of((args, kwargs)), tensors_of(result)
        packet = function._overloadpacket
        if packet in _FLOPS:
            count = _FLOPS[packet](*args, **(kwargs or {}), out_val=result)
            self._add(packet, count, tensors, results[0])
        weights = [self._of.get(storage(t)) for t in tensors]
        if tensors and all(
            w is not None or storage(t) in self._constants
            for w, t in zip(weights, tensors, strict=True)
        ):
            names = set().union(*(w for w in weights if w))
            for tensor in results if names else ():
                self._of[storage(tensor)] = names
                self._alive.append(tensor)
        return result

    def _add(self, packet: Any, count: int, tensors: list[Tensor], product: Tensor) -> None:
        sides = [t for t in tensors if t.dim() > 1]  # without what is added to the product
        names = set().union(*(self._of.get(storage(t), set()) for t in sides))
        if names:
            for name in names:
                self.flops[name] += count / len(names)
            if self.vocab in product.shape:
                self.head = min(names)
            if "conv" in str(packet):
                self.kernels |= names
            return
        square = (self._context, self._context)
        attention = "attention" in str(packet)
        if attention or any(tuple(t.shape[-2:]) == square for t in (product, *sides)):
            self.maps += count
            if attention:
                self.scores += math.prod(sides[0].shape[:-1]) * self._context
            elif tuple(product.shape[-2:]) == square:
                self.scores += product.numel()
        else:
            self.others += count


def tensors_of(tree: Any) -> list[Tensor]:
    """The tensors in nested arguments or results."""
    return [leaf for leaf in torch.utils._pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def storage(tensor: Tensor) -> int:
    """The identity of a tensor's storage, which its views share."""
    return int(tensor.untyped_storage()._cdata)

"""Which tensors of a source become which parameters of a run, by their names; and those of files."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scalinglab.scaling.config import InitFromConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.counts import tensor_sizes
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.records.initial_weights import InitialWeights, first_of
from scalinglab.scaling.records.weight_files import (
    check_finite,
    content_hash,
    keep_copy,
    read_tensors,
    weight_files,
)

Size = tuple[int, ...]
Sizes = Mapping[str, Size]
_BLOCK, _LAYER = r"blocks.\1.", r"model\.layers\.(\d+)\."
# What Llama and Qwen3 of transformers call their tensors -> what they are here.
_TRANSFORMERS = {
    r"model\.embed_tokens\.weight": "embedding.weight",
    r"model\.norm\.weight": "norm.gain",
    r"lm_head\.weight": "head.weight",
    rf"{_LAYER}self_attn\.q_norm\.weight": rf"{_BLOCK}attention.query_norm.gain",
    rf"{_LAYER}self_attn\.k_norm\.weight": rf"{_BLOCK}attention.key_norm.gain",
    rf"{_LAYER}self_attn\.q_proj\.weight": f"{_BLOCK}attention.query.weight",
    rf"{_LAYER}self_attn\.k_proj\.weight": f"{_BLOCK}attention.key.weight",
    rf"{_LAYER}self_attn\.v_proj\.weight": f"{_BLOCK}attention.value.weight",
    rf"{_LAYER}self_attn\.o_proj\.weight": f"{_BLOCK}attention.out.weight",
    rf"{_LAYER}mlp\.(gate|up|down)_proj\.weight": rf"{_BLOCK}\2.weight",
    rf"{_LAYER}input_layernorm\.weight": f"{_BLOCK}attention_norm.gain",
    rf"{_LAYER}post_attention_layernorm\.weight": f"{_BLOCK}mlp_norm.gain",
}


@dataclass(frozen=True)
class Match:
    """What became of names.

    Attributes
    ----------
    pairs : mapping of str to str
        Parameter here -> tensor there.
    left, unused : tuple of str
        Parameters that no tensor is for, and tensors that are for none.
    """

    pairs: Mapping[str, str]
    left: tuple[str, ...]
    unused: tuple[str, ...]


def sizes_of(network: Network) -> Sizes:
    """What a checkpoint of a network has, by name: parameters, and buffers of its own."""
    if isinstance(network, ModuleNetwork):
        census = network.census
        return {name: tuple(t.size) for name, t in census.tensors.items()} | dict(census.buffers)
    return {name: tuple(size) for name, size in tensor_sizes(network).items()}


def match(
    there: Sizes,
    here: Sizes,
    names: Mapping[str, str],
    source: str,
    buffers: Collection[str] = (),
) -> Match:
    """Find the tensor of each parameter.

    Parameters
    ----------
    there, here : mapping
        Sizes of what the source has, and of what the run has.
    names : mapping
        Name or regular expression there -> name here; a name of none is itself.
    source : str
        In words, for messages.
    buffers : collection of str
        Of what the run has; one that no tensor is for is as the network makes it, and not left.

    Raises
    ------
    ConfigError
        If sizes differ, two tensors are for one parameter, or none is for any.
    """
    pairs: dict[str, str] = {}
    unused = []
    for name in there:
        target = _renamed(name, names)
        if target not in here:
            unused.append(name)
        elif target in pairs:
            raise ConfigError(
                f"init_from.names makes two tensors of {source}, {pairs[target]} and {name}, the "
                f"parameter {target}"
            )
        else:
            pairs[target] = name
    _check_sizes(pairs, there, here, source)
    if not pairs:
        raise ConfigError(
            f"init_from: no tensor of {source} has the name of a parameter of the model; there are "
            f"{first_of(list(there))} there and {first_of(list(here))} here: say which is which in "
            "init_from.names"
        )
    left = tuple(name for name in here if name not in pairs and name not in buffers)
    return Match(pairs, left, tuple(unused))


def _renamed(name: str, names: Mapping[str, str]) -> str:
    if name in names:
        return names[name]
    for pattern, target in names.items():
        if (found := re.fullmatch(pattern, name)) is not None:
            return found.expand(target)
    return name


def _check_sizes(pairs: Mapping[str, str], there: Sizes, here: Sizes, source: str) -> None:
    wrong = [
        f"{there_name} is {_by(there[there_name])} there and {_by(here[name])} here"
        for name, there_name in pairs.items()
        if there[there_name] != here[name]
    ]
    if wrong:
        raise ConfigError(
            f"init_from: {len(wrong)} of {len(pairs)} tensors of {source} have another size than the "
            f"model's: {first_of(wrong)}; give the model the source's sizes, or leave them out with "
            "init_from.names ({NAME: ''})"
        )


def _by(size: Size) -> str:
    return " x ".join(f"{n:,}" for n in size) or "one number"


def matched(
    weights: InitialWeights, config: InitFromConfig, there: Sizes, network: Network
) -> InitialWeights:
    """Weights with the names that a person gave, and with what they matched.

    Raises
    ------
    ConfigError
        As `match`, and if a name that was given is none there.
    """
    _check_names(config.names, there, weights.source)
    names = _ordered(there, {**config.names, **weights.names, **config.names})
    buffers = network.census.buffers if isinstance(network, ModuleNetwork) else ()
    result = match(there, sizes_of(network), names, weights.source, buffers)
    return replace(
        weights, names=names, matched=len(result.pairs), left=result.left, unused=result.unused
    )


def _ordered(there: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Names that mean the same in any order, as an identity has no order.

    A tensor of which two regular expressions make different parameters is named itself, by the
    first of them.
    """
    settled = dict(names)
    for name in there:
        found = (re.fullmatch(pattern, name) for pattern in names)
        targets = [m.expand(t) for m, t in zip(found, names.values(), strict=True) if m is not None]
        if name not in names and len(set(targets)) > 1:
            settled[name] = targets[0]
    return settled


def _check_names(names: Mapping[str, str], there: Iterable[str], source: str) -> None:
    for pattern, target in names.items():
        key = f"init_from.names: {pattern!r}"
        if pattern in there:
            continue
        try:
            found = [m for name in there if (m := re.fullmatch(pattern, name)) is not None]
            if found:
                found[0].expand(target)
        except (re.error, IndexError) as error:
            raise ConfigError(f"{key}: {target!r} is no regular expression ({error})") from None
        if not found:
            raise ConfigError(
                f"{key} matches no tensor of {source}; there are {first_of(list(there))}"
            )


class WeightFiles:
    """Files of weights, each read, hashed and copied once.

    Parameters
    ----------
    outputs : Path
    """

    def __init__(self, outputs: Path) -> None:
        self.outputs = outputs
        self._read: dict[str, tuple[InitialWeights, Sizes]] = {}

    def of(self, config: InitFromConfig, network: Network) -> InitialWeights:
        """The weights of a file, for a network.

        Raises
        ------
        ConfigError, DamagedFile
            If it cannot be read, or nothing can begin with it.
        """
        assert config.file is not None
        if config.file not in self._read:
            self._read[config.file] = self._look(Path(config.file).expanduser())
        weights, sizes = self._read[config.file]
        if isinstance(network, ModuleNetwork):  # its names are its own
            weights = replace(weights, names={})
        return matched(weights, config, sizes, network)

    def _look(self, path: Path) -> tuple[InitialWeights, Sizes]:
        files = weight_files(path, "init_from.file")
        tensors = read_tensors(files)
        check_finite(tensors, f"init_from.file = {str(path)!r}")
        content = content_hash(tensors)
        keep_copy(files, content, self.outputs)
        sizes = {name: tensor.size for name, tensor in tensors.items()}
        return InitialWeights(content, _usual_names(path, sizes), str(path)), sizes


def _usual_names(path: Path, there: Iterable[str]) -> dict[str, str]:
    """What tensors of a model of transformers are here, by the configuration beside them."""
    file = (path if path.is_dir() else path.parent) / "config.json"
    try:
        kind = json.loads(file.read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    if kind not in ("llama", "qwen3"):
        return {}
    return {n: t for n, t in _TRANSFORMERS.items() if any(re.fullmatch(n, name) for name in there)}

"""Initial weights: the tensors of a source are matched to the parameters of a run by name."""

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
# Names of tensors in Llama and Qwen3 of transformers -> names here.
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
    """The matched and unmatched names.

    Attributes
    ----------
    pairs : mapping of str to str
        Parameter of the run -> tensor of the source.
    left, unused : tuple of str
        Parameters without a tensor, and tensors without a parameter.
    """

    pairs: Mapping[str, str]
    left: tuple[str, ...]
    unused: tuple[str, ...]


def sizes_of(network: Network) -> Sizes:
    """Name -> size of everything in a network's checkpoint: parameters and persistent buffers."""
    if isinstance(network, ModuleNetwork):
        census = network.census
        return {name: tuple(t.size) for name, t in census.tensors.items()} | dict(census.buffers)
    return {name: tuple(size) for name, size in tensor_sizes(network).items()}


def match(
    source_sizes: Sizes,
    sizes: Sizes,
    names: Mapping[str, str],
    source: str,
    buffers: Collection[str] = (),
) -> Match:
    """Find the tensor of each parameter.

    Parameters
    ----------
    source_sizes, sizes : mapping
        Sizes of the source's tensors, and of the run's parameters.
    names : mapping
        Name or regular expression in the source -> name in the run; other names are kept.
    source : str
        The source in words, for messages.
    buffers : collection of str
        Buffers among `sizes`; one without a tensor keeps the network's value and is not `left`.

    Raises
    ------
    ConfigError
        If sizes differ, two tensors match one parameter, or none matches any.
    """
    pairs: dict[str, str] = {}
    unused = []
    for name in source_sizes:
        target = _renamed(name, names)
        if target not in sizes:
            unused.append(name)
        elif target in pairs:
            raise ConfigError(
                f"init_from.names makes two tensors of {source}, {pairs[target]} and {name}, the "
                f"parameter {target}"
            )
        else:
            pairs[target] = name
    _check_sizes(pairs, source_sizes, sizes, source)
    if not pairs:
        raise ConfigError(
            f"init_from: no tensor of {source} has the name of a parameter of the model; there are "
            f"{first_of(list(source_sizes))} there and {first_of(list(sizes))} here: say which is "
            "which in init_from.names"
        )
    left = tuple(name for name in sizes if name not in pairs and name not in buffers)
    return Match(pairs, left, tuple(unused))


def _renamed(name: str, names: Mapping[str, str]) -> str:
    if name in names:
        return names[name]
    for pattern, target in names.items():
        if (full_match := re.fullmatch(pattern, name)) is not None:
            return full_match.expand(target)
    return name


def _check_sizes(pairs: Mapping[str, str], source_sizes: Sizes, sizes: Sizes, source: str) -> None:
    wrong = [
        f"{source_name} is {_by(source_sizes[source_name])} there and {_by(sizes[name])} here"
        for name, source_name in pairs.items()
        if source_sizes[source_name] != sizes[name]
    ]
    if wrong:
        raise ConfigError(
            f"init_from: {len(wrong)} of {len(pairs)} tensors of {source} have another size than "
            f"the model's: {first_of(wrong)}; give the model the source's sizes, or leave them out "
            "with init_from.names ({NAME: ''})"
        )


def _by(size: Size) -> str:
    return " x ".join(f"{n:,}" for n in size) or "one number"


def matched(
    weights: InitialWeights, config: InitFromConfig, source_sizes: Sizes, network: Network
) -> InitialWeights:
    """Weights with a person's names, and with the match.

    Raises
    ------
    ConfigError
        As `match`, and if a given name is not in the source.
    """
    _check_names(config.names, source_sizes, weights.source)
    names = _ordered(source_sizes, {**config.names, **weights.names, **config.names})
    buffers = network.census.buffers if isinstance(network, ModuleNetwork) else ()
    matching = match(source_sizes, sizes_of(network), names, weights.source, buffers)
    return replace(
        weights,
        names=names,
        matched=len(matching.pairs),
        left=matching.left,
        unused=matching.unused,
    )


def _ordered(source_names: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Equivalent names whose order does not matter, as an identity has no order.

    A tensor that two regular expressions map to different parameters gets an entry of its own, by
    the first expression.
    """
    settled = dict(names)
    for name in source_names:
        matches = (re.fullmatch(pattern, name) for pattern in names)
        pairs = zip(matches, names.values(), strict=True)
        targets = [match.expand(target) for match, target in pairs if match is not None]
        if name not in names and len(set(targets)) > 1:
            settled[name] = targets[0]
    return settled


def _check_names(names: Mapping[str, str], source_names: Iterable[str], source: str) -> None:
    for pattern, target in names.items():
        key = f"init_from.names: {pattern!r}"
        if pattern in source_names:
            continue
        try:
            matches = [m for name in source_names if (m := re.fullmatch(pattern, name)) is not None]
            if matches:
                matches[0].expand(target)
        except (re.error, IndexError) as error:
            raise ConfigError(f"{key}: {target!r} is no regular expression ({error})") from None
        if not matches:
            raise ConfigError(
                f"{key} matches no tensor of {source}; there are {first_of(list(source_names))}"
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
        """The initial weights of a network from a file.

        Raises
        ------
        ConfigError, DamagedFile
            If the file cannot be read, or matches no parameter.
        """
        assert config.file is not None
        if config.file not in self._read:
            self._read[config.file] = self._look(Path(config.file).expanduser())
        weights, sizes = self._read[config.file]
        if isinstance(network, ModuleNetwork):  # the names of its tensors are unknown
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


def _usual_names(path: Path, source_names: Iterable[str]) -> dict[str, str]:
    """Names for the tensors of a model of transformers, by the configuration next to its files."""
    file = (path if path.is_dir() else path.parent) / "config.json"
    try:
        kind = json.loads(file.read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    if kind not in ("llama", "qwen3"):
        return {}
    return {
        pattern: target
        for pattern, target in _TRANSFORMERS.items()
        if any(re.fullmatch(pattern, name) for name in source_names)
    }

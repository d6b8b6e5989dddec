"""The weights that a run begins with: drawn, or those of a checkpoint or a file in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.trainer.checkpoint import load_checkpoint
from scalinglab.scaling.engine.trainer.evaluation import evaluation_weights
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.initial_weights import InitialWeights
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.weight_files import StoredTensor, read_copy
from scalinglab.scaling.run.initial_weights import match, sizes_of


class _Renamed(Mapping[str, Tensor]):
    """Tensors of a source by the names of parameters; each is looked at when it is asked for."""

    def __init__(self, pairs: Mapping[str, str], source: Mapping[str, Tensor], words: str) -> None:
        self._pairs, self._source, self._words = pairs, source, words

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._source[self._pairs[name]]
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise UserError(
                f"init_from: {self._pairs[name]} of {self._words} has numbers that are not finite"
            )
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


class _OfFiles(Mapping[str, Tensor]):
    """The tensors of files, each read when it is asked for."""

    def __init__(self, tensors: Mapping[str, StoredTensor]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        stored = self._tensors[name]
        tensor = torch.from_numpy(stored.read().copy())
        return tensor.view(torch.bfloat16) if stored.dtype == "BF16" else tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def begun_with(outputs: Path, spec: RunSpec) -> Mapping[str, Tensor]:
    """The weights that a run takes instead of drawing them, by its own names.

    Raises
    ------
    UserError
        If they are not there, are not what was planned with, or are not finite.
    """
    initial = spec.initial
    assert initial is not None
    source = _source(outputs, initial)
    source_sizes = {name: tuple(tensor.shape) for name, tensor in source.items()}
    run_sizes = sizes_of(spec.architecture)
    pairs = match(source_sizes, run_sizes, initial.names, initial.source).pairs
    return _Renamed(pairs, source, initial.source)


def weights_at_start(outputs: Path, spec: RunSpec) -> dict[str, Tensor]:
    """All weights that a run begins with, by name."""
    drawn = dict(initial_weights(spec.architecture, spec.seed))
    return drawn if spec.initial is None else drawn | dict(begun_with(outputs, spec))


def _source(outputs: Path, initial: InitialWeights) -> Mapping[str, Tensor]:
    place = initial.place(outputs)
    if place is None:
        raise UserError(_missing(outputs, initial))
    if not initial.is_checkpoint:
        return _OfFiles(read_copy(place))
    assert initial.run is not None
    checkpoint = load_checkpoint(place)
    if (checkpoint.step, checkpoint.prefix_id) != _named(initial):
        raise DamagedFile(place, f"it holds step {checkpoint.step} of {checkpoint.prefix_id}")
    return evaluation_weights(RunFolder(outputs / "runs" / initial.run).spec(), checkpoint)


def _missing(outputs: Path, initial: InitialWeights) -> str:
    """The message where the weights are not in their place."""
    if initial.is_checkpoint:
        expected = outputs / "checkpoints" / initial.content
        return f"init_from: the weights of {initial.source} are not at {expected}"
    return f"init_from: the copy of {initial.source} is gone; launch the study again"


def _named(initial: InitialWeights) -> tuple[int, str]:
    """The step and the prefix in the name of a checkpoint."""
    step, _, prefix = initial.content.rpartition("/")[2].partition("-")
    return int(step), prefix

"""run.json, read in one place: all that is known of a run before it is trained.

Stored science is read without validation. It may be older than a key, which then has its historic
value, or newer than this code: keys that this code does not know are kept in `science`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import TrainerConfig
from scalinglab.scaling.model.module import Network, network_from_science
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.records.damage import DamagedFile, check_shape, reading
from scalinglab.scaling.records.damage import Shape as FileShape
from scalinglab.scaling.records.data_spec import DataSpec, known_fields
from scalinglab.scaling.records.identity import (
    IDENTITY_VERSION,
    run_id,
    science_pieces,
    with_historic,
)
from scalinglab.scaling.records.initial_weights import KEY, InitialWeights
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.text.flatten import flatten

_NUMBER = (int, float)
_SCIENCE: FileShape = {
    "steps": int,
    "schedule": list,
    "model": dict,
    "data": dict,
    "optimizer": dict,
}
_RUN: FileShape = {
    "run_id": str,
    "family_id": str,
    "science": _SCIENCE,
    "config": dict,
    "shape": dict,
    "counts": dict,
    "flops": dict,
    "lr_peak": _NUMBER,
    "tokens_per_step": int,
    "unique_tokens": int,
    "bytes_per_token": _NUMBER,
}


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer by its name, and its settings by their keys."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class RunSpec:
    """One run with all values determined, as in run.json and in its record.

    Attributes
    ----------
    run_id, family_id : str
        Identity, and the identity without schedule and length.
    architecture : Network
        The network.
    data : DataSpec
    optimizer : OptimizerSpec
    pieces : tuple of Piece
        The schedule.
    schedule_kind : str
        The kind of the schedule in the configuration.
    batch, steps : int
        Sequences of a step, and the number of steps.
    seed : int
        Seed of the initial weights.
    precision : str
    z_loss : float
    trainer : TrainerConfig
    shape : Shape
        Sizes of the model.
    counts, flops : mapping of str to int
        Parameter counts by role, FLOPs a token by part.
    lr_peak : float
    tokens, tokens_per_step : int
        D, and the tokens of one step.
    unique_tokens : int
        Tokens of the pool that the run draws from.
    bytes_per_token : float
        NaN if the run is read from its record, which lacks it.
    irreducible_loss : float or None
        Entropy of the source in nats per token, if it is known.
    excluded : tuple of int
        Tokens that do not count as targets of the loss, such as separators of documents.
    unigram_entropy : float or None
        Loss, on the validation windows, of a model that knows the frequency of each token; None if
        the store does not have it.
    initial : InitialWeights or None
        The weights with which it begins; None: drawn from the seed.
    config : mapping
        The configuration of the person, as plain values.
    science : mapping
        Exactly as stored: for identity and for writing only.
    """

    run_id: str
    family_id: str
    architecture: Network
    data: DataSpec
    optimizer: OptimizerSpec
    pieces: tuple[Piece, ...]
    schedule_kind: str
    batch: int
    steps: int
    seed: int
    precision: str
    z_loss: float
    trainer: TrainerConfig
    shape: Shape
    counts: Mapping[str, int]
    flops: Mapping[str, int]
    lr_peak: float
    tokens: int
    tokens_per_step: int
    unique_tokens: int
    bytes_per_token: float
    irreducible_loss: float | None
    excluded: tuple[int, ...]
    unigram_entropy: float | None
    initial: InitialWeights | None
    config: Mapping[str, Any]
    science: Mapping[str, Any]

    @classmethod
    def from_dict(cls, run: Mapping[str, Any]) -> RunSpec:
        """Read the content of a run.json.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it describes no run.
        """
        science = with_historic(run["science"])
        optimizer = dict(science["optimizer"])
        steps, tokens_per_step = science["steps"], run["tokens_per_step"]
        return cls(
            run_id=run["run_id"],
            family_id=run["family_id"],
            architecture=network_from_science(science["model"]),
            data=DataSpec.from_science(science),
            optimizer=OptimizerSpec(optimizer.pop("name"), optimizer),
            pieces=tuple(science_pieces(science)),
            schedule_kind=run["config"]["schedule"]["kind"],
            batch=science["batch"],
            steps=steps,
            seed=science["seed"],
            precision=science["precision"],
            z_loss=science["z_loss"],
            trainer=known_fields(TrainerConfig, science["trainer"]),
            shape=Shape(**{f.name: run["shape"][f.name] for f in fields(Shape)}),
            counts=run["counts"],
            flops=run["flops"],
            lr_peak=run["lr_peak"],
            tokens=steps * tokens_per_step,
            tokens_per_step=tokens_per_step,
            unique_tokens=run["unique_tokens"],
            bytes_per_token=run["bytes_per_token"],
            irreducible_loss=run["irreducible_loss"],
            excluded=tuple(run.get("excluded") or ()),
            unigram_entropy=run.get("unigram_entropy"),
            initial=InitialWeights.stored(science, run.get(KEY) or {}),
            config=run["config"],
            science=run["science"],
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> RunSpec:
        """Read the run from its record.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it holds no run.
        """
        science = record["science"]
        return cls.from_dict(
            {
                **record,
                "family_id": record["cluster"],
                "tokens_per_step": science["batch"] * science["model"]["context"],
                "bytes_per_token": math.nan,
                "irreducible_loss": record["final"].get("irreducible_loss"),
                "unigram_entropy": record["final"].get("unigram_entropy"),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of run.json."""
        return {
            "run_id": self.run_id,
            "family_id": self.family_id,
            "science": self.science,
            "config": self.config,
            "shape": dict(vars(self.shape)),
            "counts": self.counts,
            "flops": self.flops,
            "lr_peak": self.lr_peak,
            "steps": self.steps,
            "tokens": self.tokens,
            "tokens_per_step": self.tokens_per_step,
            "unique_tokens": self.unique_tokens,
            "bytes_per_token": self.bytes_per_token,
            "irreducible_loss": self.irreducible_loss,
            # Older runs, and data without documents, do not have these keys.
            **({"excluded": list(self.excluded)} if self.excluded else {}),
            **({} if self.unigram_entropy is None else {"unigram_entropy": self.unigram_entropy}),
            **({} if self.initial is None else {KEY: self.initial.facts()}),
        }

    @property
    def is_command(self) -> bool:
        """Whether a program of somebody else trains the run (``trainer=command``)."""
        return self.trainer.kind == "command"

    @property
    def all_pieces(self) -> list[Sequence[Piece]]:
        """All functions of the step: the schedule first, then the share of each pool."""
        return [self.pieces, *self.data.mixture.values()]

    def drawn(self, steps: int) -> dict[str, dict[str, float]]:
        """Pool -> tokens, share and epochs in the first `steps` steps; empty without pools."""
        if not self.data.pools or not steps:
            return {}
        counts = self.data.shares(self.batch).drawn(steps * self.batch)
        context = self.shape.context
        return {
            pool: {
                "tokens": count * context,
                "share": count / (steps * self.batch),
                "unique_tokens": self.data.pools[pool].unique_tokens,
                "epochs": count * context / self.data.pools[pool].unique_tokens,
            }
            for pool, count in counts.items()
        }

    def settings(self) -> dict[str, Any]:
        """Dotted key -> value of the configuration, with the determined sizes of the model."""
        model = {**self.config["model"], **vars(self.shape)}
        return flatten({**self.config, "model": model})


def read_spec(path: Path, run: Any) -> RunSpec:
    """The run that the content of a run.json describes.

    Parameters
    ----------
    path : Path
        The file; the folder that holds it has the run's id as its name.
    run : dict
        Its content.

    Raises
    ------
    DamagedFile
        Also if its science is not that of the run's id: it would be trained under a wrong name.
    """
    check_shape(path, run, _RUN)
    _check_identity(path, run)
    with reading(path, "it describes no run"):
        return RunSpec.from_dict(run)


def _check_identity(path: Path, run: Mapping[str, Any]) -> None:
    """Raise `DamagedFile` unless a run's science makes its id, and its folder has that name."""
    name, science = path.parent.name, run["science"]
    if science.get("identity_version", IDENTITY_VERSION) != IDENTITY_VERSION:
        return  # another version makes other ids
    with reading(path, "its science makes no id"):
        science_id = run_id(science)
    if not science_id == run["run_id"] == name:
        raise DamagedFile(
            path,
            f"its science is that of the run {science_id}, but its folder is that "
            f"of {name} and its run_id {run['run_id']}",
        )

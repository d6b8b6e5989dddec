"""run.json, read in one place: all that is known of a run before anything of it is trained.

Stored science is read as it stands, not validated: it may be older than some key, which then has
its historic value, or younger than this code, which then keeps what it does not know in `science`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from scalinglab.scaling.config import TrainerConfig
from scalinglab.scaling.model.architecture import Shape
from scalinglab.scaling.model.module import Network, network_from_science
from scalinglab.scaling.records.damage import DamagedFile, check_shape, reading
from scalinglab.scaling.records.damage import Shape as FileShape
from scalinglab.scaling.records.identity import (
    IDENTITY_VERSION,
    digest,
    mixture_pieces,
    run_id,
    science_pieces,
    with_historic,
)
from scalinglab.scaling.records.initial_weights import KEY, InitialWeights
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.shares import Shares
from scalinglab.scaling.text.flatten import flatten

T = TypeVar("T")
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
class PoolSpec:
    """One pool of several.

    Attributes
    ----------
    source, content : str
        Name of the source, and the hash of its tokens.
    unique_tokens : int
    noise : float
        Share of its training tokens that are replaced.
    select, weight, validation_select : mapping or None
        By what its documents are chosen and weighted; None: all, equally.
    """

    source: str
    content: str
    unique_tokens: int
    noise: float = 0.0
    select: Mapping[str, Any] | None = None
    weight: Mapping[str, Any] | None = None
    validation_select: Mapping[str, Any] | None = None

    @property
    def chosen(self) -> dict[str, Any]:
        """By what documents are chosen, as it stands in the science."""
        return _chosen(self)

    @property
    def validation_content(self) -> str:
        """What tells its validation set from others."""
        return _validation_content(self)


@dataclass(frozen=True)
class DataSpec:
    """What a run is trained on.

    Attributes
    ----------
    source, content : str
        Name of the source, and the hash of its tokens; of several pools, their names joined by
        pluses, and the hash of all.
    validation_tokens, unique_tokens : int
        Tokens of the validation set (of each pool's), and of the pool (of all pools).
    seed : int
        Of the order.
    noise, select, weight, validation_select
        As a pool's.
    pools : mapping of str to PoolSpec
        Empty where there is one.
    mixture : mapping of str to tuple of Piece
        Pool -> its share over the steps.
    """

    source: str
    content: str
    validation_tokens: int
    unique_tokens: int
    seed: int
    noise: float = 0.0
    select: Mapping[str, Any] | None = None
    weight: Mapping[str, Any] | None = None
    validation_select: Mapping[str, Any] | None = None
    pools: Mapping[str, PoolSpec] = field(default_factory=dict)
    mixture: Mapping[str, tuple[Piece, ...]] = field(default_factory=dict)

    @property
    def chosen(self) -> dict[str, Any]:
        """By what documents of one source are chosen, as it stands in the science."""
        return _chosen(self)

    @property
    def validation_content(self) -> str:
        """What tells its validation set from others: the hash of its data, and a selection's."""
        return _validation_content(self)

    @classmethod
    def from_science(cls, science: Mapping[str, Any]) -> DataSpec:
        """Read what a science says of the data; it has every key that joined later."""
        data = science["data"]
        values = {f.name: data[f.name] for f in fields(cls) if f.name not in ("pools", "mixture")}
        pools = {name: known_fields(PoolSpec, pool) for name, pool in data["pools"].items()}
        mixture = {name: tuple(pieces) for name, pieces in mixture_pieces(science).items()}
        return cls(**values, pools=pools, mixture=mixture)

    def shares(self, batch: int) -> Shares:
        """Which of its pools each sequence is drawn from, with so many sequences a step."""
        return Shares(self.mixture, batch)


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer by its name, and its settings by their keys."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class RunSpec:
    """One determined run, as run.json describes it and its record repeats it.

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
        The kind that a person named.
    batch, steps : int
        Sequences of a step, and how many steps.
    seed : int
        Of the initial weights.
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
        NaN where the run is read from its record, which does not say.
    irreducible_loss : float or None
        Where the source knows it.
    excluded : tuple of int
        Targets that count nothing in the loss, as what ends a document.
    unigram_entropy : float or None
        Loss, on the validation windows, of a model that knows how often each token is; None where
        the store does not tell.
    initial : InitialWeights or None
        The weights that it begins with; None: drawn ones.
    config : mapping
        What a person asked for, as plain values.
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
        """Read the run that a record repeats.

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
            # What runs of before, and data without documents, do not say.
            **({"excluded": list(self.excluded)} if self.excluded else {}),
            **({} if self.unigram_entropy is None else {"unigram_entropy": self.unigram_entropy}),
            **({} if self.initial is None else {KEY: self.initial.facts()}),
        }

    @property
    def is_command(self) -> bool:
        """Whether a program that is not ours trains the run."""
        return self.trainer.kind == "command"

    @property
    def all_pieces(self) -> list[Sequence[Piece]]:
        """What changes over the steps: the schedule first, then the share of each pool."""
        return [self.pieces, *self.data.mixture.values()]

    def drawn(self, steps: int) -> dict[str, dict[str, float]]:
        """Pool -> what the first `steps` steps draw of it; empty where there is one pool."""
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
        """Dotted key -> value of the configuration, the sizes of the model determined."""
        model = {**self.config["model"], **vars(self.shape)}
        return flatten({**self.config, "model": model})


def _chosen(data: DataSpec | PoolSpec) -> dict[str, Any]:
    keys = ("select", "weight", "validation_select")
    return {key: value for key in keys if (value := getattr(data, key)) is not None}


def _validation_content(data: DataSpec | PoolSpec) -> str:
    if data.validation_select is None:
        return data.content
    return f"{data.content}/{digest(dict(data.validation_select), 6)}"


def mixture_text(mixture: Mapping[str, Sequence[Piece]]) -> str:
    """The shares of the pools in a line, "web 0.7, code 0.3"; of one that moves, from and to."""
    texts = []
    for pool, pieces in sorted(mixture.items()):
        first, last = pieces[0].start, pieces[-1].end
        moved = "" if first == last else f" to {last:.4g}"
        texts.append(f"{pool} {first:.4g}{moved}")
    return ", ".join(texts)


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
        return  # ids of another version are made in another way
    with reading(path, "its science makes no id"):
        made_id = run_id(science)
    if not made_id == run["run_id"] == name:
        raise DamagedFile(
            path,
            f"its science is that of the run {made_id}, but its folder is that "
            f"of {name} and its run_id {run['run_id']}",
        )


def known_fields(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass from the keys that it knows; keys that are absent have its defaults."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: values[name] for name in names if name in values})

"""From a configuration to one fully determined run.

``resolve`` derives every value that was left open (width, heads, peak LR, steps), checks that the
values make sense together and with the data, and returns the science dictionary that is the run's
identity. Nothing is derived later than here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from scalinglab.scaling.config import InitFromConfig, RunConfig
from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.mixed import data_of_one
from scalinglab.scaling.data.selection import KEYS
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import one_of
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import network_of
from scalinglab.scaling.model.flops import flop_parts, flops_per_token
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.model.parametrization import check_optimizer
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.optimizer import optimizer_science, program_science
from scalinglab.scaling.records.identity import IDENTITY_VERSION, family_id, run_id
from scalinglab.scaling.records.initial_weights import InitialWeights
from scalinglab.scaling.run.command_line import check_command
from scalinglab.scaling.run.data import Length, run_data
from scalinglab.scaling.run.engines import allowed_engines, check_engine, engine_definition
from scalinglab.scaling.run.measurement_checks import check_measurements
from scalinglab.scaling.run.measurements import MEASUREMENTS
from scalinglab.scaling.run.module_checks import check_module
from scalinglab.scaling.run.part_checks import check_engine_of_parts, check_parts
from scalinglab.scaling.run.process_count import check_processes
from scalinglab.scaling.run.rules import Given, determine
from scalinglab.scaling.schedule.build import build_pieces
from scalinglab.scaling.schedule.pieces import Piece, plain, top_rate

MAX_STEPS = 100_000_000
PRECISIONS = ("fp32", "tf32", "bf16")
PROGRAM_PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "fp8")  # precisions that a program may state
DEVICES = ("cpu", "cuda")
FindWeights = Callable[[InitFromConfig, Network, int], InitialWeights]


@dataclass(frozen=True)
class Run:
    """One determined run.

    Attributes
    ----------
    run_id, family_id : str
        Identity, and the identity without schedule and length.
    science : dict
        The plain values that are hashed.
    config : RunConfig
        The configuration with the values of rules for all numbers but the LR.
    written : RunConfig
        The configuration of the person.
    given : dict
        Hyper-parameter -> the value of its rule.
    architecture : Network
        The network.
    counts, flops : dict
        Parameter counts by role, FLOPs a token by part.
    pieces : list of Piece
        The schedule.
    initial : InitialWeights or None
        The weights with which it begins; None: drawn from the seed.
    mixture : dict of str to list of Piece
        Pool -> its share over the steps; empty for a single source.
    lr : float
        Peak LR.
    steps, tokens : int
        Updates, and D = steps * batch * context.
    unique_tokens : int
        Tokens of the pool that the run draws from, or of all its pools.
    """

    run_id: str
    family_id: str
    science: dict[str, Any]
    config: RunConfig
    architecture: Network
    counts: dict[str, int]
    flops: dict[str, int]
    pieces: list[Piece]
    mixture: dict[str, list[Piece]]
    lr: float
    steps: int
    tokens: int
    unique_tokens: int
    written: RunConfig
    given: dict[str, Given]
    initial: InitialWeights | None = None

    @property
    def shape(self) -> Shape:
        """Sizes of the model."""
        return self.architecture.shape

    @property
    def C(self) -> float:
        """Training FLOPs in the default convention."""
        return flops_per_token(self.flops) * self.tokens

    @property
    def all_pieces(self) -> list[list[Piece]]:
        """All functions of the step: the schedule first, then the share of each pool."""
        return [self.pieces, *self.mixture.values()]

    @property
    def is_command(self) -> bool:
        """Whether a program of somebody else trains it."""
        return self.config.trainer.kind == "command"

    @property
    def batch(self) -> int:
        """Sequences of one update."""
        return self.config.sequences

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one update."""
        return self.batch * self.shape.context


def no_weights(config: InitFromConfig, network: Network, seed: int) -> InitialWeights:
    """Initial weights without access to other runs and files: none."""
    raise ConfigError("init_from: here runs begin with the weights that they draw")


def resolve(config: RunConfig, manifest: Manifest, weights: FindWeights = no_weights) -> Run:
    """Determine a run, or refuse it.

    Parameters
    ----------
    config : RunConfig
    manifest : Manifest
        The manifest of its data.
    weights : callable
        Gives the weights of ``init_from`` for a network and a seed.

    Raises
    ------
    ConfigError
        On any value or combination that cannot be trained; names the key and what is allowed.
    """
    written = config
    config = replace(config, data=data_of_one(config.data))
    architecture = network_of(config.model, manifest.vocab)
    shape = architecture.shape
    counts = parameter_counts(architecture)
    determined = determine(config, counts, shape.context)
    config, lr = determined.config, determined.lr
    _check_trainer(config)
    if config.trainer.kind == "engine":
        _check_network(architecture, config, manifest)
    length = _length(config, shape.context)
    steps, tokens_per_step = length.steps, config.sequences * shape.context
    data = run_data(config.data, manifest, length, config.seed)
    pieces = build_pieces(config.schedule, lr, steps, tokens_per_step)
    initial = None
    if config.init_from.is_asked:
        initial = weights(config.init_from, architecture, config.seed)
    science = {
        "identity_version": IDENTITY_VERSION,
        "model": architecture.science(),
        "data": data.science,
        "optimizer": _optimizer(config),
        "schedule": [plain(piece) for piece in pieces],
        "batch": config.batch,
        "steps": steps,
        "seed": config.seed,
        "precision": config.precision,
        "z_loss": config.z_loss,
        "trainer": asdict(config.trainer),
        "init_from": None if initial is None else initial.science(),
    }
    return Run(
        run_id=run_id(science),
        family_id=family_id(science),
        science=science,
        config=config,
        architecture=architecture,
        counts=counts,
        flops=flop_parts(architecture),
        pieces=pieces,
        lr=top_rate(pieces),
        steps=steps,
        tokens=steps * tokens_per_step,
        mixture=data.mixture,
        unique_tokens=data.unique_tokens,
        written=written,
        given=determined.given,
        initial=initial,
    )


def _length(config: RunConfig, context: int) -> Length:
    """The steps that the tokens need, the last one whole; refused if a curve cannot hold them."""
    tokens_per_step = config.sequences * context
    steps = math.ceil(config.tokens / tokens_per_step)
    if steps > MAX_STEPS:
        raise ConfigError(
            f"tokens = {config.tokens} in steps of {tokens_per_step} are {steps:,} "
            f"steps; allowed are {MAX_STEPS:,}: a curve has a row for each. Give a "
            "larger batch"
        )
    return Length(config.tokens, steps, config.sequences, context)


def _check_network(architecture: Network, config: RunConfig, manifest: Manifest) -> None:
    """Refuse a network that our engine cannot train as it is configured."""
    if isinstance(architecture, ModuleNetwork):
        check_module(architecture, config)
    else:
        check_parts(architecture)
        check_engine_of_parts(architecture, config.execution.engine)
        _check_documents(architecture, manifest)
    check_measurements(config.execution, architecture)
    for part in architecture.parts:
        part.check_optimizer(config.optimizer)


def _check_documents(architecture: Architecture, manifest: Manifest) -> None:
    """Refuse a mixer that stays within documents if no token marks their ends."""
    if architecture.mixer.bounded and not manifest.excluded:
        raise ConfigError(
            f"model.mixer.name = {architecture.mixer.name!r} stays within documents, and no token "
            f"of this data (source {manifest.source!r}) ends one: a source of documents has such a "
            "token, and data.options.separator names that of `tokens` and `megatron`"
        )


def _check_trainer(config: RunConfig) -> None:
    """Refuse options that the engine does not support; a program checks its own."""
    trainer, execution = config.trainer, config.execution
    if trainer.kind == "engine":
        for key in ("program", "options"):
            if value := getattr(trainer, key):
                raise ConfigError(
                    f"trainer.{key} = {value!r} is for trainer.kind = 'command'; "
                    "the engine takes none"
                )
        one_of("precision", config.precision, PRECISIONS)
        check_engine(execution.engine)
        one_of("execution.device", execution.device, DEVICES)
        if config.precision == "tf32" and execution.device == "cpu":
            raise ConfigError(
                "precision = 'tf32': the matrix units of NVIDIA's GPUs compute in "
                "it; allowed on execution.device = 'cpu' are fp32, bf16"
            )
        check_optimizer(config.model.parametrization, config.optimizer)
        for name in execution.measure:
            MEASUREMENTS.find(name)
        engine = engine_definition(execution.engine)
        if execution.deterministic and engine is not None and engine.compiles:
            allowed = allowed_engines(lambda engine: not engine.compiles)
            raise ConfigError(
                f"execution.engine = {execution.engine!r} times kernels to choose them; allowed "
                f"with execution.deterministic = True are {allowed}"
            )
        check_processes(config)
        return
    for key in ("shard", "deterministic", "validate"):
        if value := getattr(execution, key):
            raise ConfigError(
                f"execution.{key} = {value} is for trainer.kind = 'engine': how a "
                "program computes is its own to say (trainer.options)"
            )
    if config.init_from.is_asked:
        raise ConfigError(
            "init_from is for trainer.kind = 'engine': a program reads the weights that it begins "
            "with by itself (trainer.options)"
        )
    for key in ("pools", "noise", *KEYS):
        if getattr(config.data, key):
            raise ConfigError(
                f"data.{key} is for trainer.kind = 'engine': a program is told of one store, "
                "which it reads itself"
            )
    if not trainer.program:
        raise ConfigError(
            "trainer.kind = 'command' needs trainer.program, the name of the program "
            "whose numbers these are"
        )
    one_of("precision", config.precision, PROGRAM_PRECISIONS)
    check_command(execution.command)


def _optimizer(config: RunConfig) -> dict[str, Any]:
    """The optimizer in the science."""
    if config.trainer.kind == "command":
        return program_science(config.optimizer)
    return optimizer_science(config.optimizer)

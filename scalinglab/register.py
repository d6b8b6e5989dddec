"""The decorators by which a person's own file registers its parts: one for each kind.

>>> from scalinglab import register
>>> register.law                                              # doctest: +ELLIPSIS
<bound method ...>

``scaling parts`` lists the kinds and the parts of each; ``extend`` names the files
(docs/extending.md). A registry is imported on first use, so that a file that registers a schedule
needs no torch.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Any

from scalinglab.scaling.errors import ConfigError


@dataclass(frozen=True)
class Kind:
    """A kind of part.

    Attributes
    ----------
    module, name : str
        The module of its registry, and the registry's name there.
    says : str
        What one registers, for ``scaling parts``.
    """

    module: str
    name: str
    says: str


KINDS = {
    "model": Kind(
        "scalinglab.scaling.model.module",
        "MODELS",
        "a whole network: an nn.Module from tokens (B, T) to logits (B, T, V), made of the keywords"
        " vocab, context and its options (torch)",
    ),
    "optimizer": Kind(
        "scalinglab.scaling.optimizers.optimizer",
        "OPTIMIZERS",
        "the keys of an optimizer, a subclass of OptimizerConfig; its update registers beside it",
    ),
    "update": Kind(
        "scalinglab.scaling.engine.optimizers.optimizer",
        "UPDATES",
        "the arithmetic of an optimizer, a subclass of Optimizer (torch)",
    ),
    "mixer": Kind(
        "scalinglab.scaling.model.part",
        "MIXERS",
        "the keys and sizes of what mixes the tokens of a block, a subclass of Mixer; its"
        " arithmetic registers beside it",
    ),
    "mixed_by": Kind(
        "scalinglab.scaling.engine.network.part",
        "MIXED_BY",
        "the arithmetic of a mixer (torch)",
    ),
    "feed_forward": Kind(
        "scalinglab.scaling.model.part",
        "FEED_FORWARDS",
        "the keys and sizes of what follows the mixer, a subclass of FeedForward; its arithmetic"
        " registers beside it",
    ),
    "fed_by": Kind(
        "scalinglab.scaling.engine.network.part",
        "FED_BY",
        "the arithmetic of a feed-forward (torch)",
    ),
    "norm": Kind(
        "scalinglab.scaling.model.part",
        "NORMS",
        "the keys and sizes of what normalises, a subclass of Norm; its arithmetic registers beside"
        " it",
    ),
    "normed_by": Kind(
        "scalinglab.scaling.engine.network.part",
        "NORMED_BY",
        "the arithmetic of a norm (torch)",
    ),
    "linear": Kind(
        "scalinglab.scaling.model.part",
        "LINEARS",
        "the keys and sizes of what a matrix of the blocks is, a subclass of Linear; its arithmetic"
        " registers beside it",
    ),
    "multiplied_by": Kind(
        "scalinglab.scaling.engine.network.part",
        "MULTIPLIED_BY",
        "the arithmetic of a linear map (torch)",
    ),
    "residual": Kind(
        "scalinglab.scaling.model.part",
        "RESIDUALS",
        "the keys and sizes of how branches are added to the stream, a subclass of Residual; its"
        " arithmetic registers beside it",
    ),
    "added_by": Kind(
        "scalinglab.scaling.engine.network.part",
        "ADDED_BY",
        "the arithmetic of a residual, a subclass of Stream (torch)",
    ),
    "schedule": Kind(
        "scalinglab.scaling.schedule.schedule",
        "SCHEDULES",
        "the keys of a schedule and the pieces it makes of them, a subclass of ScheduleConfig",
    ),
    "source": Kind(
        "scalinglab.scaling.data.source",
        "SOURCES",
        "a source of tokens: a frozen dataclass of its options, a subclass of Source",
    ),
    "tokenizer": Kind(
        "scalinglab.scaling.tokenizers.tokenizer",
        "TOKENIZERS",
        "what turns documents into tokens: a frozen dataclass of its options, a subclass of"
        " Tokenizer",
    ),
    "generator": Kind(
        "scalinglab.sweeps.study.generator",
        "GENERATORS",
        "a way to make the runs of a block, a subclass of Generator",
    ),
    "measurement": Kind(
        "scalinglab.scaling.run.measurements",
        "MEASUREMENTS",
        "what is measured at validations; its arithmetic registers beside it",
    ),
    "measured_by": Kind(
        "scalinglab.scaling.engine.steps.measurements",
        "MEASURED_BY",
        "the arithmetic of a measurement (torch)",
    ),
    "probe": Kind(
        "scalinglab.scaling.probes.probe",
        "PROBES",
        "what can be asked of stored checkpoints, a dataclass of its options, a subclass of Probe;"
        " its arithmetic registers beside it",
    ),
    "probed_by": Kind(
        "scalinglab.scaling.engine.probes.reading",
        "PROBED_BY",
        "the arithmetic of a probe (torch)",
    ),
    "score": Kind(
        "scalinglab.scaling.data.scores",
        "SCORES",
        "a number computed of a text, a column by which documents are chosen: a function of a"
        " string",
    ),
    "law": Kind("scalinglab.analysis.laws.registry", "LAWS", "a formula with parameters, a Law"),
    "verdict": Kind(
        "scalinglab.analysis.reporting.verdict",
        "VERDICTS",
        "what a study of one's own is judged by: runs in, a Finding out",
    ),
}


def registry(kind: str) -> Any:
    """The registry of a kind."""
    definition = KINDS[kind]
    return getattr(importlib.import_module(definition.module), definition.name)


# Kind of a pure description (keys, sizes) -> kind of its arithmetic in torch. A part registers both
# under one name.
ARITHMETIC = {
    "optimizer": "update",
    "mixer": "mixed_by",
    "feed_forward": "fed_by",
    "norm": "normed_by",
    "linear": "multiplied_by",
    "residual": "added_by",
    "measurement": "measured_by",
    "probe": "probed_by",
}


def check_halves() -> None:
    """Refuse a person's own part that has a description without arithmetic, or the reverse.

    Raises
    ------
    ConfigError
        Naming the part and the decorator that is missing.
    """
    for kind, arithmetic in ARITHMETIC.items():
        own_names = [name for name in registry(kind) if not registry(kind).is_shipped(name)]
        # Without own descriptions, torch is not imported just to look for a lone arithmetic.
        is_needed = bool(own_names) or KINDS[arithmetic].module in sys.modules
        lone_names = (
            [n for n in registry(arithmetic) if n not in registry(kind)] if is_needed else []
        )
        for names, present, absent in (
            (own_names, kind, arithmetic),
            (lone_names, arithmetic, kind),
        ):
            for name in names:
                if name not in registry(absent):
                    raise ConfigError(
                        f"{registry(present).key} = {name!r} has a register.{present} and no "
                        f"register.{absent}({name!r})"
                    )


def __getattr__(kind: str) -> Any:
    if kind not in KINDS:
        raise AttributeError(f"nothing is called register.{kind}; there are {', '.join(KINDS)}")
    return registry(kind).register

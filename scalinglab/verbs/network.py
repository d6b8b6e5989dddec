"""``scaling network``: what a network is: its tensors and what each is taken for, counts, FLOPs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scalinglab.options import Options, overrides
from scalinglab.prepare import compose_configuration, prepare_run
from scalinglab.scaling.model.counts import N_COUNTS, tensor_sizes
from scalinglab.scaling.model.flops import flops_per_token
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.model.parametrization import TensorRule, tensor_rules
from scalinglab.scaling.records.identity import canonical_json
from scalinglab.scaling.run.resolve import Run
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.plan import PlannedRun
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True)
class NetworkOptions(Options):
    """Options of ``scaling network``."""

    overrides: list[str] = overrides()


@dataclass(frozen=True)
class NetworkView:
    """A network, to be looked at.

    Attributes
    ----------
    run : Run
        That has it.
    """

    run: Run

    code = 0

    @property
    def network(self) -> Network:
        """What is looked at."""
        return self.run.architecture

    def as_json(self) -> dict[str, Any]:
        """A row a tensor, counts, FLOPs a trained token by part, and what was tried."""
        return {
            "tensors": self.tensors.to_dict("records"),
            "counts": self.run.counts,
            "flops": self.run.flops,
            "notes": self.notes,
        }

    @property
    def tensors(self) -> pd.DataFrame:
        """One row a parameter: ``tensor, size, role, from, lr`` (times the peak), ``decay``."""
        rules = tensor_rules(self.network, self.run.config.optimizer)
        return pd.DataFrame([_row(self.network, name, rule) for name, rule in rules.items()])

    @property
    def notes(self) -> list[str]:
        """What was guessed, and how it will train."""
        network = self.network
        if not isinstance(network, ModuleNetwork):
            return []
        census, rehearsed = network.census, network.rehearsed
        unknown = [name for name, t in census.tensors.items() if t.role == "other"]
        sentences = [
            f"trains alone: {rehearsed.alone}" if rehearsed.alone else "trains in packs, too"
        ]
        if census.buffers:
            sentences.append(f"a checkpoint holds its buffers: {', '.join(census.buffers)}")
        if census.tied:
            sentences.append("the embedding is the head's matrix, too")
        if census.without_meta:
            sentences.append(
                f"counted on the CPU, as its code asks for numbers ({census.without_meta})"
            )
        if unknown:
            sentences.append(
                f"nothing is known of {', '.join(unknown)}: no decay, rates as a bias; a line of "
                f"model.roles says what it is: +model.roles.'{unknown[0]}'=hidden"
            )
        return sentences

    def show(self, screen: Screen) -> None:
        """A row for all tensors of one place, then counts and FLOPs."""
        screen.table(_together(self.tensors), optional=("from",))
        counts = self.run.counts
        sums = ", ".join(f"{name} {counts[name]:,}" for name in N_COUNTS)
        screen.say(f"{sums}; {flops_per_token(self.run.flops):.4g} FLOPs a trained token")
        for note in self.notes:
            screen.say(note)


def _row(network: Network, name: str, rule: TensorRule) -> dict[str, Any]:
    if isinstance(network, ModuleNetwork):
        tensor = network.census.tensors[name]
        size, why = tensor.size, tensor.why or "stated"
    else:
        size, why = tensor_sizes(network)[name], "description"
    return {
        "tensor": name,
        "size": list(size),
        "role": rule.role,
        "from": why,
        "lr": rule.lr,
        "decay": rule.weight_decay,
    }


def _together(tensors: pd.DataFrame) -> pd.DataFrame:
    """Tensors of the same place in all layers as one row."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in tensors.to_dict("records"):
        place = re.sub(r"(?<=\.)\d+(?=\.)", "*", row["tensor"])
        size = " x ".join(map(str, row["size"]))
        key = (place, size, row["role"], row["lr"])
        total = rows.setdefault(
            key,
            {
                "tensor": place,
                "of": 0,
                "size": size,
                "weights": 0,
                "role": row["role"],
                "LR x": f"{row['lr']:.3g}",
                "decay x": f"{row['decay']:.3g}",
                "from": row["from"],
            },
        )
        total["of"] += 1
        total["weights"] += math.prod(row["size"])
    frame = pd.DataFrame(rows.values())
    frame["weights"] = [f"{n:,}" for n in frame["weights"]]
    return frame


@dataclass(frozen=True)
class StudyNetworks:
    """The networks of a study, each once.

    Attributes
    ----------
    runs : tuple of tuple of PlannedRun
        The runs that have each, the smallest network first.
    """

    runs: tuple[tuple[PlannedRun, ...], ...]

    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a network, with the ids of its runs."""
        entries = [
            {"runs": [p.run.run_id for p in same]} | NetworkView(same[0].run).as_json()
            for same in self.runs
        ]
        return {"networks": entries}

    def show(self, screen: Screen) -> None:
        """One network below the other."""
        for k, same in enumerate(self.runs):
            ids = " ".join(p.run.run_id for p in same[:3]) + " ..." * (len(same) > 3)
            names = " ".join(filter(None, (f"width {same[0].run.shape.width}", same[0].varies)))
            screen.say("\n" * (k > 0) + f"{names}: {len(same)} run{'s' * (len(same) != 1)}, {ids}")
            NetworkView(same[0].run).show(screen)


def _of_study(composed: Mapping[str, Any]) -> StudyNetworks:
    """What a study trains; rates and decay of tensors follow the optimizer, too."""
    runs: dict[tuple[str, str], list[PlannedRun]] = {}
    for planned in make_plan(composed).runs:
        model = canonical_json(planned.run.science["model"])
        runs.setdefault((model, planned.run.config.optimizer.name), []).append(planned)
    found = sorted(runs.values(), key=lambda same: same[0].run.counts["n_matmul"])
    return StudyNetworks(tuple(map(tuple, found)))


def run(options: NetworkOptions, screen: Screen) -> NetworkView | StudyNetworks:
    """Show what a network is: scaling network extend=[mine.py] model=module model.target=mine.MyNet.

    study=NAME shows every network that a study trains.

    Each parameter with its size, its role, from what that was concluded, and what its learning
    rate and weight decay are multiplied by; then the counts and the FLOPs. Of a network of your own
    also whether it trains in packs, and of what nothing is known. Trains nothing.
    """
    composed = compose_configuration(options.overrides)
    if composed.get("study"):
        return _of_study(composed)
    return NetworkView(prepare_run(composed)[1].run)


VERB = Verb(
    "show a network: tensors and their roles, counts, FLOPs",
    "scaling network [study=NAME] [extend=[mine.py] model=module model.target=mine.MyNet ...]",
    run,
    NetworkOptions,
)

"""``scaling network``: a network's tensors with their roles, its parameter counts, its FLOPs."""

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
    """The network of a run.

    Attributes
    ----------
    run : Run
        The run that trains it.
    """

    run: Run

    code = 0

    @property
    def network(self) -> Network:
        """The network itself."""
        return self.run.architecture

    def as_json(self) -> dict[str, Any]:
        """A row a tensor, counts, FLOPs a trained token by part, and notes."""
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
        """Sentences about guessed roles, buffers, and whether it trains in packs."""
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
        """A row for the tensors of one place in all layers, then counts and FLOPs."""
        screen.table(_by_place(self.tensors), optional=("from",))
        counts = self.run.counts
        sums = ", ".join(f"{name} {counts[name]:,}" for name in N_COUNTS)
        screen.say(f"{sums}; {flops_per_token(self.run.flops):.4g} FLOPs a trained token")
        for note in self.notes:
            screen.say(note)


def _row(network: Network, name: str, rule: TensorRule) -> dict[str, Any]:
    if isinstance(network, ModuleNetwork):
        tensor = network.census.tensors[name]
        size, origin = tensor.size, tensor.why or "stated"
    else:
        size, origin = tensor_sizes(network)[name], "description"
    return {
        "tensor": name,
        "size": list(size),
        "role": rule.role,
        "from": origin,
        "lr": rule.lr,
        "decay": rule.weight_decay,
    }


def _by_place(tensors: pd.DataFrame) -> pd.DataFrame:
    """One row for the tensors of one place in all layers."""
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
        The runs of each network, the smallest network first.
    """

    runs: tuple[tuple[PlannedRun, ...], ...]

    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a network, with the ids of its runs."""
        entries = [
            {"runs": [p.run.run_id for p in group]} | NetworkView(group[0].run).as_json()
            for group in self.runs
        ]
        return {"networks": entries}

    def show(self, screen: Screen) -> None:
        """One network below another."""
        for k, group in enumerate(self.runs):
            first = group[0]
            ids = " ".join(p.run.run_id for p in group[:3]) + " ..." * (len(group) > 3)
            names = " ".join(filter(None, (f"width {first.run.shape.width}", first.varies)))
            runs = "1 run" if len(group) == 1 else f"{len(group)} runs"
            screen.say("\n" * (k > 0) + f"{names}: {runs}, {ids}")
            NetworkView(first.run).show(screen)


def _study_networks(composed: Mapping[str, Any]) -> StudyNetworks:
    """The runs of a study by network and optimizer, which sets the rates of the tensors."""
    runs: dict[tuple[str, str], list[PlannedRun]] = {}
    for planned in make_plan(composed).runs:
        model = canonical_json(planned.run.science["model"])
        runs.setdefault((model, planned.run.config.optimizer.name), []).append(planned)
    by_size = sorted(runs.values(), key=lambda group: group[0].run.counts["n_matmul"])
    return StudyNetworks(tuple(map(tuple, by_size)))


def run(options: NetworkOptions, screen: Screen) -> NetworkView | StudyNetworks:
    """Show a network: scaling network extend=[mine.py] model=module model.target=mine.MyNet.

    study=NAME shows every network that a study trains.

    Each parameter with its size, its role and the origin of the role, and the multipliers of its
    learning rate and weight decay; then the counts and the FLOPs. For a network of your own also
    whether it trains in packs, and the parameters whose role is unknown. Trains nothing.
    """
    composed = compose_configuration(options.overrides)
    if composed.get("study"):
        return _study_networks(composed)
    return NetworkView(prepare_run(composed)[1].run)


VERB = Verb(
    "show a network: tensors and their roles, counts, FLOPs",
    "scaling network [study=NAME] [extend=[mine.py] model=module model.target=mine.MyNet ...]",
    run,
    NetworkOptions,
)

"""``scaling data``: the sources of tokens, and the stores that were made of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.options import Options, overrides
from scalinglab.prepare import compose_configuration
from scalinglab.scaling.data.manifest import Manifest, read_manifest
from scalinglab.scaling.data.mixed import amounts, open_data
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.atomic import folders_in
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True)
class DataOptions(Options):
    """Options of ``scaling data``."""

    overrides: list[str] = overrides("an override of the configuration: data=markov")


@dataclass(frozen=True)
class Data:
    """The stores of an outputs folder and the sources, each by its name.

    Attributes
    ----------
    stores : dict
        Store -> manifest.
    sources : dict
        Source -> what it is.
    selected : list of str
        Sentences about the documents that the configuration selects.
    """

    stores: dict[str, Manifest]
    sources: dict[str, str]
    selected: list[str] = field(default_factory=list)

    code = 0

    def as_json(self) -> dict[str, Any]:
        """Each store with its manifest."""
        stores = [{"store": name, **asdict(m)} for name, m in self.stores.items()]
        return {"stores": stores, "sources": self.sources, "selected": self.selected}

    def show(self, screen: Screen) -> None:
        """A row a store, a line a source."""
        rows = [
            {
                "store": name,
                "vocab": m.vocab,
                "train tokens": f"{m.train_tokens:,}",
                "validation tokens": f"{m.validation_tokens:,}",
                "content": m.content_hash,
                "facts": ", ".join(_facts(m)),
            }
            for name, m in self.stores.items()
        ]
        if rows:
            screen.table(pd.DataFrame(rows), text="facts")
        else:
            screen.say("no stores yet: scaling data data=NAME makes one, and so does a plan")
        for text in self.selected:
            screen.say(f"read of {text}")
        for name, says in self.sources.items():
            screen.say(f"{name}: {says}")


def _facts(manifest: Manifest) -> list[str]:
    """What is told of a store beside its tokens: of which text it is, and what was counted."""
    origin = manifest.options.get("path") or manifest.options.get("train")
    facts = [f"of {origin}"] if origin else []
    facts.append(f"{manifest.bytes_per_token:.3g} bytes a token")
    for name, value in manifest.facts.items():
        if value not in (0, None):
            facts.append(f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}")
    return facts + ([f"columns {' '.join(manifest.columns)}"] if manifest.columns else [])


def run(options: DataOptions, screen: Screen) -> Data:
    """Show all token sources and stores; data=markov makes the store of that source first.

    Without a source nothing is made.
    """
    composed = compose_configuration(options.overrides)
    outputs = Path(composed["outputs"]).absolute()
    selected: list[str] = []
    if any(not override.startswith("outputs=") for override in options.overrides):
        store = open_data(from_dict(DataConfig, composed["data"], "data"), outputs)
        selected = amounts(store)
    stores: dict[str, Manifest] = {}
    for folder in folders_in(outputs / "data"):
        try:
            stores[folder.name] = read_manifest(folder)
        except FileNotFoundError:
            continue
        except DamagedFile as error:
            tell(error, "this store is not shown")
    sources = {
        name: (source.__doc__ or "").splitlines()[0].replace("``", "")
        for name, source in SOURCES.items()
    }
    return Data(stores, sources, selected)


VERB = Verb("show the token sources and stores", "scaling data [data=markov]", run, DataOptions)

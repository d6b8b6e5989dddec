"""Loss on a validation set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.data.manifest import read_manifest
from scalinglab.scaling.data.validation import further_stores
from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.probes.probe import PROBES, Probe
from scalinglab.scaling.records.spec import RunSpec


@PROBES.register("validation")
@dataclass(frozen=True, kw_only=True)
class Validation(Probe):
    """Loss and bits per byte on the run's own validation set, or on that of any store.

    With the run's own number of tokens, the loss on a store is the column ``loss.<store>``, equal
    bit for bit to that of ``execution.validate`` during training.
    """

    store: str | None = None  # a folder in outputs/data; None: the run's own
    tokens: int | None = setting(None, AT_LEAST_1)  # None: data.validation_tokens

    def check(self, run: RunSpec, outputs: Path) -> None:
        """Refuse a store that is not there, of another alphabet, or too small."""
        if self.store is not None:
            count = self.tokens or run.data.validation_tokens
            vocab, context = run.shape.vocab, run.shape.context
            further_stores([self.store], outputs, vocab, count, context, key="options.store")

    def state(self, outputs: Path) -> str | None:
        """The content of the store."""
        if self.store is None:
            return None
        return read_manifest(outputs / "data" / self.store).content_hash

    def column(self, name: str, number: str) -> str:
        """The column of training, where the number is the same."""
        if number == "loss" and self.store is not None and self.tokens is None:
            return f"loss.{self.store}"
        return super().column(name, number)

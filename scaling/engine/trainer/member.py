"""One run of a pack: its description, schedule, data and curve so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.data.mixed import Store, open_planned, order_of, own_sets
from scalinglab.scaling.data.order import DataOrder
from scalinglab.scaling.data.pools import MixedOrder
from scalinglab.scaling.data.validation import further_stores
from scalinglab.scaling.engine.trainer.checkpoint import Checkpoint, furthest_checkpoint
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.curve import Curve
from scalinglab.scaling.records.parts import remove_checkpoint
from scalinglab.scaling.records.prefixes import owner_of, stored_checkpoints
from scalinglab.scaling.schedule.pieces import branch_points, lr_array
from scalinglab.scaling.training.events import validation_steps


def pack_facts(claims: Sequence[Claim]) -> dict[str, Any]:
    """The entries about its pack that an attempt records; none if the run trains alone.

    ``pack`` is the pack's name, the same for all members, and ``members`` how many it began with.
    """
    if len(claims) == 1:
        return {}
    return {"pack": f"{claims[0].folder.run_id}-{claims[0].number}", "members": len(claims)}


class MemberRun:
    """One run of a pack: its description, schedule, data and curve so far."""

    def __init__(self, claim: Claim, pins: Sequence[int]) -> None:
        self.claim = claim
        self.spec = claim.folder.spec()
        self.steps = self.spec.steps
        pieces = self.spec.pieces
        self.lr = lr_array(pieces)
        self.validation = validation_steps(pieces, self.spec.data.mixture.values())
        # Branch points and the end are kept, so that later runs may start from them.
        branches = (step for schedule in self.spec.all_pieces for step in branch_points(schedule))
        self.pins = sorted({*pins, *branches, self.steps})
        self.curve = Curve.empty()
        self.finished = False
        # The last report of each attempt before this one.
        reports = [claim.folder.progress(number) for number in range(1, claim.number)]
        self.earlier_seconds = sum(report.seconds for report in reports)
        self.earlier_packs = [report.members for report in reports if report.step is not None]

    @property
    def outputs(self) -> Path:
        """The folder of all runs."""
        return self.claim.folder.outputs

    def furthest(self, at_most: int) -> Checkpoint | None:
        """Where this run can start."""
        return furthest_checkpoint(self.outputs, self.spec.science, self.validation, at_most)

    def extend(self, loss: np.ndarray, grad_norm: np.ndarray) -> None:
        """Append a chunk to the curve."""
        self.curve = replace(
            self.curve,
            loss=np.concatenate([self.curve.loss, loss]),
            grad_norm=np.concatenate([self.curve.grad_norm, grad_norm]),
        )

    def open_store(self) -> Store:
        """The data it is trained on."""
        return open_planned(self.spec, self.outputs)

    def validation_sets(
        self, store: Store, execution: ExecutionConfig
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Fixed windows of its own data, by pool, and of the further stores, by name.

        Its loss is the mean over its own sets, which have one size.
        """
        tokens, context = self.spec.data.validation_tokens, self.spec.shape.context
        further = further_stores(
            execution.validate, self.outputs, store.manifest.vocab, tokens, context
        )
        further_sets = {
            name: further_store.validation_batch(tokens, context)
            for name, further_store in further.items()
        }
        return own_sets(store, tokens, context), further_sets

    def order(self, store: Store) -> DataOrder | MixedOrder:
        """The order in which it sees the windows of its data."""
        return order_of(self.spec, store)

    def lr_of(self, first: int, last: int) -> np.ndarray:
        """LR of updates `first` to `last`; 0 once it is finished, so that it stands still."""
        return self.lr[first:last] * (not self.finished)

    def remove_latest(self, keep: Path | None) -> None:
        """Remove its own replaced checkpoints; pinned ones have no owner and stay."""
        for _, path in stored_checkpoints(self.outputs, self.spec.science):
            if path != keep and owner_of(path) == self.spec.run_id:
                remove_checkpoint(path)

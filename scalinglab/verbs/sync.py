"""``scaling sync``: a copy of a study on wandb."""

from __future__ import annotations

from scalinglab.sync import SyncOptions, SyncResult, sync
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


def run(options: SyncOptions, screen: Screen) -> SyncResult:
    """Push the runs of a study to wandb, from their records: only what is new is pushed.

    mode=offline writes folders and says how to upload them; mode=online uploads those first.
    watch=true stays and pushes the progress of running runs. It may be stopped and run again.
    """
    return sync(options, screen)


VERB = Verb(
    "copy a study to wandb; repeat it at any time",
    "scaling sync study=NAME [mode=offline|online] [watch=true] [project=scaling]",
    run,
    SyncOptions,
)

"""One rank of a run that several processes train; started by ``scalinglab.scaling.training.ranks``.

    python -m scalinglab.scaling.engine.trainer.rank_main <host> <port>

A rank ignores signals: the worker that holds the claim takes them and asks rank 0 to save. It ends
at once when its connection to the worker does.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback

from scalinglab.scaling.engine.trainer.worker_link import LentClaim, WorkerLink
from scalinglab.scaling.extensions.handing_on import load_inherited
from scalinglab.scaling.records.claim import ClaimLost
from scalinglab.scaling.records.failures import classify, signature
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.training.rank_messages import RankFailure, RankWork


def main(arguments: list[str]) -> None:
    """Entry point of a rank."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    # Children on this host have RANK from the worker; tasks of srun have their number from SLURM.
    rank = int(os.environ.get("RANK") or os.environ["SLURM_PROCID"])
    link = WorkerLink(arguments[0], int(arguments[1]), rank)
    facts: dict[str, int] = {}
    try:
        work: RankWork = link.answer()
        load_inherited()
        claims = [
            LentClaim(RunFolder(folder), number, i, link)
            for i, (folder, number) in enumerate(zip(work.folders, work.attempts, strict=True))
        ]
        # Imported here, because importing torch may fail, and the worker has to learn of it.
        from scalinglab.scaling.engine.trainer.parallel import train_rank

        outcome = train_rank(rank, claims, work, lambda: link.stop, facts)
    except BaseException as error:
        link.tell(
            "failed",
            RankFailure(
                rank,
                time.time(),
                f"{type(error).__name__}: {error}",
                "".join(traceback.format_exception(error)),
                classify(error),
                signature(error),
                isinstance(error, ClaimLost),
                facts.get("micro_batch"),
            ),
        )
        sys.stderr.flush()
        os._exit(1)  # leaving in order would wait for the other ranks
    link.leave(outcome)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What the tests of several verbs share."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from scalinglab.cli import main
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import Outcome, State


@pytest.fixture
def own(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished study to train on."""
    folder = tmp_path / "own"
    shutil.copytree(finished.parent, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


_FAILURE = (
    "cannot read shard [/data/x] [bold]:smile: \x1b[2J\x1b]0;title\x07 50%\r100% \ud800\u202e"
)


class States:
    """Copies of the finished study whose runs are set back to some state, without training."""

    def __init__(self, finished: Path) -> None:
        self.finished = finished
        self.failure = _FAILURE
        self._claims: list[Claim] = []

    def make(self, state: str, folder: Path) -> None:
        """Make a folder in which the study "tiny" is in a state, and that has its file."""
        shutil.copytree(self.finished.parent / "conf", folder / "conf")
        if state == "missing":
            return
        outputs = folder / "outputs"
        outputs.mkdir()
        (outputs / "data").symlink_to(self.finished / "data")
        if state == "imported":
            (folder / "points.csv").write_text(_POINTS)
            with pytest.raises(SystemExit) as ended, redirect_stdout(io.StringIO()):
                main(["import", str(folder / "points.csv"), "to=tiny", f"outputs={outputs}"])
            assert ended.value.code == 0
            return
        if state in ("empty", "unknown"):
            return
        for part in ("runs", "studies"):
            shutil.copytree(self.finished / part, outputs / part)
        if state == "gone":
            shutil.rmtree(outputs / "runs")
        if state in ("done", "gone"):
            return
        runs = [RunFolder(path) for path in sorted((outputs / "runs").iterdir())]
        for k, run in enumerate(runs):
            if state != "half" or k % 2:
                self._set_back(run, "interrupted" if state == "half" else state)

    def _set_back(self, run: RunFolder, state: str) -> None:
        done = run.done()
        assert done is not None
        run.done_file.unlink()
        shutil.rmtree(run.attempts)
        if state == "stopped":
            run.stop({"step": 16, "steps": done.steps, "loss": 2.0, "why": "for a test"})
        if state in ("planned", "stopped"):
            return
        claim = Claim.acquire(run, 600.0)
        assert claim is not None
        if state == "diverged":
            path = run.path / done.record
            record = read_json(path)
            record |= {"status": "diverged", "final": dict.fromkeys(record["final"])}
            write_json(path, record)
            files = {"record": done.record, "curve": done.curve}
            assert claim.finish(State.DIVERGED, done.steps, files)
            return
        claim.report(
            {
                "start": 0,
                "step": 16,
                "loss": 2.0,
                "tokens_per_second": 1e4,
                "validation": {"16": 2.0},
            }
        )
        if state == "running":
            self._claims.append(claim)
        else:
            claim.release(Outcome(state), ValueError(self.failure) if state == "failed" else None)

    def end(self) -> None:
        """Stop the threads of running runs."""
        for claim in self._claims:
            claim.release(Outcome.INTERRUPTED)


_POINTS = "N,D,loss\n" + "".join(
    f"{n},{d},{1.7 + 40 * n**-0.34 + 180 * d**-0.37}\n"
    for n in (1000, 3000, 9000, 27000, 81000)
    for d in (20000, 60000, 180000)
)


@pytest.fixture(scope="session")
def states(finished: Path) -> Iterator[States]:
    """Makes the study "tiny" in any state."""
    made = States(finished)
    yield made
    made.end()

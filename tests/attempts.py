"""Runs a command in this process in a folder with one finished study, and judges how it ended.

With 0; with 1 where a verb says so without a traceback; or with 2 and one sentence. Nothing is
trained: where a verb would begin to, it stops as on Ctrl-C.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scalinglab import cli
from scalinglab.verb import INTERRUPTED
from tests.mutated_commands import Command

SECONDS = 20  # of processor time, that a command may take
MEGABYTES = 2_000  # that it may need beside what was there


@dataclass(frozen=True)
class Outcome:
    """How a command ended. `wrong` is None where it ended as it should."""

    code: int | None
    stdout: str
    stderr: str
    seconds: float
    wrong: str | None


class _TooLong(BaseException):
    """A command ran past its time."""


def _trains(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


@contextlib.contextmanager
def nothing_trained() -> Iterator[None]:
    """Verbs that would train, push to wandb or time a step stop, or are told a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scalinglab.study.launch", _trains)
        patch.setattr("scalinglab.study.detach", _trains)
        patch.setattr("scalinglab.single_run.train_in_process", _trains)
        patch.setattr("scalinglab.wandb_mirror.WandbMirror.push", lambda *_, **__: 0)
        patch.setattr("scalinglab.wandb_mirror.WandbMirror.push_study", lambda *_: False)
        yield


@contextlib.contextmanager
def _ceilings() -> Iterator[None]:
    def late(*_: Any) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGVTALRM, late)
    real = signal.signal(signal.SIGALRM, late)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    status = Path("/proc/self/status")
    used = None
    if status.exists():
        sizes = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
        used = int(sizes["VmData"].split()[0])  # kB
    if used is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (used * 1024 + MEGABYTES * 1_000_000, hard))
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 15 * SECONDS)  # one that waits uses no processor
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        signal.signal(signal.SIGALRM, real)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def attempt(made: Command, finished: Path, folder: Path) -> Outcome:
    """Run a command in a copy of the finished study, and judge how it ended."""
    folder.mkdir()
    shutil.copytree(finished.parent / "conf", folder / "conf")
    (folder / "outputs").mkdir()
    for part in ("runs", "studies", "data"):
        shutil.copytree(finished / part, folder / "outputs" / part, symlinks=True)
    for name, content in made.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "fifo")
    (folder / "closed").mkdir(mode=0o500)
    if made.study is not None:
        (folder / "conf" / "study" / "tiny.yaml").write_bytes(
            made.study.encode(errors="surrogatepass")
        )
    stdout, stderr = io.StringIO(), io.StringIO()
    code: int | None = None
    failure = None
    start = time.process_time()
    here = os.getcwd()
    os.chdir(folder)
    try:
        with (
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
            warnings.catch_warnings(),
            _ceilings(),
        ):
            warnings.simplefilter("always")
            cli.main([made.verb, *made.arguments])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else None
    except _TooLong:
        failure = "takes too long at " + _place(sys.exc_info()[2])
    except BaseException as error:
        if isinstance(error, pytest.exit.Exception):
            raise
        failure = f"{type(error).__name__}: {str(error)[:200]} at {_place(error.__traceback__)}"
    finally:
        os.chdir(here)
        (folder / "closed").chmod(0o700)
    wrong = failure or _judge(made, code, stdout.getvalue(), stderr.getvalue())
    return Outcome(code, stdout.getvalue(), stderr.getvalue(), time.process_time() - start, wrong)


def _place(trace: Any) -> str:
    frames = [f for f in traceback.extract_tb(trace) if "/tests/" not in f.filename]
    own = [
        f for f in frames if "site-packages" not in f.filename and "/lib/python" not in f.filename
    ]
    shown = [f"{Path(f.filename).name}:{f.lineno}" for f in (*frames[-1:], *own[-1:-3:-1])]
    return " < ".join(dict.fromkeys(shown))


def _is_json(made: Command) -> bool:
    return any(a.lstrip("-").lower().startswith("json") for a in made.arguments)


def _no_json(made: Command, stdout: str) -> str | None:
    """What is wrong with an answer that was to be JSON."""
    if "--json" in made.arguments and stdout:
        try:
            json.loads(stdout, parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError):
            return f"no JSON: {stdout[:200]!r}"
    return None


def _judge(made: Command, code: int | None, stdout: str, stderr: str) -> str | None:
    """What is wrong with how a command ended."""
    if "Traceback" in stderr:
        return f"a traceback in its words: {stderr[-300:]!r}"
    if code == 2:
        lines = stderr.strip("\n").split("\n")
        if len(lines) != 1 or not lines[0].startswith("error: "):
            return f"not one sentence: {stderr[:300]!r}"
        if len(lines[0]) > 1500:
            return f"a sentence of {len(lines[0])} characters: {lines[0][:200]!r}"
        if any(ord(c) < 32 or c == "\x7f" for c in lines[0]):
            return f"control characters: {lines[0][:200]!r}"
        return _no_json(made, stdout)  # an answer may come whole, before its file fails
    if code not in (0, 1, INTERRUPTED):
        return f"exit code {code}"
    if stderr and code != INTERRUPTED and not _is_json(made):  # progress is told there
        return f"noise: {stderr[:300]!r}"
    return _no_json(made, stdout) if code == 0 and "{" in stdout else None

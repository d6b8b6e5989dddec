"""Command lines, studies and files that are damaged at random, over every verb, and what they do.

A command is made from a seed, run in this process in a folder with one finished study, and judged:
it ends with 0, with 1 where a verb says so without a traceback, or with 2 and one sentence.
Nothing is trained: where a verb would begin to, it stops as on Ctrl-C.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import random
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scaling import cli
from scaling.compose import compose
from scaling.verbs.verb import INTERRUPTED

SECONDS = 20  # of processor time, that a command may take
MEGABYTES = 2_000  # that it may need beside what was there


@dataclass
class Command:
    """A command line, the files that it finds beside the study."""

    verb: str
    arguments: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    study: str | None = None  # in place of the study's own file


@dataclass(frozen=True)
class Outcome:
    """How a command ended. `wrong` is None where it ended as it should."""

    code: int | None
    stdout: str
    stderr: str
    seconds: float
    wrong: str | None


POINTS = "N,D,loss\n" + "".join(
    f"{n},{d},{1.7 + 40 * n**-0.34 + 180 * d**-0.37}\n"
    for n in (1000, 3000, 9000, 27000, 81000) for d in (20000, 60000, 180000)
)
BATCHES = "loss,critical_batch\n" + "".join(
    f"{loss},{1e4 * loss**-5}\n" for loss in (2.0, 2.2, 2.5, 2.8, 3.1, 3.5)
)
ARMS = "N,D,loss,arm\n" + "".join(
    f"{line},a\n{line.rpartition(',')[0]},{float(line.rpartition(',')[2]) + 0.1},b\n"
    for line in POINTS.splitlines()[1:]
)
TABLES = {"points.csv": POINTS.encode(), "batches.csv": BATCHES.encode(),
          "arms.csv": ARMS.encode()}
# A good command of each verb, or several. What is slow is made small.
GOOD = {
    "plan": [["study=tiny"], ["study=tiny", "--schedules"],
             ["study=tiny", "launch=inline", "schedule.cooldown_fraction=0.5"]],
    "launch": [["study=tiny", "launch=inline"], ["study=tiny", "launch.runs=failed"]],
    "add": [["study=tiny", "block=more", "grid.model.width=[8]", "grid.tokens=[5120]"]],
    "status": [["study=tiny"], [], ["study=tiny", "why=true"], ["study=tiny", "runs=done"]],
    "logs": [["study=tiny", "runs=done"], ["study=tiny"]],
    "cancel": [["study=tiny"], ["study=tiny", "runs=done"]],
    "train": [["model.width=16", "data=markov"], ["data=markov", "schedule=cosine"]],
    "data": [["data=markov"], ["study=tiny"]],
    "fit": [["study=tiny", "resamples=4"], ["data=points.csv", "resamples=4"],
            ["study=tiny", "law=kaplan_nd", "resamples=0"]],
    "report": [["study=tiny", "resamples=2", "multiverse=false"]],
    "compare": [["study=tiny", "arm=seed", "resamples=2"],
                ["data=arms.csv", "arm=arm", "between=[a,b]", "resamples=2"]],
    "multiverse": [["study=tiny", "target=alpha"], ["data=points.csv", "target=N at C=1e9"]],
    "import": [["points.csv"], ["points.csv", "to=mine"],
               ["points.csv", "held_out=N > 50000", "json=true"]],
    "allocate": [["study=tiny", "budgets=[1e9]", "resamples=4"],
                 ["data=points.csv", "budgets=1e9", "resamples=4"],
                 ["data=points.csv", "budgets=[1e9]", "losses=[2.5]", "sizes=[1e4]",
                  "resamples=0"]],
    "tune": [["data=batches.csv", "losses=[2.5]", "law=critical_batch_at_loss", "resamples=2"]],
    "schedule": [["study=tiny", "steps=100", "refits=false", "resamples=0"]],
    "next": [["study=tiny", "target=loss at C=1e9", "law=kaplan_nd", "resamples=80", "runs=1",
              "grid.model.width=[48]", "grid.tokens=[20480]"]],
    "reach": [["study=tiny", "target=loss at C=1e9 within 1%", "law=kaplan_nd",
               "resamples=80", "runs=1",
               "grid.model.width=[48]", "grid.tokens=[20480]"]],
    "forecast": [["study=tiny", "resamples=2"]],
    "track": [["study=tiny"], []],
    "coordcheck": [["widths=[16,32]", "depths=[1,2]", "steps=1", "seeds=1",
                    "parametrizations=[sp]"]],
    "doctor": [[]],
    "collect": [["study=tiny"]],
    "gc": [[], ["dry_run=false", "keep=weights"]],
    "sync": [["study=tiny"]],
}
COMPOSED = ("plan", "launch", "train", "data", "add", "next", "reach")  # take Hydra's overrides
STUDIED = ("plan", "launch", "data", "add", "next", "reach", "report")

NUMBERS = ("0", "-1", "1e9", "-1e9", "1e99", "1e400", "-0.0", "0.5", "1e-300", "nan", "inf",
           "-inf", "NaN", "Infinity", "9" * 400, "0x10", "1_000", "1e", "2", "١", "9223372036854775808")
VALUES = (*NUMBERS, "", "null", "true", "false", "~", "[]", "[[]]", "[1]", "[null]", "[1,x]", "{}",
          "{a: 1}", "{a: {b: [1]}}", "[{}]", "'", '"', "[", "]", "{", "x", "é", "\u202e", "\x1b[2J",
          "\x00", "\n", "a\nb", "\t", "%s", "$HOME", "${seed}", "${model.width}", "${oc.env:HOME}",
          "${nothing}", "${", "$x$", "$\\frac{$", "\\", "\ud800", "x" * 7_000, ".", "..", "/",
          "/dev/null", "/dev/full", "/nowhere/at/all", "/etc/shadow", "a b", "a=b", "a,b", "-",
          "--", "*", "[*", "(", "!!python/object:os.system", "&a", "*a", "@", "`ls`", "🙂",
          "on", "1:30", "2020-01-01", "[" * 3000, "{a:" * 3000, "[1,[2,[3]]]", "___", "tiny", "1j")
KEYS = ("nothing", "modl.width", "model.widht", "x.y.z", "study.blocks", "study.nothing", "", ".",
        "a..b", "model.", ".model", "__class__", "é", "launch.nothing", "hydra.run.dir", "defaults",
        "model.width.x", "tokens.x", "outputs.x", "seed.x.y", "data.options.nothing", "_target_",
        "study.answer.nothing", "optimizer.lr.x", "rule.lr.x", "schedule.pieces.x",
        "execution.measure.x", "json.x", "study.x", "resamples.x", "columns", "columns.x.y",
        "grid.x", "grid", "x" * 5000)
TARGETS = ("", "N", "alpha", "C=1e13", "N at", "N at C", "N at C=", "N at C=0", "N at C=-1",
           "N at C=nan", "N at C=1e400", "loss at", "loss at N=1e6", "loss at N=1e6 D=1e9",
           "loss at N=1e6 D=1e9 D=2", "loss at X=1", "loss at C=1e13 within", "gamma",
           "loss at C=1e13 within 0%", "loss at C=1e13 within -1%", "loss at C=1e13 within nan%",
           "loss at C=1e13 within 1", "loss at C=1e13 within 1% within 2%", "D at C=1e9",
           "within 1%", "N at C=1e9 at C=1e9", "N AT C=1e9", "N at C = 1e9", "loss at C=1e9,N=1",
           "alpha within 5%", "E", "N at N=1", "loss at C=1e13  within 1e400%", "x" * 9000)
SELECTIONS = ("-state", "state", "failed,done", "", ",", "x", "*", "[", "N>1", "N > 1e6", "N >",
              "model.width=8", "model.width", "study.blocks", "role=fit", "done or", "not", "-",
              "lr>x", "state==done", "(N>1", "@x", "__import__('os')", "N>1;1", "0", "N.x>1", "~done",
              "model.width>1e400", "index", "N>'a'", "done and (failed", "\n", "N in [1]", "N.sum()")


def command(seed: int) -> Command:
    """The damaged command of a seed."""
    rng = random.Random(seed)
    verb = sorted(GOOD)[seed % len(GOOD)]
    made = Command(verb, list(rng.choice(GOOD[verb])))
    made.files |= TABLES
    if verb == "import" and rng.random() < 0.3:
        made.arguments[0] = "events"
        made.files["events/events.out.tfevents.1.a"] = _events(rng)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        rng.choice(_mutations(verb))(rng, made)
    if rng.random() < 0.15:
        made.arguments.append(rng.choice(["--json", "--json", "--json=", "json=1", "--JSON"]))
    return made


def _mutations(verb: str) -> list[Callable[[random.Random, Command], None]]:
    found = [_number, _number, _number, _number, _value, _value, _value, _option, _option, _unknown, _argument, _twice]
    if cli.VERBS[verb].options is not None:
        found += [_option] * 4
    if verb in COMPOSED:
        found += [_override] * 5 + [_prefixed, _prefixed]
    if verb in STUDIED:
        found += [_study] * 5
    if verb in ("import", "fit", "allocate", "compare", "multiverse", "tune", "schedule"):
        found += [_file, _file]
    return found


def _value(rng: random.Random, made: Command) -> None:
    """Another value of an argument that is there."""
    if made.arguments:
        k = rng.randrange(len(made.arguments))
        key = made.arguments[k].partition("=")[0]
        made.arguments[k] = f"{key}={_any_value(rng, key)}"


def _any_value(rng: random.Random, key: str) -> str:
    if key == "target" and rng.random() < 0.8:
        return rng.choice(TARGETS)
    if key.split(".")[-1] in ("runs", "take_up", "held_out", "exclude") and rng.random() < 0.8:
        return rng.choice(SELECTIONS)
    if key in ("to", "save", "outputs", "data", "dir") and rng.random() < 0.5:
        return rng.choice(PATHS)
    return rng.choice(VALUES)


PATHS = ("/dev/null", "/dev/full", "/dev/zero", "/", ".", "..", "points.csv", "points.csv/x",
         "conf", "nowhere/x.json", "a\x00b", "é\u202e.json", "x" * 300, "~", "*.csv", "/proc/self/mem",
         "outputs/studies/tiny/plan.json", "fifo", "x.html", "x.xyz", "closed/x", "/sys/x")


def _option(rng: random.Random, made: Command) -> None:
    """An option of the verb, with any value."""
    options = cli.VERBS[made.verb].options
    if options is None:
        return _override(rng, made)
    key = rng.choice([f.name for f in dataclasses.fields(options)
                      if f.name not in ("watch", "follow", "stop")])
    made.arguments.append(f"{key}={_any_value(rng, key)}")


def _number(rng: random.Random, made: Command) -> None:
    """A number where one is wanted, of a size that nobody wants."""
    options = cli.VERBS[made.verb].options
    number = rng.choice(SIZES)
    if options is None or made.verb in COMPOSED and rng.random() < 0.5:
        key = rng.choice([k for k, v in _leaves() if isinstance(v, int | float)
                          and not isinstance(v, bool)])
        made.arguments.append(f"{key}={number}")
        return
    keys = [f.name for f in dataclasses.fields(options)
            if any(kind in str(f.type) for kind in ("int", "float"))]
    if keys:
        key = rng.choice(keys)
        made.arguments.append(f"{key}=" + rng.choice([number, number, f"[{number}]",
                                                      f"[{number},{rng.choice(SIZES)}]"]))


SIZES = ("0", "-1", "1", "2", "3", "7", "1e3", "1e5", "1e7", "1e9", "1e12", "1e15", "1e18", "1e30", "1e-9",
         "1e-300", "1e300", "-1e9", "0.5", "0.999999999", "1.5", "99999999999999999999", "4096", "65536")


def _keys(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{path}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{path}{key}.")


_COMPOSED_KEYS: list[str] = []


def _leaves() -> list[tuple[str, Any]]:
    values = compose(["study=quickstart"])

    def of(node: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            if isinstance(value, dict):
                yield from of(value, f"{path}{key}.")
            else:
                yield f"{path}{key}", value

    return list(of(values, ""))


def _composed_keys() -> list[str]:
    if not _COMPOSED_KEYS:
        _COMPOSED_KEYS.extend(_keys(compose(["study=quickstart"])))
    return _COMPOSED_KEYS


def _override(rng: random.Random, made: Command) -> None:
    """A key of the configuration, with any value."""
    key = rng.choice(_composed_keys())
    made.arguments.append(f"{key}={_any_value(rng, key)}")


def _prefixed(rng: random.Random, made: Command) -> None:
    """Something added, forced or taken away."""
    key = rng.choice([*_composed_keys(), *KEYS])
    mark = rng.choice(["+", "++", "~", "~", "-", "+~"])
    made.arguments.append(mark + key + rng.choice(["", f"={_any_value(rng, key)}"]))


def _unknown(rng: random.Random, made: Command) -> None:
    """A key that no verb knows."""
    made.arguments.append(f"{rng.choice(KEYS)}={rng.choice(['1', *VALUES])}")


def _argument(rng: random.Random, made: Command) -> None:
    """Something that is no key=value."""
    made.arguments.append(rng.choice([
        "x", "-x", "--x", "=", "=1", "--", "---", "a=b=c", "study", "--study", "--study=tiny", "",
        " ", "-", "--outputs", "--no-json", "+", "~", "tiny", "points.csv", "@x", "\n", "é"]))


def _twice(rng: random.Random, made: Command) -> None:
    if made.arguments:
        made.arguments.append(rng.choice(made.arguments))


def _study(rng: random.Random, made: Command) -> None:
    """A study whose file is damaged."""
    from tests.conftest import FINISHED_STUDY

    text = made.study or FINISHED_STUDY
    lines = text.splitlines()
    k = rng.randrange(len(lines)) if lines else 0
    kind = rng.randrange(10) if lines else 8
    lines = lines or [""]
    indent = lines[k][: len(lines[k]) - len(lines[k].lstrip())]
    key, colon, _ = lines[k].partition(": ")
    if kind <= 2 and colon:
        lines[k] = f"{key}: {rng.choice(VALUES)}"
    elif kind == 3:
        del lines[k]
    elif kind == 4:
        lines.insert(k, lines[k])
    elif kind == 5:
        lines.insert(k, f"{indent}{rng.choice(KEYS)}: {rng.choice(VALUES)}")
    elif kind == 6:
        lines[k] = rng.choice([" ", "  ", "\t"]) + lines[k]
    elif kind == 7:
        at = rng.randrange(len(lines[k]) + 1)
        lines[k] = lines[k][:at] + rng.choice(["[", "}", ":", " #", "'", "&a ", "*a", "\x00", "é", "-",
                                               "\t", "!!int ", "${x}", "? ", "|", "%"]) + lines[k][at:]
    elif kind == 8:
        lines = rng.choice(STUDIES).splitlines()
    else:
        lines = lines[:k]
    made.study = "\n".join(lines) + "\n"
    if not any(a.startswith("study=") for a in made.arguments):
        made.arguments.append("study=tiny")


_BOMB = "\n".join(["  a0: &a0 [x, x, x, x, x, x, x, x, x]",
                   *(f"  a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 9))])
_HEAD = "# @package _global_\n"
_BLOCKS = "study:\n  name: tiny\n  question: x\n  blocks:\n    a: {role: fit, grid: %s}\n"
STUDIES = (
    "", "[]", "3", "x", "null", "study:", "study: 3", "study: []", "\x00", "---\n---\n", "- a\n- b\n",
    f"{_HEAD}study:\n  name: tiny\n{_BOMB}\n",
    f"{_HEAD}defaults: [tiny]\nstudy: {{name: tiny}}\n",
    f"{_HEAD}defaults: [{{override /study: tiny}}]\nstudy: {{name: tiny}}\n",
    f"{_HEAD}defaults: [{{/study: tiny}}]\nstudy: {{name: tiny}}\n",
    f"{_HEAD}defaults: [_self_, _self_]\nstudy: {{name: tiny}}\n",
    f"{_HEAD}defaults: 3\n", f"{_HEAD}defaults: [{{override /nothing: x}}]\n",
    f"{_HEAD}defaults: [{{override /data: nothing}}]\n", f"{_HEAD}defaults: [{{a: [b]}}]\n",
    f"{_HEAD}study: &s\n  name: tiny\n  self: *s\n", "# @package study.x.y\nname: 3\n",
    "# @package\n", f"{_HEAD}model: 3\n", f"{_HEAD}study: {{name: tiny, blocks: [1]}}\n",
    f"{_HEAD}? [a, b]\n: c\n", f"{_HEAD}1: 2\n", f"{_HEAD}study: {{1: 2}}\n",
    f"{_HEAD}study: {{name: ../up, blocks: {{}}}}\n", f"{_HEAD}study: {{name: tiny, name: tiny}}\n",
    _HEAD + _BLOCKS % "{}", _HEAD + _BLOCKS % "[]", _HEAD + _BLOCKS % "{model: 3}",
    _HEAD + _BLOCKS % "{model: {width: 8}}", _HEAD + _BLOCKS % "{model: {width: []}}",
    _HEAD + _BLOCKS % "{model: {width: [8, 8]}}", _HEAD + _BLOCKS % "{model: {width: [a, null]}}",
    _HEAD + _BLOCKS % "{nothing: [1]}", _HEAD + _BLOCKS % "{model: {nothing: [1]}}",
    _HEAD + _BLOCKS % ("{seed: [%s]}" % ", ".join(map(str, range(20_000)))),
    _HEAD + _BLOCKS % ("{seed: &s [%s], tokens: *s, batch: *s, z_loss: *s}"
                       % ", ".join(map(str, range(300)))),
    _HEAD + _BLOCKS % "{study: [x]}", _HEAD + _BLOCKS % "{execution: {threads: [1, 2]}}",
    _HEAD + _BLOCKS % "{data: {source: [1, 2]}}", _HEAD + _BLOCKS % "{model: [llama, nothing]}",
    _HEAD + _BLOCKS % "{tokens: ['${tokens}']}", _HEAD + _BLOCKS % "{tokens: [2026-01-01]}",
    _HEAD + _BLOCKS % "{schedule: {pieces: [[{shape: x}]]}}",
    _HEAD + "study:\n  name: tiny\n  question: x\n  blocks: {a: {generator: nothing}}\n",
    _HEAD + "study:\n  name: tiny\n  question: x\n  blocks: {a: {generator: tune}}\n",
    _HEAD + "study:\n  name: tiny\n  question: x\n  blocks: {a: {generator: isoflop, options: 3}}\n",
    _HEAD + "study:\n  name: tiny\n  question: x\n  blocks: {a: 3}\n",
    _HEAD + "study:\n  name: tiny\n  question: x\n  blocks: {a: null}\n",
    _HEAD + "study:\n  name: tiny\n  question: x\n  answer: 3\n  blocks: {}\n",
    "&a " * 50 + "x", "{" * 3000, "[" * 3000, "a:\n" + "".join(" " * k + "a:\n" for k in range(900)),
    "x: !!python/object/apply:os.system [ls]\n", "x: !!binary 3\n", "\ufeff" + _HEAD + "study: 1\n",
)


def _file(rng: random.Random, made: Command) -> None:
    """A table that is no table, a fit that is no fit."""
    name, content = rng.choice(FILES)
    made.files[name] = content
    made.arguments.append(rng.choice([f"data={name}", f"source=[{name}]", name, f"runs={name}",
                                      f"save={name}", f"to={name}"]))


_FIT = json.dumps({"law": "chinchilla", "parameters": {"E": 1.7, "A": "x"}}).encode()
FILES = (
    ("empty.csv", b""), ("nul.csv", b"\x00" * 100), ("one.csv", b"N,D,loss\n1,2,3\n"),
    ("dup.csv", b"N,N,loss\n1,2,3\n"), ("x.parquet", b"PAR1"), ("x.parquet", b"x" * 100),
    ("x.json", b"{"), ("x.json", b"[" * 100_000), ("x.json", b'{"a":' * 5000), ("x.json", b"3"),
    ("x.json", b"[null]"), ("x.json", b'[{"N": 1e400, "D": "x", "loss": []}]'),
    ("x.json", _FIT), ("x.json", b'{"N": NaN}'), ("x.jsonl", b'{"N": 1}\n{"N"'),
    ("arms.csv", b"N,D,loss,arm\n" + b"".join(
        b"%d,%d,%f,%s\n" % (n, d, 1.7 + 40 * n**-0.34 + 180 * d**-0.37, arm)
        for n in (1000, 3000, 9000, 27000) for d in (20000, 60000, 180000)
        for arm in (b"$\\frac{$", b"$x^$_{ a"))),
    ("latin.csv", b"N,D,loss\n1,2,3\xe9\n"), ("utf16.csv", POINTS.encode("utf-16")),
    ("x.xlsx", b"PK\x03\x04"), ("x.gz", b"\x1f\x8b"), ("x.csv.gz", b"\x1f\x8b\x08"),
    ("a=b.csv", POINTS.encode()), ("x.txt", b"step 1 loss 2\n"), ("x.xyz", b"x"),
    ("big.csv", b"N,D,loss\n" + b"1e400,-1,nan\n" * 50), ("x.tfevents", b"\x00" * 20),
)


def _events(rng: random.Random) -> bytes:
    """A file of TensorBoard events that is torn, lies about its lengths, or holds anything."""
    body = bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 20, 200])))
    length = rng.choice([len(body), 0, 1, 2**31, 2**63, len(body) + 7])
    record = struct.pack("<QI", length, 0) + body + struct.pack("<I", 0)
    return rng.choice([b"", record, record * 3, record[: len(record) // 2], body])


class _TooLong(BaseException):
    """A command ran past its time."""


def _trains(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


@contextlib.contextmanager
def nothing_trained() -> Iterator[None]:
    """Verbs that would train, push to wandb or time a step stop, or are told a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeps.launch.launch", _trains)
        patch.setattr("sweeps.launch.detach", _trains)
        patch.setattr("scaling.verbs.training._train", _trains)
        patch.setattr("scaling.dashboard.Dashboard.push", lambda *_, **__: 0)
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
            made.study.encode(errors="surrogatepass"))
    stdout, stderr = io.StringIO(), io.StringIO()
    code: int | None = None
    failure = None
    start = time.process_time()
    here = os.getcwd()
    os.chdir(folder)
    try:
        with (contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr),
              warnings.catch_warnings(), _ceilings()):
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
    own = [f for f in frames if "site-packages" not in f.filename and "/lib/python" not in f.filename]
    shown = [f"{Path(f.filename).name}:{f.lineno}" for f in (*frames[-1:], *own[-1:-3:-1])]
    return " < ".join(dict.fromkeys(shown))


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
        if stdout and "--json" in made.arguments:
            return f"stdout before an error: {stdout[:200]!r}"
        return None
    if code not in (0, 1, INTERRUPTED):
        return f"exit code {code}"
    if stderr and code != INTERRUPTED:
        return f"noise: {stderr[:300]!r}"
    if "--json" in made.arguments and code == 0 and "{" in stdout:
        try:
            json.loads(stdout, parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError):
            return f"no JSON: {stdout[:200]!r}"
    return None

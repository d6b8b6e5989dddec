"""What is put in the place of something good: values, keys, studies and files."""

from __future__ import annotations

import json

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

NUMBERS = ("0", "-1", "1e9", "-1e9", "1e99", "1e400", "-0.0", "0.5", "1e-300", "nan", "inf",
           "-inf", "NaN", "Infinity", "9" * 400, "0x10", "1_000", "1e", "2", "١",
           "9223372036854775808")
VALUES = (*NUMBERS, "", "null", "true", "false", "~", "[]", "[[]]", "[1]", "[null]", "[1,x]", "{}",
          "{a: 1}", "{a: {b: [1]}}", "[{}]", "'", '"', "[", "]", "{", "x", "é", "\u202e",
          "\x1b[2J",
          "\x00", "\n", "a\nb", "\t", "%s", "$HOME", "${seed}", "${model.width}", "${oc.env:HOME}",
          "${nothing}", "${", "$x$", "$\\frac{$", "\\", "\ud800", "x" * 7_000, ".", "..", "/",
          "/dev/null", "/dev/full", "/nowhere/at/all", "/etc/shadow", "a b", "a=b", "a,b", "-",
          "--", "*", "[*", "(", "!!python/object:os.system", "&a", "*a", "@", "`ls`", "🙂",
          "on", "1:30", "2020-01-01", "[" * 3000, "{a:" * 3000, "[1,[2,[3]]]", "___", "tiny", "1j")
KEYS = ("nothing", "modl.width", "model.widht", "x.y.z", "study.blocks", "study.nothing", "", ".",
        "a..b", "model.", ".model", "__class__", "é", "launch.nothing", "hydra.run.dir",
        "defaults",
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
              "lr>x", "state==done", "(N>1", "@x", "__import__('os')", "N>1;1", "0", "N.x>1",
              "~done",
              "model.width>1e400", "index", "N>'a'", "done and (failed", "\n", "N in [1]",
              "N.sum()")

PATHS = ("/dev/null", "/dev/full", "/dev/zero", "/", ".", "..", "points.csv", "points.csv/x",
         "conf", "nowhere/x.json", "a\x00b", "é\u202e.json", "x" * 300, "~", "*.csv",
         "/proc/self/mem",
         "outputs/studies/tiny/plan.json", "fifo", "x.html", "x.xyz", "closed/x", "/sys/x")

SIZES = ("0", "-1", "1", "2", "3", "7", "1e3", "1e5", "1e7", "1e9", "1e12", "1e15", "1e18",
         "1e30", "1e-9",
         "1e-300", "1e300", "-1e9", "0.5", "0.999999999", "1.5", "99999999999999999999", "4096",
         "65536")

_BOMB = "\n".join(["  a0: &a0 [x, x, x, x, x, x, x, x, x]",
                   *(f"  a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 9))])
_HEAD = "# @package _global_\n"
_BLOCKS = "study:\n  name: tiny\n  question: x\n  blocks:\n    a: {role: fit, grid: %s}\n"
STUDIES = (
    "", "[]", "3", "x", "null", "study:", "study: 3", "study: []", "\x00", "---\n---\n",
    "- a\n- b\n",
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
    f"{_HEAD}study: {{name: ../up, blocks: {{}}}}\n",
    f"{_HEAD}study: {{name: tiny, name: tiny}}\n",
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
    _HEAD + "study:\n  name: tiny\n  question: x\n"
    "  blocks: {a: {generator: isoflop, options: 3}}\n",
    _HEAD + "study:\n  name: tiny\n  question: x\n  blocks: {a: 3}\n",
    _HEAD + "study:\n  name: tiny\n  question: x\n  blocks: {a: null}\n",
    _HEAD + "study:\n  name: tiny\n  question: x\n  answer: 3\n  blocks: {}\n",
    "&a " * 50 + "x",
    "{" * 3000, "[" * 3000, "a:\n" + "".join(" " * k + "a:\n" for k in range(900)),
    "x: !!python/object/apply:os.system [ls]\n", "x: !!binary 3\n",
    "\ufeff" + _HEAD + "study: 1\n",
)

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

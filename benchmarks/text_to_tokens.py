"""Text to tokens: time and memory of building a store, against `datasets` with `tokenizers`.

    python benchmarks/text_to_tokens.py [--mb 1000] [--processes 2] [--vocab 4096] [--rounds 3]
        [--kill]

A text of this many megabytes of JSON Lines, drawn from 300,000 synthetic words by Zipf's law, equal
on every machine and without repeats; a BPE trained on a part of it. Then, in turns, each in a
separate process:

- ours: `open_store` with that tokenizer.json, from the files to a verified store;
- theirs: `datasets.load_dataset("json").map(tokenizers' encode_batch)` with as many processes, and
  its tokens written to one file, as a trainer needs them.

Both encode with the same library, one thread a process. Printed: seconds and megabytes of text a
second of each (median, least, most), the ratio ours over theirs, the processor's time of all
processes, and the largest sum of unique pages (USS, looked at every .5 s) of the building process
and its children. --kill then builds with one process, and ends another build with all of them by
kill -9 at each quarter of the text: the two stores must have the same bytes.
--rounds 0 --kill does the latter alone.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

OURS = """
import sys
from pathlib import Path
from scalinglab.scaling.data_config import DataConfig, TokenizerConfig
from scalinglab.scaling.data.sources import open_store
corpus, tokenizer, outputs, processes = sys.argv[1:]
config = DataConfig(source="jsonl", options={"path": corpus},
                    tokenizer=TokenizerConfig("hf", {"path": tokenizer}))
print(open_store(config, Path(outputs), int(processes)).manifest.content_hash)
"""
THEIRS = """
import os, sys
os.environ.update(
    TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1", HF_HOME=sys.argv[3] + "/hf"
)
import datasets, numpy, tokenizers
corpus, file, outputs, processes = sys.argv[1:]
datasets.disable_progress_bars()
tokenizer = tokenizers.Tokenizer.from_file(file)
end = tokenizer.token_to_id("<|endoftext|>")
def encode(batch):
    encodings = tokenizer.encode_batch_fast(batch["text"], add_special_tokens=False)
    return {"ids": [numpy.array([*e.ids, end], dtype=numpy.uint16) for e in encodings]}
if __name__ == "__main__":
    rows = datasets.load_dataset("json", data_dir=corpus, split="train")
    features = datasets.Features({"ids": datasets.Sequence(datasets.Value("uint16"))})
    rows = rows.map(encode, batched=True, remove_columns=rows.column_names, features=features,
                    num_proc=int(processes))
    with open(outputs + "/train.bin", "wb") as out:
        for batch in rows.with_format("arrow").iter(1_000):
            batch["ids"].combine_chunks().flatten().to_numpy(zero_copy_only=False).tofile(out)
"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        corpus = folder / "corpus"
        size = write_corpus(corpus, int(options.mb * 1e6))
        tokenizer = train(corpus, folder / "tokenizer", options.vocab)
        print(
            f"{size / 1e6:,.0f} MB of text, vocabulary {options.vocab}, {options.processes}"
            " processes",
            flush=True,
        )
        if options.rounds:
            compare(options, folder, corpus, tokenizer, size)
        if options.kill:
            check_killed(folder, corpus, tokenizer, options.processes, size)


def compare(
    options: argparse.Namespace, folder: Path, corpus: Path, tokenizer: Path, size: int
) -> None:
    """Both ways in turns, and the ratios of each round."""
    rounds: dict[str, list[tuple[float, float, float]]] = {"ours": [], "theirs": []}
    for number in range(options.rounds):
        for way in ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours"):
            program = OURS if way == "ours" else THEIRS
            rounds[way].append(measured(program, corpus, tokenizer, folder, options.processes))
    for way, figures in rounds.items():
        seconds = [figure[0] for figure in figures]
        cpu, memory = statistics.median(f[1] for f in figures), max(f[2] for f in figures)
        print(
            f"{way}: {statistics.median(seconds):.1f} s ({min(seconds):.1f} to"
            f" {max(seconds):.1f}), {size / 1e6 / statistics.median(seconds):.2f} MB/s,"
            f" {cpu:.1f} s of the processor, memory of all processes {memory / 1e6:,.0f} MB"
        )
    wall = [t[0] / o[0] for o, t in zip(rounds["ours"], rounds["theirs"], strict=True)]
    work = [t[1] / o[1] for o, t in zip(rounds["ours"], rounds["theirs"], strict=True)]
    print(
        f"throughput over theirs: {statistics.median(wall):.2f}"
        f" ({min(wall):.2f} to {max(wall):.2f});"
        f" by the processor's time {statistics.median(work):.2f}",
        flush=True,
    )


def measured(
    program: str, corpus: Path, tokenizer: Path, folder: Path, processes: int
) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and the largest memory of a process and its children."""
    with tempfile.TemporaryDirectory(dir=folder) as outputs:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        command = [
            sys.executable,
            "-c",
            program,
            *map(str, (corpus, tokenizer, outputs, processes)),
        ]
        log = folder / "log"
        with (
            log.open("wb") as errors,
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process,
        ):
            most = 0.0
            while process.poll() is None:
                most = max(most, _memory(process.pid))
                time.sleep(0.5)
        seconds = time.perf_counter() - start
        if process.returncode:
            raise SystemExit(
                f"a program ended with {process.returncode}: {log.read_text()[-1000:]}"
            )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used, most


def _memory(pid: int) -> float:
    """Resident memory of a process and its children; shared pages count once each."""
    total = 0.0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_full_info().uss
    except psutil.Error:
        pass
    return total


def check_killed(folder: Path, corpus: Path, tokenizer: Path, processes: int, size: int) -> None:
    """Kill a build at each quarter of the text, resume it, compare with an uninterrupted one."""
    command = [sys.executable, "-c", OURS, str(corpus), str(tokenizer)]
    subprocess.run([*command, str(folder / "one"), "1"], stdout=subprocess.PIPE, check=True)
    for quarter in (1, 2, 3):
        with subprocess.Popen([*command, str(folder / "killed"), str(processes)]) as process:
            while process.poll() is None and _chunks(folder) * 2**20 < quarter / 4 * size:
                time.sleep(0.1)
            assert process.poll() is None, "the build ended before it was killed: take more text"
            os.kill(process.pid, signal.SIGKILL)
        print(f"killed after {_chunks(folder):,} chunks", flush=True)
    subprocess.run(
        [*command, str(folder / "killed"), str(processes)], stdout=subprocess.PIPE, check=True
    )
    one, other = (next((folder / name / "data").glob("jsonl-*")) for name in ("one", "killed"))
    names = [path.name for path in one.iterdir() if not path.name.startswith("verified")]
    _, differing, missing = filecmp.cmpfiles(one, other, names, shallow=False)
    assert not differing and not missing, (differing, missing)
    print(
        f"one process, and {processes} killed three times: the same bytes in"
        f" {', '.join(sorted(names))}"
    )


def _chunks(folder: Path) -> int:
    """Number of chunks that a build has recorded as done."""
    for note in (folder / "killed" / "data").glob(".*.building/progress.json"):
        chunks: int = json.loads(note.read_text())["chunks"]
        return chunks
    return 0


def write_corpus(folder: Path, size: int) -> int:
    """Documents of words that follow Zipf's law, in four files; about `size` bytes of text."""
    folder.mkdir()
    generator, written = np.random.default_rng(0), 0
    words, ends = _words(generator), np.array([" ", ", ", ". ", ".\n"], dtype=object)
    frequencies = 1 / (
        np.arange(len(words)) + 2.7
    )  # Mandelbrot's form: the first words are less frequent
    chances = np.cumsum(frequencies / frequencies.sum())
    files = [(folder / f"{i}.jsonl").open("w") for i in range(4)]
    number = 0
    while written < size:
        length = int(generator.lognormal(6, 1)) + 1  # words: the median is 400
        pieces = np.empty((length, 2), dtype=object)
        pieces[:, 0] = words[np.searchsorted(chances, generator.random(length))]
        pieces[:, 1] = ends[np.searchsorted([0.85, 0.92, 0.98], generator.random(length))]
        text = "".join(pieces.ravel().tolist())
        files[number % 4].write(json.dumps({"text": text}) + "\n")
        written, number = written + len(text.encode()), number + 1
    for file in files:
        file.close()
    return written


def _words(generator: np.random.Generator, count: int = 300_000) -> Any:
    """Different words, short ones first, as frequent words are; a few letters are not ASCII."""
    letters = np.array([*"eeeeetttaaaooiinnsshhrrdlucmwfgypbvkjxqzé"])
    words: dict[str, None] = {}
    while len(words) < count:
        size = 2 + int(generator.poisson(1 + np.log10(1 + len(words))))
        words["".join(generator.choice(letters, size))] = None
    return np.array([*words], dtype=object)


def train(corpus: Path, folder: Path, vocab: int) -> Path:
    """A BPE of a part of the text: its tokenizer.json."""
    from scalinglab.scaling.data.jsonl import JsonLines
    from scalinglab.scaling.tokenizers.bpe import BpeTokenizer

    folder.mkdir()
    source = JsonLines(path=str(corpus))
    BpeTokenizer(vocab=vocab).make(folder, lambda: source.training_texts(4_000_000))
    return folder / "tokenizer.json"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="folder for the text and the stores")
    parser.add_argument("--kill", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Text to tokens: time and memory of a store of documents beside `datasets` and `tokenizers`.

    python benchmarks/text_to_tokens.py [--mb 1000] [--processes 2] [--vocab 4096] [--rounds 3] [--kill]

A text of so many megabytes of JSON Lines, made of the Python sources of this interpreter in an
order of its own (so most of the validation text is in the training, which is counted); a BPE trained on a
part of it. Then, in turns, each in a process of its own:

- ours: `open_store` with that tokenizer.json, from the files to a verified store;
- theirs: `datasets.load_dataset("json").map(tokenizers' encode_batch)` with as many processes, and
  its tokens written to one file, as a trainer needs them.

Both encode with the same library, one thread a process. Printed: seconds and megabytes of text a
second of each (median, least, most), the ratio ours over theirs, the processor's time of all
processes, and the largest sum of unique pages (USS, looked at every .1 s) of the building process
and its children. --kill ends ours in the middle by kill -9, three times, and builds on: the store must be
the same as one of one process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import psutil

OURS = """
import sys
from pathlib import Path
from scalinglab.scaling.data_config import DataConfig, TokenizerConfig
from scalinglab.scaling.data.sources import open_store
corpus, tokenizer, outputs, processes = sys.argv[1:]
config = DataConfig(source="jsonl", options={"path": corpus, "max_overlap": 1},
                    tokenizer=TokenizerConfig("hf", {"path": tokenizer}))
print(open_store(config, Path(outputs), int(processes)).manifest.content_hash)
"""
THEIRS = """
import os, sys
os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1", HF_HOME=sys.argv[3] + "/hf")
import datasets, numpy, tokenizers
corpus, file, outputs, processes = sys.argv[1:]
datasets.disable_progress_bars()
tokenizer = tokenizers.Tokenizer.from_file(file)
end = tokenizer.token_to_id("<|endoftext|>")
def encode(batch):
    found = tokenizer.encode_batch_fast(batch["text"], add_special_tokens=False)
    return {"ids": [numpy.array([*e.ids, end], dtype=numpy.uint16) for e in found]}
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
    given = _given()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        corpus = folder / "corpus"
        size = write_corpus(corpus, int(given.mb * 1e6))
        tokenizer = train(corpus, folder / "tokenizer", given.vocab)
        print(
            f"{size / 1e6:,.0f} MB of text, vocabulary {given.vocab}, {given.processes} processes"
        )
        if given.kill:
            check_killed(folder, corpus, tokenizer, given.processes)
            return
        found: dict[str, list[tuple[float, float, float]]] = {"ours": [], "theirs": []}
        for round_ in range(given.rounds):
            for what in ("ours", "theirs") if round_ % 2 == 0 else ("theirs", "ours"):
                program = OURS if what == "ours" else THEIRS
                found[what].append(measured(program, corpus, tokenizer, folder, given.processes))
        for what, rounds in found.items():
            seconds = [r[0] for r in rounds]
            cpu, memory = statistics.median(r[1] for r in rounds), max(r[2] for r in rounds)
            print(
                f"{what}: {statistics.median(seconds):.1f} s ({min(seconds):.1f} to"
                f" {max(seconds):.1f}), {size / 1e6 / statistics.median(seconds):.2f} MB/s,"
                f" {cpu:.1f} s of the processor, memory of all processes {memory / 1e6:,.0f} MB"
            )
        wall = [t[0] / o[0] for o, t in zip(found["ours"], found["theirs"], strict=True)]
        work = [t[1] / o[1] for o, t in zip(found["ours"], found["theirs"], strict=True)]
        print(
            f"throughput over theirs: {statistics.median(wall):.2f}"
            f" ({min(wall):.2f} to {max(wall):.2f});"
            f" by the processor's time {statistics.median(work):.2f}"
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
            log.open("wb") as said,
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said) as process,
        ):
            most = 0.0
            while process.poll() is None:
                most = max(most, _memory(process.pid))
                time.sleep(0.1)
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


def check_killed(folder: Path, corpus: Path, tokenizer: Path, processes: int) -> None:
    """Kill a build in the middle, build on, and compare the store with that of one process."""
    command = [sys.executable, "-c", OURS, str(corpus), str(tokenizer)]
    one = subprocess.run(
        [*command, str(folder / "one"), "1"], capture_output=True, text=True, check=True
    ).stdout
    for i in range(3):
        with subprocess.Popen([*command, str(folder / "killed"), str(processes)]) as process:
            start = time.monotonic()
            note = _note(folder)
            while (
                process.poll() is None and _note(folder) == note and time.monotonic() - start < 600
            ):
                time.sleep(0.1)
            os.kill(process.pid, signal.SIGKILL)
        print(f"killed after {_note(folder):,} chunks")
        assert i == 0 or _note(folder) > 0
    two = subprocess.run(
        [*command, str(folder / "killed"), str(processes)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    print(f"one process {one.strip()}, killed and built on by {processes}: {two.strip()}")
    assert one == two


def _note(folder: Path) -> int:
    """Chunks that a build has noted as done."""
    for note in (folder / "killed" / "data").glob(".*.building/progress.json"):
        chunks: int = json.loads(note.read_text())["chunks"]
        return chunks
    return 0


def write_corpus(folder: Path, size: int) -> int:
    """Documents of Python sources, again and again in another order, in four files."""
    folder.mkdir()
    paths = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    texts = []
    for path in paths:
        if "site-packages" not in path.parts:
            text = path.read_text(encoding="utf-8", errors="ignore")
            texts += [text[i : i + 8_000] for i in range(0, len(text), 8_000)]
    generator, written = random.Random(0), 0
    files = [(folder / f"{i}.jsonl").open("w") for i in range(4)]
    number = 0
    while written < size:
        for i in generator.sample(range(len(texts)), len(texts)):
            text = f"{number}\n{texts[i]}"
            files[number % 4].write(json.dumps({"text": text}) + "\n")
            written, number = written + len(text.encode()), number + 1
            if written >= size:
                break
    for file in files:
        file.close()
    return written


def train(corpus: Path, folder: Path, vocab: int) -> Path:
    """A BPE of a part of the text: its tokenizer.json."""
    from scalinglab.scaling.data.jsonl import JsonLines
    from scalinglab.scaling.tokenizers.bpe import BpeTokenizer

    folder.mkdir()
    source = JsonLines(path=str(corpus))
    BpeTokenizer(vocab=vocab).make(folder, lambda: source.training_texts(4_000_000))
    return folder / "tokenizer.json"


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where the text and the stores lie meanwhile")
    parser.add_argument("--kill", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()

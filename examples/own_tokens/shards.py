"""Writes text as shards of tokens, as nanoGPT and llm.c have them: flat files of uint16.

    python shards.py FOLDER

`encode` stands for your tokenizer; all else is what any tokenizer needs. If you have shards
already, you need none of this.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

END = 256  # the token that ends a document
VOCAB = 257


def encode(text: str) -> np.ndarray:
    """The tokens of a document, here its bytes."""
    return np.frombuffer(text.encode(), np.uint8).astype(np.uint16)


def write(name: Path, documents: list[np.ndarray]) -> int:
    """Write documents with END after each; the number of tokens."""
    tokens = np.concatenate([part for text in documents for part in (text, [END])])
    tokens.astype(np.uint16).tofile(name)
    return len(tokens)


def main() -> None:
    """Write shards/train_*.bin and shards/validation.bin from the text files of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pattern", default="**/*.py")
    parser.add_argument("--shard", type=int, default=10_000_000, help="tokens a shard, at least")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.glob(options.pattern) if path.is_file())
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    if len(texts) < 20:
        parser.error(f"{options.folder}: {len(texts)} files are too few, one in 20 is held out")
    documents = [encode(text) for text in texts]
    Path("shards").mkdir(exist_ok=True)
    held_out = documents[::20]  # whole documents: none stands on both sides
    rest = [document for k, document in enumerate(documents) if k % 20]
    print(f"{write(Path('shards/validation.bin'), held_out):,} tokens held out")
    shard: list[np.ndarray] = []
    count = total = size_of_shard = 0
    for k, document in enumerate(rest):
        shard.append(document)
        size_of_shard += len(document)
        if size_of_shard >= options.shard or k == len(rest) - 1:
            total += write(Path(f"shards/train_{count:03d}.bin"), shard)
            count, size_of_shard, shard = count + 1, 0, []
    per_token = sum(len(text.encode()) for text in texts) / sum(len(d) + 1 for d in documents)
    print(f"{total:,} tokens in {count} shards; vocab={VOCAB} bytes_per_token={per_token:.4f}")


if __name__ == "__main__":
    main()

"""The real format of a data file, by its first bytes and by the look of its numbers.

A parquet file read as text, or 32-bit tokens read as 16-bit ones, would train and give a loss. Each
check refuses what cannot be meant, names the probable format, and says the way out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scalinglab.scaling.errors import ConfigError

_COMPRESSED = "decompress it first"
_TABLE = "write its text to .txt files, or its tokens to .npy or .bin files, first"
_ARROW = "data=arrow reads it"
_NO_TEXT = "take it out of the folder, or name the text files with data.options.pattern"
# First bytes -> what such a file is, and what to do.
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b\x08", "gzip", _COMPRESSED),
    (b"\x28\xb5\x2f\xfd", "Zstandard", _COMPRESSED),
    (b"\xfd7zXZ\x00", "xz", _COMPRESSED),
    *((b"BZh%d1AY&SY" % level, "bzip2", _COMPRESSED) for level in range(1, 10)),
    (b"\x04\x22\x4d\x18", "LZ4", _COMPRESSED),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", _COMPRESSED),
    (b"Rar!\x1a\x07", "RAR", _COMPRESSED),
    (b"PK\x03\x04", "ZIP (or .npz, .docx, .pt)", _COMPRESSED),
    (b"PAR1\x15", "parquet", "data=parquet reads it"),
    (b"ARROW1", "Arrow", _ARROW),
    (b"\xff\xff\xff\xff\x10\x00\x00\x00", "Arrow stream", _ARROW),
    (b"Obj\x01", "Avro", _TABLE),
    (b"\x89HDF\r\n\x1a\n", "HDF5", _TABLE),
    (b"SQLite format 3\x00", "SQLite", _TABLE),
    (b"\x93NUMPY", "NumPy", "give it the suffix .npy and use data=tokens"),
    (b"%PDF-", "PDF", _NO_TEXT),
    (b"\x7fELF", "ELF program", _NO_TEXT),
    (b"MZ\x90\x00", "Windows program", _NO_TEXT),
    (b"\x89PNG\r\n\x1a\n", "PNG image", _NO_TEXT),
    (b"\xff\xd8\xff", "JPEG image", _NO_TEXT),
    (b"GIF87a", "GIF image", _NO_TEXT),
    (b"GIF89a", "GIF image", _NO_TEXT),
)
_LONGEST = max(len(magic) for magic, _, _ in _MAGIC)
_LOOK = 65_536  # bytes of text, or tokens, that are checked
_FEW = 256  # fewer tokens than this prove nothing
_LARGEST_HIGH_PART = 16  # below it, a high part is surely no token
_TEXT = np.zeros(256, dtype=bool)
_TEXT[[9, 10, 13, *range(32, 127)]] = True


def refuse_binary(path: Path) -> None:
    """Raise `ConfigError` if a file to be read as text is binary."""
    with path.open("rb") as file:
        beginning = file.read(_LOOK)
    refuse_format(path, beginning)
    if b"\0" in beginning:
        raise ConfigError(
            f"{path} is no text: byte {beginning.index(0):,} is zero, as in UTF-16 or in numbers. "
            "Text "
            "is read as it is: convert it to UTF-8; numbers are read with data=tokens"
        )


def refuse_format(path: Path, beginning: bytes | None = None) -> None:
    """Raise `ConfigError` if a file begins like a format that is neither text nor tokens."""
    if beginning is None:
        beginning = _beginning(path)
    for magic, name, way_out in _MAGIC:
        if beginning.startswith(magic):
            raise ConfigError(
                f"{path} is a file of the kind {name}, not what it is to be read as: {way_out}"
            )


def format_hint(path: Path, wanted: str) -> str:
    """A hint at what a file is that cannot be read as the format `wanted`; "" if nothing tells."""
    beginning = _beginning(path)
    if not beginning:
        return " (it is empty)"
    if beginning.lstrip()[:1] == b"{":
        return " (it looks like JSON: data=jsonl reads JSON Lines)"
    for magic, name, way_out in _MAGIC:
        if beginning.startswith(magic):
            cut = "it was cut off or damaged: copy it again"
            return f" ({cut if name.startswith(wanted) else f'it is {name}: {way_out}'})"
    return ""


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST)


def refuse_misread(path: Path, tokens: np.ndarray, vocab: int) -> None:
    """Raise `ConfigError` if numbers look like another dtype, or not like tokens.

    Parameters
    ----------
    path : Path
        Their file.
    tokens : ndarray
        The tokens as they would be read, one-dimensional; the first ones are checked.
    vocab : int
        Size of the vocabulary.
    """
    tokens = tokens[:_LOOK]
    if len(tokens) < _FEW:
        return
    if (tokens == tokens[0]).all():
        raise ConfigError(
            f"{path} holds {int(tokens[0])} and nothing else in its first "
            f"{len(tokens):,} tokens: it is no corpus (wrong data.options.dtype or "
            "header_bytes?)"
        )
    width = tokens.dtype.itemsize
    for wider, dtype in ((8, "int64"), (4, "uint32"), (2, "uint16")):
        if wider > width and _is_wider(tokens, wider // width, vocab):
            raise ConfigError(
                f"{path} holds integers of {8 * wider} bits, not {tokens.dtype}: in every group of "
                f"{wider // width} numbers all but one are next to nothing; give data.options.dtype"
                f" = {dtype}"
            )
    if width > 1 and path.suffix != ".npy" and _TEXT[tokens.view(np.uint8)].all():
        raise ConfigError(f"{path} holds text, not {tokens.dtype}: use data=text")


def _is_wider(tokens: np.ndarray, group: int, vocab: int) -> bool:
    """Whether all but one of each `group` numbers are the high parts of one wider number."""
    groups = tokens[: len(tokens) // group * group].reshape(-1, group)
    high_part = (vocab - 1) >> 8 * tokens.dtype.itemsize  # the largest that a token can have
    if high_part >= _LARGEST_HIGH_PART:
        return False
    is_small = (groups.astype(np.int64) <= high_part).all(axis=0)
    return int(is_small.sum()) == group - 1

"""Whether the tokens of a store are the bytes of its text."""

from __future__ import annotations

from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.mixed import PooledManifest

_BYTES = 256  # values of a byte: the vocabulary where tokens are bytes


def has_byte_tokens(manifest: Manifest) -> bool:
    """Whether tokens are bytes of the text; documents may end with one that no text has.

    Of several pools: whether those of all are.
    """
    if isinstance(manifest, PooledManifest):
        return all(map(has_byte_tokens, manifest.pools.values()))
    # Documents of the tokenizer "bytes" have less than a byte a token: separators have none.
    is_each_a_byte = manifest.bytes_per_token == 1 or manifest.facts.get("tokenizer") == "bytes"
    return manifest.vocab == _BYTES and is_each_a_byte

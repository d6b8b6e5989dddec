"""Whether tokens are bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scalinglab.scaling.data.byte_tokens import has_byte_tokens
from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.mixed import PooledManifest


@pytest.fixture
def of_bytes() -> Manifest:
    """Text as bytes, without documents."""
    return Manifest("text", {}, 256, "uint8", 1000, 100, 1.0, "a" * 16, {})


def test_documents_of_bytes_are_bytes_though_separators_stand_between_them(of_bytes) -> None:
    """A task of texts was refused for them: each separator is a token without a byte."""
    documents = replace(of_bytes, bytes_per_token=0.998, facts={"tokenizer": "bytes"})
    assert has_byte_tokens(of_bytes) and has_byte_tokens(documents)
    merged = replace(of_bytes, bytes_per_token=2.5, facts={"tokenizer": "bpe-0123abcd"})
    assert not has_byte_tokens(merged)  # a BPE of 256 tokens
    assert not has_byte_tokens(replace(of_bytes, vocab=64))


def test_pools_are_of_bytes_if_all_are(of_bytes) -> None:
    documents = replace(of_bytes, bytes_per_token=0.998, facts={"tokenizer": "bytes"})
    of_all = PooledManifest(
        "a+b",
        {},
        256,
        "uint8",
        2000,
        100,
        0.999,
        "b" * 16,
        {},
        pools={"a": of_bytes, "b": documents},
    )
    assert has_byte_tokens(of_all)
    other = replace(documents, facts={"tokenizer": "bpe-0123abcd"})
    assert not has_byte_tokens(replace(of_all, pools={"a": of_bytes, "b": other}))

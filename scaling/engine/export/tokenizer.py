"""A tokenizer for other libraries: of bytes, whose ids are their values."""

from __future__ import annotations

import json
from typing import Any

BYTES = 256  # the vocabulary of a source that has bytes as tokens
# In place of byte 0, which no text has: other tools need a token to begin, end and pad with.
SPECIAL = "<|endoftext|>"


_SPECIAL = {
    "id": 0,
    "content": SPECIAL,
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "special": True,
}


def byte_tokenizer(context: int) -> dict[str, str]:
    """``tokenizer.json`` and ``tokenizer_config.json`` of bytes.

    A BPE without merges over the printable stand-ins that GPT-2 gives each byte.

    Parameters
    ----------
    context : int
        Tokens of a sequence.
    """
    tokenizer: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_SPECIAL],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": False,
            "use_regex": False,
        },
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": False,
            "use_regex": False,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {stand_in: byte for byte, stand_in in enumerate([SPECIAL, *_stand_ins()[1:]])},
            "merges": [],
        },
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL,
        "eos_token": SPECIAL,
        "pad_token": SPECIAL,
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
    return {
        "tokenizer.json": json.dumps(tokenizer, ensure_ascii=False),
        "tokenizer_config.json": json.dumps(settings, indent=1),
    }


def _stand_ins() -> list[str]:
    """A printable character for each byte: its own if that is printable, else one from 256 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    further = iter(range(BYTES, 2 * BYTES))
    return [chr(byte if byte in printable else next(further)) for byte in range(BYTES)]

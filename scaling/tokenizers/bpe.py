"""Byte-pair encoding of any vocabulary, trained on the training text of the corpus.

Bytes are the alphabet, so every text has tokens and gives itself back (GPT-2's scheme). The words
that pairs are counted in are GPT-2's. Training is deterministic: equal text gives equal merges.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extras import needs_extra
from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.read_options import check_ranges
from scalinglab.scaling.tokenizers.fast import END_OF_TEXT, FILE, FastEncoder
from scalinglab.scaling.tokenizers.tokenizer import TOKENIZERS, Encoder, Tokenizer

log = logging.getLogger(__name__)


@TOKENIZERS.register("bpe")
@dataclass(frozen=True)
class BpeTokenizer(Tokenizer):
    """A byte-level BPE of vocab tokens, trained on the corpus."""

    trained: ClassVar[bool] = True
    vocab: int = setting(4096, Within(257, 1_000_000))  # 256 bytes, a separator, merges
    train_bytes: int = setting(64_000_000, Within(1))  # of text, taken evenly from the corpus

    @property
    def sample(self) -> int:
        """Bytes of text that it is trained on."""
        return self.train_bytes

    def make(self, folder: Path, texts: Callable[[], Iterator[str]]) -> None:
        """Count pairs in the text and merge the most frequent ones.

        Raises
        ------
        ConfigError
            If the text has too few pairs for the vocabulary.
        """
        check_ranges(self, "data.tokenizer.options")
        with needs_extra("data.tokenizer.name = 'bpe'"):
            from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        megabytes = self.train_bytes / 1e6
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=[END_OF_TEXT],
            show_progress=False,
        )
        log.warning(
            "training a BPE of %s tokens on up to %.0f MB of text", f"{self.vocab:,}", megabytes
        )
        tokenizer.train_from_iterator(texts(), trainer)
        size = tokenizer.get_vocab_size()
        if size < self.vocab:
            raise ConfigError(
                f"data.tokenizer.options.vocab = {self.vocab}: the training text has pairs for"
                f" {size} tokens only; allowed is 257 to {size}, or give more text"
            )
        tokenizer.save(str(folder / FILE), pretty=False)

    def load(self, folder: Path) -> Encoder:
        """The trained tokenizer."""
        return FastEncoder(folder / FILE)

"""Stores of which only selected documents are read, or documents in proportion to a weight.

A selection is a function of the store, its columns and the configuration: the same documents on
every machine, for every seed of a run. Fractions count tokens, so a pool of the best quarter and
one of a random quarter have equal size; parts cut by ``skip`` and ``fraction`` do not overlap.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from scalinglab.scaling.data.chosen_documents import (
    SELECTIONS,
    TRAIN,
    VALIDATION,
    column_hashes,
    condition_names,
    document_weights,
    kept_documents,
)
from scalinglab.scaling.data.excerpt import Excerpt, WeightedExcerpt
from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.data.vocabulary import Vocabulary, kept_counts, token_counts
from scalinglab.scaling.data_config import DataConfig, SelectConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.identity import digest

KEYS = (*SELECTIONS.values(), "weight")
_SOON_COUNTED = 1 << 26  # tokens; counts of more, at 7 ns a token, are kept beside the store


@dataclass(frozen=True)
class Choice:
    """The keys of `DataConfig` about the documents of one source."""

    select: SelectConfig | None
    weight: str
    validation_select: SelectConfig | None


@dataclass(frozen=True)
class SelectedManifest(Manifest):
    """The manifest of the part of a store that is read.

    Attributes
    ----------
    chosen : dict
        Key below data -> selection or weight, with the hashes of its columns: part of the science
        of a run. Empty if all documents are read once.
    """

    chosen: dict[str, Any] = field(default_factory=dict)


class SelectedStore(TokenStore):
    """Read access to some documents of a store.

    Parameters
    ----------
    store : TokenStore
    choice : Choice

    Raises
    ------
    ConfigError
        If a selection makes no sense for the store, or leaves nothing.
    """

    def __init__(self, store: TokenStore, choice: Choice) -> None:
        self.folder, self.choice, self.whole = store.folder, choice, store.manifest
        self.train, train_chosen = _excerpt(store, TRAIN, choice.select, choice.weight)
        self.validation, validation_chosen = _excerpt(
            store, VALIDATION, choice.validation_select, ""
        )
        facts = {f.name: getattr(store.manifest, f.name) for f in fields(Manifest)}
        sizes = {"train_tokens": len(self.train), "validation_tokens": len(self.validation)}
        self.chosen = train_chosen | validation_chosen
        self.manifest = SelectedManifest(**facts | sizes, chosen=self.chosen)

    def document_ends(self, part: str) -> np.ndarray | None:
        """The ends of the documents that are read; None if they are weighted."""
        tokens: Any = getattr(self, part)
        if isinstance(tokens, WeightedExcerpt):
            return None
        return tokens.ends if isinstance(tokens, Excerpt) else super().document_ends(part)

    @functools.cached_property
    def _counts(self) -> np.ndarray | None:
        """Counts of each token in the training data, which are the unigram model of a run."""
        whole = super().vocabulary().counts
        if whole is None:
            return None
        if len(self.train) + len(self.validation) < _SOON_COUNTED:
            return self._counted(whole)
        key = digest([self.whole.content_hash, self.chosen], 12)
        file = self.folder / f"token_counts-{key}.bin"
        return kept_counts(file, len(whole), lambda: self._counted(whole))

    def _counted(self, whole: np.ndarray) -> np.ndarray:
        vocab, train, validation = len(whole), self.train, self.validation
        all_validation = token_counts(self._map("validation.bin"), vocab)
        trained = (
            train.token_counts(vocab) if isinstance(train, Excerpt) else whole - all_validation
        )
        if isinstance(validation, Excerpt):
            return trained + validation.token_counts(vocab)
        counts: np.ndarray = trained + all_validation
        return counts

    def vocabulary(self) -> Vocabulary:
        """As of the whole store, with the counts of what is read."""
        return replace(super().vocabulary(), counts=self._counts)

    def amounts(self) -> list[str]:
        """A sentence for each part of which only a selection is read."""
        sentences = []
        for part, key in SELECTIONS.items():
            tokens: Any = getattr(self, part)
            if not isinstance(tokens, Excerpt):
                continue
            words = [selection_text(getattr(self.choice, key))]
            if part == TRAIN and self.choice.weight:
                words.append(f"weighted by {self.choice.weight}")
            selection = ", ".join(filter(None, words))
            sentences.append(
                f"{self.folder.name}, {part} ({selection}): {len(tokens.documents):,} of"
                f" {self.whole.documents[part]:,} documents, {len(tokens):,} of"
                f" {getattr(self.whole, f'{part}_tokens'):,} tokens"
            )
        return sentences


def selection_text(select: SelectConfig | None) -> str:
    """A selection in a few words, "top 0.25 by score where lang == 'en'"."""
    if select is None:
        return ""
    words = []
    if select.keep:
        words.append(f"{select.keep} {select.fraction:.4g}")
        words += [f"by {select.by}"] if select.by else [f"of seed {select.seed}"]
    if select.skip:
        words.append(f"after {select.skip:.4g}")
    if select.where:
        words.append(f"where {select.where}")
    return " ".join(words)


def selected(store: TokenStore, config: DataConfig) -> TokenStore:
    """The part of a store that a configuration selects; the store itself if all is read once."""
    choice = Choice(config.select, config.weight, config.validation_select)
    return store if choice == Choice(None, "", None) else _selected(store, choice)


def chosen_of(manifest: Manifest) -> dict[str, Any]:
    """The selection and weight of the documents of one source, for the science of a run."""
    return manifest.chosen if isinstance(manifest, SelectedManifest) else {}


def columns_of(chosen: Mapping[str, Any]) -> dict[str, str]:
    """Column -> hash, of the columns by which a run's documents are selected or weighted."""
    hashes: dict[str, str] = {}
    for selection in chosen.values():
        hashes |= selection["columns"] if selection else {}
    return hashes


@functools.lru_cache(maxsize=64)
def _selected(store: TokenStore, choice: Choice) -> TokenStore:
    selected_store = SelectedStore(store, choice)
    return selected_store if selected_store.chosen else store


def _excerpt(
    store: TokenStore, part: str, select: SelectConfig | None, weight: str
) -> tuple[np.ndarray | Excerpt, dict[str, Any]]:
    """The tokens that are read of a part, and their description; {} if all are read once."""
    tokens: np.ndarray | Excerpt = getattr(store, part)
    if select is None and not weight:
        return tokens, {}
    assert isinstance(tokens, np.ndarray)  # `store` itself is never a selection
    key, ends = SELECTIONS[part], store.document_ends(part)
    if ends is None:
        raise ConfigError(
            f"data.{key if select else 'weight'}: the store {store.folder.name} does not know its"
            " documents; it is for sources of documents, as jsonl and folder"
        )
    described: dict[str, Any] = {}
    documents = np.arange(len(ends), dtype=np.int64)
    if select is not None:
        documents = kept_documents(store, part, select, np.diff(ends, prepend=0))
        if len(documents) < len(ends):
            names = {*condition_names(select, key), *([select.by] if select.by else [])}
            described[key] = asdict(select) | column_hashes(store, names)
    weights = np.ones(len(documents))
    if weight:
        weights = document_weights(store, part, weight)[documents]
        drawn = weights > 0
        if not drawn.any():
            raise ConfigError(
                f"data.weight = {weight!r} is 0 for all {len(documents):,} documents: none would be"
                " drawn; some must be above 0"
            )
        documents, weights = documents[drawn], weights[drawn]
        if not drawn.all() or (weights != weights[0]).any():
            described["weight"] = {"column": weight} | column_hashes(store, {weight})
    if (weights != weights[0]).any():
        return WeightedExcerpt(tokens, ends, documents, weights), described
    return Excerpt(tokens, ends, documents) if described else tokens, described

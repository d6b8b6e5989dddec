"""Which documents of a store are read, and how often: by the columns that it keeps.

A selection is a function of the store, its columns and what a person wrote: the same documents on
every machine, for every seed of a run. Fractions are of tokens, so a pool of the best quarter and a
random quarter are equally large; parts cut by ``skip`` and ``fraction`` do not overlap.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from scalinglab.scaling.config import BOTTOM, RANDOM, ConfigError, DataConfig, SelectConfig
from scalinglab.scaling.data.columns import Column
from scalinglab.scaling.data.excerpt import Excerpt, WeightedExcerpt
from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.order import uniform_bits
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.data.vocabulary import Vocabulary
from scalinglab.scaling.text import conditions

TRAIN, VALIDATION = "train", "validation"
SELECTIONS = {TRAIN: "select", VALIDATION: "validation_select"}  # part -> its key below data
KEYS = (*SELECTIONS.values(), "weight")


@dataclass(frozen=True)
class Choice:
    """What a person wrote of the documents of one source; the keys of `DataConfig`."""

    select: SelectConfig | None
    weight: str
    validation_select: SelectConfig | None


@dataclass(frozen=True)
class SelectedManifest(Manifest):
    """What is read of a store.

    Attributes
    ----------
    chosen : dict
        Key below data -> what selects or weights documents, with the hashes of its columns: part
        of the science of a run. Empty where all documents are read once.
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
        If a selection makes no sense of the store, or leaves nothing.
    """

    def __init__(self, store: TokenStore, choice: Choice) -> None:
        self.folder, self.choice, self.whole = store.folder, choice, store.manifest
        self.train, trained_on = _excerpt(store, TRAIN, choice.select, choice.weight)
        self.validation, validated_on = _excerpt(store, VALIDATION, choice.validation_select, "")
        known = {f.name: getattr(store.manifest, f.name) for f in fields(Manifest)}
        read = {"train_tokens": len(self.train), "validation_tokens": len(self.validation)}
        self.chosen = trained_on | validated_on
        self.manifest = SelectedManifest(**known | read, chosen=self.chosen)

    def document_ends(self, part: str) -> np.ndarray | None:
        """As of the whole store, of the documents that are read; weighted ones have none."""
        tokens: Any = getattr(self, part)
        if isinstance(tokens, WeightedExcerpt):
            return None
        return tokens.ends if isinstance(tokens, Excerpt) else super().document_ends(part)

    @functools.cached_property
    def _counts(self) -> np.ndarray | None:
        """How often each token is in what is read: what the unigram model of a run has learnt."""
        whole = super().vocabulary().counts
        if whole is None:
            return None
        vocab, train, validation = len(whole), self.train, self.validation
        all_validation = np.bincount(self._map("validation.bin"), minlength=vocab)
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
        """What is read of each part that is not read as it is, in words."""
        texts = []
        for part, key in SELECTIONS.items():
            tokens: Any = getattr(self, part)
            if not isinstance(tokens, Excerpt):
                continue
            said = selection_text(getattr(self.choice, key))
            if part == TRAIN and self.choice.weight:
                said = ", ".join([*([said] if said else []), f"weighted by {self.choice.weight}"])
            texts.append(
                f"{self.folder.name}, {part} ({said}): {len(tokens.documents):,} of"
                f" {self.whole.documents[part]:,} documents, {len(tokens):,} of"
                f" {getattr(self.whole, f'{part}_tokens'):,} tokens"
            )
        return texts


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
    """A store as a configuration of one source reads it; itself where all is read once."""
    choice = Choice(config.select, config.weight, config.validation_select)
    return store if choice == Choice(None, "", None) else _selected(store, choice)


def chosen_of(manifest: Manifest) -> dict[str, Any]:
    """What selects or weights the documents of one source, for the science of a run."""
    return manifest.chosen if isinstance(manifest, SelectedManifest) else {}


def columns_of(chosen: Mapping[str, Any]) -> dict[str, str]:
    """Column -> hash, of those by which a run's documents are chosen."""
    found: dict[str, str] = {}
    for one in chosen.values():
        found |= one["columns"] if one else {}
    return found


@functools.lru_cache(maxsize=64)
def _selected(store: TokenStore, choice: Choice) -> TokenStore:
    made = SelectedStore(store, choice)
    return made if made.chosen else store


def _excerpt(
    store: TokenStore, part: str, select: SelectConfig | None, weight: str
) -> tuple[np.ndarray | Excerpt, dict[str, Any]]:
    """What is read of a part, and how that is described; nothing is said of all, read once."""
    tokens: np.ndarray | Excerpt = getattr(store, part)
    if select is None and not weight:
        return tokens, {}
    assert isinstance(tokens, np.ndarray)  # a store is selected from once
    key, ends = SELECTIONS[part], store.document_ends(part)
    if ends is None:
        raise ConfigError(
            f"data.{key if select else 'weight'}: the store {store.folder.name} does not know its"
            " documents; it is for sources of documents, as jsonl and folder"
        )
    described: dict[str, Any] = {}
    documents = np.arange(len(ends), dtype=np.int64)
    if select is not None:
        documents = _documents(store, part, select, np.diff(ends, prepend=0))
        if len(documents) < len(ends):
            names = {*_names(select, key), *([select.by] if select.by else [])}
            described[key] = asdict(select) | _hashes(store, names)
    weights = np.ones(len(documents))
    if weight:
        weights = _weights(store, part, weight)[documents]
        drawn = weights > 0
        if not drawn.any():
            raise ConfigError(
                f"data.weight = {weight!r} is 0 for all {len(documents):,} documents: none would be"
                " drawn; some must be above 0"
            )
        documents, weights = documents[drawn], weights[drawn]
        if not drawn.all() or (weights != weights[0]).any():
            described["weight"] = {"column": weight} | _hashes(store, {weight})
    if (weights != weights[0]).any():
        return WeightedExcerpt(tokens, ends, documents, weights), described
    return Excerpt(tokens, ends, documents) if described else tokens, described


def _documents(
    store: TokenStore, part: str, select: SelectConfig, lengths: np.ndarray
) -> np.ndarray:
    """The documents that a selection keeps, ascending."""
    named = f"data.{SELECTIONS[part]}"
    _check(named, select)
    documents = np.arange(len(lengths), dtype=np.int64)
    if select.where:
        documents = documents[_meets(store, part, select)]
        if not len(documents):
            raise ConfigError(
                f"{named}.where = {select.where!r}: none of the {len(lengths):,} documents of the"
                f" {part} part meets it"
            )
    if not select.keep:
        return documents
    bits = uniform_bits(documents.astype(np.uint64), f"selection {select.seed}")
    if select.keep == RANDOM:
        order = np.argsort(bits, kind="stable")
    else:
        scores = _scores(store, part, f"{named}.by", select.by, documents)
        order = np.lexsort((bits, scores if select.keep == BOTTOM else -scores))
    upper = np.cumsum(lengths[documents[order]])
    # A document belongs where its last token does, so that fractions that meet share none.
    first, last = (
        round(share * int(upper[-1])) for share in (select.skip, select.skip + select.fraction)
    )
    kept = documents[order[(upper > first) & (upper <= last)]]
    if not len(kept):
        raise ConfigError(
            f"{named}.fraction = {select.fraction:g} leaves none of {len(documents):,} documents of"
            f" {upper[-1]:,} tokens: give a larger one"
        )
    return np.sort(kept)


def _check(named: str, select: SelectConfig) -> None:
    """Refuse keys that contradict each other."""
    cut = select.fraction < 1 or select.skip > 0
    if not select.keep and (cut or select.by):
        raise ConfigError(
            f"{named}.keep is not set, and by, fraction and skip are used with it: give top or bottom"
            f" with the column {named}.by, or random"
        )
    if not select.keep and select.seed:
        raise ConfigError(
            f"{named}.seed = {select.seed}: it orders documents, and {named}.keep is not set; leave"
            " it out"
        )
    if select.keep and not cut:
        raise ConfigError(
            f"{named}.keep = {select.keep!r} needs {named}.fraction below 1, or skip above 0"
        )
    if not select.keep and not select.where:
        raise ConfigError(f"{named} selects nothing: give where, or keep and fraction")
    if select.keep == RANDOM and select.by:
        raise ConfigError(f"{named}.by = {select.by!r}: keep = 'random' is by no column")
    if select.keep not in ("", RANDOM) and not select.by:
        raise ConfigError(
            f"{named}.by is not set: keep = {select.keep!r} is by a column of numbers"
        )
    if select.skip + select.fraction > 1 + 1e-9:
        raise ConfigError(
            f"{named}.skip = {select.skip:g} and fraction = {select.fraction:g}: together they are"
            " 1 at most"
        )


def _column(store: TokenStore, part: str, key: str, name: str) -> Column:
    if name not in store.manifest.columns:
        kept = conditions.listed(sorted(store.manifest.columns)) or "none"
        raise ConfigError(
            f"{key} = {name!r}: the store keeps no such column; it keeps {kept}. Name it in"
            " data.options.columns, or in data.options.scores where it is computed of the text"
        )
    return store.column(part, name)


def _scores(store: TokenStore, part: str, key: str, name: str, documents: np.ndarray) -> np.ndarray:
    """The numbers of a column, of some documents."""
    column = _column(store, part, key, name)
    if column.categories is not None:
        raise ConfigError(
            f"{key} = {name!r} holds strings, as {column.categories[0]!r}; numbers are wanted"
        )
    scores: np.ndarray = column.numbers[documents]
    if missing := int(np.isnan(scores).sum()):
        raise ConfigError(
            f"{key} = {name!r} is missing or NaN in {missing:,} of {len(scores):,} documents; leave"
            f" them out, as by where: '{name} == {name}'"
        )
    return scores


def _weights(store: TokenStore, part: str, name: str) -> np.ndarray:
    documents = np.arange(store.manifest.documents[part], dtype=np.int64)
    weights = _scores(store, part, "data.weight", name, documents)
    lowest, highest = float(weights.min()), float(weights.max())
    if lowest < 0 or not np.isfinite(highest):
        raise ConfigError(
            f"data.weight = {name!r} has the value {lowest if lowest < 0 else highest:g}: allowed"
            " are numbers of 0 or more"
        )
    return weights


@functools.lru_cache(maxsize=32)
def _condition(text: str, key: str) -> conditions.Condition:
    try:
        return conditions.parse(text)
    except conditions.ConditionError as error:
        raise ConfigError(f"data.{key}.where = {error}") from None


def _names(select: SelectConfig, key: str) -> tuple[str, ...]:
    return _condition(select.where, key).names if select.where else ()


def _meets(store: TokenStore, part: str, select: SelectConfig) -> np.ndarray:
    """Which documents meet the condition of a selection."""
    key = SELECTIONS[part]
    condition = _condition(select.where, key)
    values = {
        name: _column(store, part, f"data.{key}.where: the column", name).values()
        for name in condition.names
    }
    try:
        return condition.holds(values, store.manifest.documents[part])
    except conditions.ConditionError as error:
        raise ConfigError(f"data.{key}.where = {error}") from None


def _hashes(store: TokenStore, names: set[str]) -> dict[str, dict[str, str]]:
    return {"columns": {name: store.manifest.columns[name]["hash"] for name in sorted(names)}}

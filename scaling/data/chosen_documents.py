"""The documents of a store that a selection keeps, and the weights by which they are drawn."""

from __future__ import annotations

import functools

import numpy as np

from scalinglab.scaling.data.columns import Column
from scalinglab.scaling.data.order import uniform_bits
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.data_config import BOTTOM, RANDOM, SelectConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.text import conditions

TRAIN, VALIDATION = "train", "validation"
SELECTIONS = {TRAIN: "select", VALIDATION: "validation_select"}  # part -> its key below data


def kept_documents(
    store: TokenStore, part: str, select: SelectConfig, lengths: np.ndarray
) -> np.ndarray:
    """The numbers of the documents that a selection keeps, in ascending order."""
    key = f"data.{SELECTIONS[part]}"
    _check(key, select)
    documents = np.arange(len(lengths), dtype=np.int64)
    if select.where:
        documents = documents[_meets(store, part, select)]
        if not len(documents):
            raise ConfigError(
                f"{key}.where = {select.where!r}: none of the {len(lengths):,} documents of the"
                f" {part} part meets it"
            )
    if not select.keep:
        return documents
    bits = uniform_bits(documents.astype(np.uint64), f"selection {select.seed}")
    if select.keep == RANDOM:
        order = np.argsort(bits, kind="stable")
    else:
        scores = _scores(store, part, f"{key}.by", select.by, documents)
        order = np.lexsort((bits, scores if select.keep == BOTTOM else -scores))
    upper = np.cumsum(lengths[documents[order]])
    # The last token of a document decides, so that adjacent fractions share no document.
    first, last = (
        round(share * int(upper[-1])) for share in (select.skip, select.skip + select.fraction)
    )
    kept = documents[order[(upper > first) & (upper <= last)]]
    if not len(kept):
        raise ConfigError(
            f"{key}.fraction = {select.fraction:g} leaves none of {len(documents):,} documents of"
            f" {upper[-1]:,} tokens: give a larger one"
        )
    return np.sort(kept)


def _check(key: str, select: SelectConfig) -> None:
    """Refuse keys that contradict each other."""
    is_cut = select.fraction < 1 or select.skip > 0
    if not select.keep and (is_cut or select.by):
        raise ConfigError(
            f"{key}.keep is not set, and by, fraction and skip are used with it: give top or bottom"
            f" with the column {key}.by, or random"
        )
    if not select.keep and select.seed:
        raise ConfigError(
            f"{key}.seed = {select.seed}: it orders documents, and {key}.keep is not set; leave"
            " it out"
        )
    if select.keep and not is_cut:
        raise ConfigError(
            f"{key}.keep = {select.keep!r} needs {key}.fraction below 1, or skip above 0"
        )
    if not select.keep and not select.where:
        raise ConfigError(f"{key} selects nothing: give where, or keep and fraction")
    if select.keep == RANDOM and select.by:
        raise ConfigError(f"{key}.by = {select.by!r}: keep = 'random' is by no column")
    if select.keep not in ("", RANDOM) and not select.by:
        raise ConfigError(f"{key}.by is not set: keep = {select.keep!r} is by a column of numbers")
    if select.skip + select.fraction > 1 + 1e-9:
        raise ConfigError(
            f"{key}.skip = {select.skip:g} and fraction = {select.fraction:g}: together they are"
            " 1 at most"
        )


def _column(store: TokenStore, part: str, key: str, name: str) -> Column:
    if name not in store.manifest.columns:
        names = conditions.listed(sorted(store.manifest.columns)) or "none"
        raise ConfigError(
            f"{key} = {name!r}: the store keeps no such column; it keeps {names}. Name it in"
            " data.options.columns, or in data.options.scores where it is computed of the text"
        )
    return store.column(part, name)


def _scores(store: TokenStore, part: str, key: str, name: str, documents: np.ndarray) -> np.ndarray:
    """The numbers in a column of some documents."""
    column = _column(store, part, key, name)
    if column.categories is not None:
        raise ConfigError(
            f"{key} = {name!r} holds strings, as {column.categories[0]!r}; numbers are wanted"
        )
    scores: np.ndarray = column.numbers[documents]
    if missing_count := int(np.isnan(scores).sum()):
        raise ConfigError(
            f"{key} = {name!r} is missing or NaN in {missing_count:,} of {len(scores):,} documents;"
            f" leave them out, as by where: '{name} == {name}'"
        )
    return scores


def document_weights(store: TokenStore, part: str, name: str) -> np.ndarray:
    """The weights of all documents of a part, from a column."""
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


def condition_names(select: SelectConfig, key: str) -> tuple[str, ...]:
    """The columns in the condition of a selection."""
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


def column_hashes(store: TokenStore, names: set[str]) -> dict[str, dict[str, str]]:
    """The hashes of some columns, as they join the science of a run."""
    return {"columns": {name: store.manifest.columns[name]["hash"] for name in sorted(names)}}

"""The data of a run, determined: tokens of each pool and its share, with all refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.mixed import PooledManifest, pool_data
from scalinglab.scaling.data.selection import KEYS, chosen_of
from scalinglab.scaling.data.store import window_count
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import unknown_key
from scalinglab.scaling.schedule.pieces import Piece, is_flat, plain, settled
from scalinglab.scaling.schedule.room import Room
from scalinglab.scaling.schedule.shares import MOST_SEQUENCES, Shares

_OFF = 1e-6  # tolerance of the sum of shares


@dataclass(frozen=True)
class Length:
    """The length of a run.

    Attributes
    ----------
    asked : int
        Tokens in the configuration.
    steps, batch, context : int
        Updates, sequences of an update, tokens of a sequence.
    """

    asked: int
    steps: int
    batch: int
    context: int

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one update."""
        return self.batch * self.context


@dataclass(frozen=True)
class RunData:
    """The data of a determined run: its science, and the pieces of each pool's share."""

    science: dict[str, Any]
    mixture: dict[str, list[Piece]]

    @property
    def unique_tokens(self) -> int:
        """Tokens of the pool, or of all pools together."""
        tokens: int = self.science["unique_tokens"]
        return tokens


def run_data(config: DataConfig, manifest: Manifest, length: Length, seed: int) -> RunData:
    """Determine the data of a run.

    Parameters
    ----------
    config : DataConfig
        In the form of `scalinglab.scaling.data.mixed.data_of_one`.
    manifest : Manifest
        The manifest of its store; a `PooledManifest` if there are pools.
    length : Length
    seed : int
        Seed of the run, and of the order unless data.seed is set.

    Raises
    ------
    ConfigError
        If a pool or its validation part is too small, or the shares of the pools make no sense.
    """
    science: dict[str, Any] = {
        "source": config.source,
        "content": manifest.content_hash,
        "validation_tokens": config.validation_tokens // length.context * length.context,
        "unique_tokens": 0,
        "seed": seed if config.seed is None else config.seed,
        "pools": {},
        "mixture": {},
        "noise": config.noise,
        **dict.fromkeys(KEYS),
    }
    if not isinstance(manifest, PooledManifest):
        drawn = length.steps * length.tokens_per_step
        unique = _unique_tokens("data", config, manifest, length, drawn)
        return RunData(science | {"unique_tokens": unique} | chosen_of(manifest), {})
    mixture = mixture_pieces(config, length)
    counts = Shares(mixture, length.batch).drawn(length.steps * length.batch)
    pools: dict[str, dict[str, Any]] = {}
    for name, pool_manifest in manifest.pools.items():
        pool, key = pool_data(config, name), f"data.pools.{name}"
        drawn = counts[name] * length.context
        pools[name] = {
            "source": pool.source,
            "content": pool_manifest.content_hash,
            "unique_tokens": _unique_tokens(key, pool, pool_manifest, length, drawn),
            **({"noise": pool.noise} if pool.noise else {}),
            **chosen_of(pool_manifest),
        }
    science |= {
        "source": manifest.source,
        "unique_tokens": sum(pool["unique_tokens"] for pool in pools.values()),
        "pools": pools,
        "mixture": {name: [plain(p) for p in pieces] for name, pieces in mixture.items()},
    }
    return RunData(science, mixture)


def mixture_pieces(config: DataConfig, length: Length) -> dict[str, list[Piece]]:
    """Pool -> the pieces of its share over the run.

    Raises
    ------
    ConfigError
        If shares are missing or do not sum to 1, or the pieces do not fill the run.
    """
    if bool(config.weights) == bool(config.mixture):
        raise ConfigError(
            "data.pools needs data.weights, as {"
            + ", ".join(f"{name}: {1 / len(config.pools):.3g}" for name in config.pools)
            + "}, or data.mixture, a list of pieces in which they change; allowed is one of them"
        )
    if length.steps * length.batch > MOST_SEQUENCES:
        raise ConfigError(
            f"{length.steps:,} steps of {length.batch:,} sequences; with data.pools allowed are"
            f" {MOST_SEQUENCES:,} sequences"
        )
    if config.weights:
        shares = _shares("data.weights", config.weights, config)
        flat = {name: Piece("constant", length.steps, s, s) for name, s in shares.items()}
        return {name: [piece] for name, piece in flat.items()}
    room = Room(1.0, length.steps, 0, length.tokens_per_step)
    written = [(piece.tokens, piece.fraction) for piece in config.mixture]
    pieces: dict[str, list[Piece]] = {name: [] for name in sorted(config.pools)}
    before: Mapping[str, float] | None = None
    for i, (piece, steps) in enumerate(
        zip(config.mixture, room.lengths_of("data.mixture", written), strict=True)
    ):
        key = f"data.mixture[{i}]"
        if piece.weights is None and before is None:
            raise ConfigError(f"{key}.weights is not set: the first piece says how it begins")
        start = before if piece.weights is None else None
        if start is None:
            start = _shares(f"{key}.weights", piece.weights or {}, config)
        before = start if piece.end is None else _shares(f"{key}.end", piece.end, config)
        for name, pool_pieces in pieces.items():
            pool_pieces.append(Piece("linear", steps, start[name], before[name]))
    # A share that does not change is a constant, so that equal mixtures have equal ids.
    return {
        name: [_settled(piece) for piece in pool_pieces if piece.steps]
        for name, pool_pieces in pieces.items()
    }


def _settled(piece: Piece) -> Piece:
    return Piece("constant", piece.steps, piece.start, piece.end) if is_flat(piece) else piece


def _shares(key: str, weights: Mapping[str, float], config: DataConfig) -> dict[str, float]:
    """The share of every pool; 0 for a pool that is not named."""
    for name, weight in weights.items():
        if name not in config.pools:
            raise ConfigError(unknown_key(f"{key}.{name}", config.pools))
        if weight < 0:
            raise ConfigError(f"{key}.{name} = {weight}: allowed is 0 or more")
    total = sum(weights.values())
    if abs(total - 1) > _OFF:
        raise ConfigError(f"{key} sum to {total:.6g}: the shares of the pools sum to 1")
    return {name: settled(weights.get(name, 0.0) / total) for name in sorted(config.pools)}


def _unique_tokens(
    key: str, data: DataConfig, manifest: Manifest, length: Length, drawn: int
) -> int:
    """Tokens of a pool, after checking that pool and validation are long enough."""
    context = length.context
    for option in ("unique_tokens", "match_repetition"):
        if data.weight and (value := getattr(data, option)) is not None:
            raise ConfigError(
                f"{key}.weight = {data.weight!r} and {option} = {value}: a pool of weighted"
                f" documents is cut by {key}.select (keep: random, fraction), not by {option}"
            )
    windows = window_count(manifest.train_tokens, context)
    if windows < 1:
        raise ConfigError(
            f"model.context = {context}: the source {data.source!r} has "
            f"{manifest.train_tokens} training tokens{_of_selection(data)}; allowed is less than "
            "that"
        )
    pool = windows * context
    if data.unique_tokens is not None:
        if data.unique_tokens > pool:
            raise ConfigError(
                f"{key}.unique_tokens = {data.unique_tokens}: the source {data.source!r} has "
                f"{pool} training tokens{_of_selection(data)}"
            )
        pool = max(1, data.unique_tokens // context) * context
    uncut, pool = pool, _cut(pool // context, data.match_repetition, length.asked) * context
    if drawn > data.max_epochs * pool:
        cut = (
            ""
            if uncut == pool
            else f", of which data.match_repetition = {data.match_repetition} leaves {pool}"
        )
        raise ConfigError(
            f"tokens = {length.asked} is {drawn / pool:.2f} epochs of the {uncut} tokens of "
            f"{_name(key, data)}{_of_selection(data)}{cut}; "
            f"{key}.max_epochs = {data.max_epochs:g} allows "
            f"{int(data.max_epochs * pool)} tokens" + ("" if key == "data" else " of it")
        )
    _check_validation(_name(key, data), data, manifest, context)
    return pool


def _cut(windows: int, target: int | None, tokens: int) -> int:
    """The windows of a pool that a run repeats as often as the target run repeats all of them.

    (arXiv 2606.07597: small runs predict a repeating one if they repeat as often.)
    """
    if target is None:
        return windows
    if tokens > target:
        raise ConfigError(
            f"data.match_repetition = {target} is the length of the largest run; tokens = {tokens}:"
            f" allowed is up to {target}"
        )
    return max(1, windows * tokens // target)


def _of_selection(data: DataConfig) -> str:
    """For messages: a hint that a selection has reduced the tokens."""
    return " that data.select leaves" if data.select else ""


def _name(key: str, data: DataConfig) -> str:
    return repr(data.source) if key == "data" else f"pool {key.rpartition('.')[2]!r}"


def _check_validation(name: str, data: DataConfig, manifest: Manifest, context: int) -> None:
    most = window_count(manifest.validation_tokens, context) * context
    if data.validation_tokens > most:
        raise ConfigError(
            f"data.validation_tokens = {data.validation_tokens}: {name} has {most} validation tokens"
            + (" that data.validation_select leaves" if data.validation_select else "")
            + (f"; allowed is {context} to {most}" if most else "")
        )
    if data.validation_tokens < context:
        raise ConfigError(
            f"data.validation_tokens = {data.validation_tokens} is less than one sequence of "
            f"model.context = {context} tokens"
        )

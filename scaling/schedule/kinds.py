"""The named schedules: each gives the pieces of a run from its configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from scalinglab.scaling.config import ConfigError, ScheduleConfig, one_of
from scalinglab.scaling.schedule.free import free_pieces, given_rates, rewarmed
from scalinglab.scaling.schedule.pieces import Piece, is_flat, settled
from scalinglab.scaling.schedule.room import COOLDOWN_SHAPES, Room, cooldown_steps, cooled, shaped

WARMUP_TOKENS = 65_536  # where neither a value nor a rule is given
SHORT_RUN_WARMUP = 0.1  # of a run that is no longer than that


def build_pieces(
    config: ScheduleConfig, peak: float, steps: int, tokens_per_step: int
) -> list[Piece]:
    """The pieces of a named schedule: a linear warm-up, then its kind.

    Raises
    ------
    ConfigError
        If the kind is unknown, what it needs is missing, or its parts do not fit into the run.
    """
    one_of("schedule.kind", config.kind, [*KINDS, *WHOLE])
    if not 0 <= config.final_ratio <= 1:
        raise ConfigError(f"schedule.final_ratio = {config.final_ratio}: allowed is 0 to 1")
    if config.kind in WHOLE:
        pieces = WHOLE[config.kind](config, Room(peak, steps, 0, tokens_per_step), build_pieces)
    else:
        warmup = _warmup_steps(config, steps, tokens_per_step)
        after = KINDS[config.kind](config, Room(peak, steps, warmup, tokens_per_step))
        pieces = [Piece("linear", warmup, 0.0, after[0].start), *after]
    # One spelling for one schedule: a decay to its own start is a constant.
    pieces = [Piece("constant", p.steps, p.start, p.end) if is_flat(p) else p for p in pieces]
    return [p for p in pieces if p.steps > 0]


def default_warmup(steps: int, tokens_per_step: int) -> int:
    """Tokens of the warm-up where neither a value nor a rule is given.

    The same for all runs that are longer, so that runs of several lengths share their trunk; of a
    shorter run, a part.
    """
    if -(-WARMUP_TOKENS // tokens_per_step) < steps:
        return WARMUP_TOKENS
    return int(SHORT_RUN_WARMUP * steps) * tokens_per_step


def _warmup_steps(config: ScheduleConfig, steps: int, tokens_per_step: int) -> int:
    tokens = config.warmup_tokens
    if tokens is None:
        tokens = default_warmup(steps, tokens_per_step)
    if tokens < 0:
        raise ConfigError(f"schedule.warmup_tokens = {tokens}: allowed is >= 0")
    warmup = math.ceil(tokens / tokens_per_step)
    if warmup >= steps:
        raise ConfigError(
            f"schedule.warmup_tokens = {config.warmup_tokens} is {warmup} steps, longer than the "
            f"run of {steps} steps (tokens = {steps * tokens_per_step}); allowed is less than "
            f"{steps * tokens_per_step}, or schedule.warmup_tokens=null: a default that fits the run"
        )
    return warmup


def _constant(config: ScheduleConfig, room: Room) -> list[Piece]:
    return [Piece("constant", room.left, room.peak, room.peak)]


def _decay(shape: str) -> Callable[[ScheduleConfig, Room], list[Piece]]:
    def pieces(config: ScheduleConfig, room: Room) -> list[Piece]:
        return [Piece(shape, room.left, room.peak, room.peak * config.final_ratio)]

    return pieces


def _wsd(config: ScheduleConfig, room: Room) -> list[Piece]:
    """Warm-up, stable, decay: the cooldown is the last `cooldown_fraction` of the run."""
    last = cooldown_steps(config, room)
    return cooled(config, room, [Piece("constant", room.left - last, room.peak, room.peak)], last)


def _multistep(config: ScheduleConfig, room: Room) -> list[Piece]:
    """A step down at each of `milestones`: DeepSeek LLM, arXiv 2401.02954, to 31.6 % and 10 %."""
    if not 0 < config.factor <= 1:
        raise ConfigError(f"schedule.factor = {config.factor}: allowed is above 0, up to 1")
    ends = [round(m * room.steps) for m in config.milestones] + [room.steps]
    if ends != sorted(set(ends)) or not room.warmup <= ends[0]:
        raise ConfigError(
            f"schedule.milestones = {config.milestones} are the steps {ends[:-1]} of {room.steps}; "
            f"allowed are rising fractions of the run after the warm-up of {room.warmup} steps"
        )
    begins = [room.warmup, *ends]
    rates = [settled(room.peak * config.factor**k) if k else room.peak for k in range(len(ends))]
    return [
        Piece("constant", end - begin, rate, rate)
        for begin, end, rate in zip(begins, ends, rates, strict=False)
    ]


def _inverse_sqrt(config: ScheduleConfig, room: Room) -> list[Piece]:
    """peak * min(1, sqrt(T / n)) after n tokens: arXiv 1706.03762, where T is the warm-up."""
    begin = room.warmup
    if config.timescale_tokens is not None:
        key = "schedule.timescale_tokens"
        begin = room.steps_of(key, config.timescale_tokens, room.steps)
    if begin < max(room.warmup, 1):
        raise ConfigError(
            f"schedule.kind = 'inverse_sqrt' falls from step {begin} on, and the warm-up has "
            f"{room.warmup} steps; give schedule.timescale_tokens (or a warm-up) of at least "
            f"{max(room.warmup, 1) * room.tokens_per_step}"
        )
    last = cooldown_steps(config, room, least=0)
    return cooled(config, room, _power_law(room, room.left - last, float(begin), 0.5), last)


def _power(config: ScheduleConfig, room: Room) -> list[Piece]:
    """min(peak, batch * a * n^-b) after n tokens: Shen et al., arXiv 2408.13359.

    Their batch counts sequences; `coefficient` is batch * a, so that no batch is hidden here.
    """
    if config.coefficient is None or config.coefficient <= 0 or config.exponent <= 0:
        raise ConfigError(
            f"schedule.coefficient = {config.coefficient} and schedule.exponent = "
            f"{config.exponent}: schedule.kind = 'power' needs both above 0"
        )
    meets = (config.coefficient / room.peak) ** (1 / config.exponent) / room.tokens_per_step
    last = cooldown_steps(config, room, least=0)
    trunk = _power_law(room, room.left - last, meets, config.exponent)
    return cooled(config, room, trunk, last)


def _power_law(room: Room, steps: int, meets: float, exponent: float) -> list[Piece]:
    """peak * min(1, (step / meets)^-exponent) for `steps` steps after the warm-up."""
    flat = min(max(math.ceil(meets) - room.warmup, 0), steps)
    begin = room.warmup + flat
    start = settled(room.peak * min(1.0, (begin / meets) ** -exponent))
    end = settled(start * ((begin + steps - flat) / begin) ** -exponent)
    falls = Piece("power", steps - flat, start, end, exponent=exponent, since=float(begin))
    # Without a flat stretch the warm-up ends where the power law stands by then.
    return [Piece("constant", flat, room.peak, room.peak), falls] if flat else [falls]


def _infinite(config: ScheduleConfig, room: Room) -> list[Piece]:
    """Cool to a constant, hold it as long as wished, anneal: Ibrahim et al., arXiv 2403.08763."""
    if not 0 < config.hold_ratio <= 1:
        raise ConfigError(f"schedule.hold_ratio = {config.hold_ratio}: allowed is above 0, up to 1")
    last = cooldown_steps(config, room, least=0)
    cool = room.steps_of("schedule.cool_tokens", config.cool_tokens, room.left - last)
    held = room.peak * config.hold_ratio
    shapes = (*COOLDOWN_SHAPES, "inverse_sqrt")
    first = shaped("schedule.cool_shape", config.cool_shape, cool, room.peak, held, shapes)
    hold = Piece("constant", room.left - last - cool, held, held)
    return cooled(config, room, [first, hold], last)


def _cyclic(config: ScheduleConfig, room: Room) -> list[Piece]:
    """`cycles` equal decays, each after the first re-warmed: SGDR, arXiv 1608.03983."""
    if not 1 <= config.cycles <= room.left:
        raise ConfigError(f"schedule.cycles = {config.cycles}: allowed is 1 to {room.left}")
    ends = [round(room.left * k / config.cycles) for k in range(config.cycles + 1)]
    floor, pieces = room.peak * config.final_ratio, []
    for cycle, (begin, end) in enumerate(zip(ends, ends[1:], strict=False)):
        key = "schedule.rewarm_tokens"
        rise = room.steps_of(key, config.rewarm_tokens, end - begin - 1) if cycle else 0
        pieces += [
            Piece("linear", rise, floor, room.peak),
            shaped(
                "schedule.cooldown_shape",
                config.cooldown_shape,
                end - begin - rise,
                room.peak,
                floor,
            ),
        ]
    return pieces[1:]


# After a linear warm-up.
KINDS: Mapping[str, Callable[[ScheduleConfig, Room], list[Piece]]] = {
    "constant": _constant,
    "linear": _decay("linear"),
    "cosine": _decay("cosine"),
    "wsd": _wsd,
    "multistep": _multistep,
    "inverse_sqrt": _inverse_sqrt,
    "power": _power,
    "infinite": _infinite,
    "cyclic": _cyclic,
}

# These say the whole schedule, also how it begins: schedule.warmup_tokens is not theirs.
WHOLE: Mapping[str, Callable[..., list[Piece]]] = {
    "rewarm": rewarmed,
    "pieces": free_pieces,
    "file": given_rates,
}

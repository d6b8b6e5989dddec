"""What columns are called: one row for each of ours, with the names that trackers and papers use.

Names are compared without regard to case and to what joins their words, so ``Val Loss``,
``val/loss`` and ``val_loss`` are one; single letters as they stand. The surest stands first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

_JOINTS = re.compile(r"[\s/._\-:]+")


@dataclass(frozen=True)
class Role:
    """One of our columns.

    Attributes
    ----------
    name : str
    kind : {"number", "count", "text", "loss"}
        Counts may be written 70M; text stays text; losses have a unit.
    names : tuple of str
        What others call it.
    patterns : tuple of str
        Expressions for names that number or name their parts, as a rate for each group of
        parameters; matched against the whole name.
    least : float or None
        A smaller number is no such thing.
    a_run : bool
        Always of a whole run; else maybe of a step.
    """

    name: str
    kind: str
    names: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    least: float | None = None
    a_run: bool = True


ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role("run", "text", ("run", "run_id", "run_name", "Name", "exp_name", "model_id")),
        Role(
            "step",
            "number",
            (
                "step",
                "trainer/global_step",
                "global_step",
                "iteration",
                "iter",
                "iter_num",
                "current_iteration",
                "update",
                "num_updates",
                "_step",
                "Step",
            ),
            a_run=False,
        ),
        Role(
            "tokens",
            "count",
            (
                "tokens",
                "tokens_seen",
                "seen_tokens",
                "consumed_tokens",
                "throughput/tokens",
                "throughput/total_tokens",
                "total_tokens_seen",
                "num_tokens_seen",
                "num_input_tokens_seen",
                "n_tokens",
                "train/tokens",
                "train/tokens_seen",
                "tokens_trained",
                "n_tokens_seen",
            ),
            a_run=False,
        ),
        Role(
            "lr",
            "number",
            (
                "lr",
                "learning_rate",
                "train/lr",
                "train/learning_rate",
                "optim/lr",
                "optim/learning_rate",
                "optimizer/lr",
                "peak_lr",
                "max_lr",
            ),
            (
                r"lr-\w+",
                r"lr-\w+/pg\d+",
                r"optim/learning_rate_group\d+",
                r"train/lr_group\d+",
                r"learning_rate_group\d+",
                r"lr_group_?\d+",
                r"lr/group_?\d+",
                r"optim/lr \(group \d+\)",
            ),
            a_run=False,
        ),
        Role(
            "loss",
            "loss",
            (
                "validation_loss",
                "val_loss",
                "val/loss",
                "valid_loss",
                "eval_loss",
                "dev_loss",
                "lm loss validation",
                "loss_validation",
                "final_val_loss",
                "val_loss_mean",
                "loss",
            ),
            a_run=False,
        ),
        Role(
            "train_loss",
            "loss",
            (
                "train_loss",
                "training_loss",
                "lm loss",
                "train/CrossEntropyLoss",
                "train/CE loss",
                "loss_metrics/global_avg_loss",
                "train_cross_entropy",
                "loss_train",
            ),
            a_run=False,
        ),
        Role(
            "grad_norm",
            "number",
            ("grad_norm", "train/grad_norm", "gradient_norm", "grad-norm", "optim/total_grad_norm"),
            a_run=False,
        ),
        Role(
            "N",
            "count",
            (
                "N",
                "params",
                "n_params",
                "parameters",
                "num_params",
                "model_size",
                "param_count",
                "parameter_count",
                "num_parameters",
                "n_parameters",
                "model_params",
                "total_parameters",
            ),
            least=1.0,
        ),
        Role(
            "n_block",
            "count",
            (
                "n_block",
                "non_embedding_params",
                "params_no_embed",
                "non_vocab_parameters",
                "num_non_embedding_params",
                "params_non_embedding",
            ),
            least=1.0,
        ),
        Role("n_matmul", "count", ("n_matmul",), least=1.0),
        Role("n_total", "count", ("n_total", "total_params"), least=1.0),
        Role(
            "n_active",
            "count",
            (
                "n_active",
                "active_params",
                "active_parameters",
                "num_active_params",
                "activated_params",
                "num_active_non_embedding_params",
            ),
            least=1.0,
        ),
        Role(
            "D",
            "count",
            ("D", "total_tokens", "train_tokens", "training_tokens", "token_budget"),
            least=1.0,
        ),
        Role(
            "C",
            "number",
            ("C", "flops", "total_flops", "train_flops", "training_flops", "total_training_flops"),
            least=0.0,
        ),
        Role("batch", "count", ("batch", "batch_size", "batch_seqs", "global_batch_size")),
        Role(
            "context",
            "count",
            (
                "context",
                "seq_len",
                "sequence_length",
                "context_length",
                "block_size",
                "seq_length",
                "max_seq_len",
                "max_sequence_length",
            ),
        ),
        Role("vocab", "count", ("vocab", "vocab_size", "padded_vocab_size")),
        Role("width", "count", ("width", "n_embd", "d_model", "hidden_size", "hidden_dim")),
        Role(
            "steps",
            "count",
            (
                "steps",
                "max_steps",
                "total_steps",
                "iterations",
                "train_iters",
                "num_train_steps",
                "max_iters",
                "num_iterations",
            ),
        ),
        Role("seed", "number", ("seed", "random_seed")),
        Role("status", "text", ("status", "state")),
        Role("schedule", "text", ("schedule", "scheduler", "lr_schedule", "lr_scheduler_type")),
        Role("parent", "text", ("parent",)),
        Role("branch_step", "number", ("branch_step",)),
        Role("attempt", "number", ("attempt",), a_run=False),
        Role("time", "number", ("time", "_timestamp", "wall_time", "timestamp"), a_run=False),
        Role("bytes_per_token", "number", ("bytes_per_token",)),
    )
}
TEXT = tuple(name for name, role in ROLES.items() if role.kind == "text")

# Words in a name that say a number is no loss in nats per token, and what it is.
_NO_NATS = {
    "perplexity": ("ppl", "perplexity", "perp", "perplexities"),
    "bits": ("bpb", "bits", "bit", "bpc", "bpt", "bpw"),
}
_LOSS_WORDS = ("loss", "ce", "nll", "xent", "crossentropy", "entropy", "crossentropyloss")
_VALIDATION_WORDS = ("val", "valid", "validation", "eval", "evaluation", "test", "dev")


def normal(name: str) -> str:
    """A name as it is compared: case and joints do not count, but for a single letter."""
    stripped = str(name).strip()
    return stripped if len(stripped) == 1 else _JOINTS.sub("_", stripped.lower()).strip("_")


@cache
def spellings(role: str) -> dict[str, int]:
    """Names of a role as they are compared, and how sure each is (0 is the surest)."""
    ranks: dict[str, int] = {}
    for k, name in enumerate(ROLES[role].names):
        ranks.setdefault(normal(name), k)
    return ranks


def measure_of(name: str) -> str | None:
    """ "perplexity" or "bits", where a name says that it is such and no loss in nats."""
    words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", str(name)).lower()))
    for measure, signs in _NO_NATS.items():
        if words & set(signs) and not (measure == "perplexity" and "log" in words):
            return measure
    return None


def sounds_like_a_loss(name: str) -> bool:
    """Whether a name has a word for a loss."""
    words = set(normal(name).split("_"))
    return bool(words & set(_LOSS_WORDS)) or normal(name).endswith("loss")


def sounds_validated(name: str) -> bool:
    """Whether a name says that its loss was measured on held-out data."""
    return sounds_like_a_loss(name) and bool(set(normal(name).split("_")) & set(_VALIDATION_WORDS))


def matching(role: str, names: Sequence[str]) -> list[str]:
    """Those of `names` that are a role's, the surest first; by its patterns where none is."""
    ranks, exact = spellings(role), ROLES[role].names
    rank = {
        name: exact.index(name) if name in exact else ranks[normal(name)] + 0.5
        for name in names
        if name in exact or normal(name) in ranks
    }
    if rank:
        return sorted(rank, key=rank.__getitem__)
    patterns = [re.compile(p, re.IGNORECASE) for p in ROLES[role].patterns]
    return [n for n in names if any(p.fullmatch(n) for p in patterns)]

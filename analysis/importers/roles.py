"""The roles of columns in imported tables, each with the names that trackers and papers use.

The surest name of a role stands first.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """A column of ours that imported columns may stand for.

    Attributes
    ----------
    name : str
    kind : {"number", "count", "text", "loss"}
        Counts may be written 70M; text stays text; losses have a unit.
    names : tuple of str
        Names that others use for it.
    patterns : tuple of str
        Regular expressions for further names, as of a learning rate for each parameter group;
        matched against the whole name.
    least : float or None
        The smallest number that it can be.
    a_run : bool
        Whether it is always a property of a whole run; otherwise it may be one of a step.
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

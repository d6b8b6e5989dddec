"""Files as the programs that people train with leave them, written by generators, with their traps.

Each gives what `read_runs` must answer: of every run its loss, and N, D, the last learning rate and
the status where the file tells them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass
class Layout:
    """What is read and what must come out of it.

    Attributes
    ----------
    source : path or list of paths
    options : dict
        Of `read_runs`: what a person has to say, if anything.
    loss : dict of str to float
        Of each run.
    N, D, lr, status : dict
        Of each run, where the file tells it.
    noted : tuple of str
        Words that stand in the notes.
    """

    source: Any
    loss: dict[str, float]
    options: dict[str, Any] = field(default_factory=dict)
    N: dict[str, float] = field(default_factory=dict)
    D: dict[str, float] = field(default_factory=dict)
    lr: dict[str, float] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)
    noted: tuple[str, ...] = ()


LAYOUTS: dict[str, Callable[[Path], Layout]] = {}


def layout(make: Callable[[Path], Layout]) -> Callable[[Path], Layout]:
    LAYOUTS[make.__name__] = make
    return make


def loss_at(step: float, floor: float = 3.0) -> float:
    return round(floor + 40 / (step + 20), 5)


def rate_at(step: float, last: float, peak: float = 1e-3) -> float:
    return peak * (1 - 0.9 * step / last)


@layout
def olmo(folder: Path) -> Layout:
    """A history exported from wandb: tokens by throughput, the rate of a group, perplexities beside
    the losses, names with slashes, rows of training and of evaluation apart."""
    rows = []
    for step in range(0, 1001, 50):
        rows.append(
            {
                "_step": step,
                "optim/learning_rate_group0": rate_at(step, 1000),
                "train/CrossEntropyLoss": loss_at(step, 2.9),
                "train/Perplexity": math.exp(loss_at(step, 2.9)),
                "throughput/total_tokens": step * 4_194_304,
            }
        )
        if step % 250 == 0:
            rows.append(
                {
                    "_step": step,
                    "eval/c4_en-validation/CrossEntropyLoss": loss_at(step),
                    "eval/c4_en-validation/Perplexity": math.exp(loss_at(step)),
                }
            )
    pd.DataFrame(rows).to_csv(folder / "olmo-190M.csv", index=False)
    return Layout(
        folder / "olmo-190M.csv",
        {"olmo-190M": loss_at(1000)},
        {"columns": {"N": 190e6}},
        N={"olmo-190M": 190e6},
        D={"olmo-190M": 1000 * 4_194_304},
        lr={"olmo-190M": 1e-4},
    )


@layout
def levanter(folder: Path) -> Layout:
    """Runs of a project as a tracker's JSON: the size in the configuration, a run that crashed
    before its first log, a name that two runs share, numbers that were none."""

    def run(key: str, name: str, size: int, state: str, rows: list) -> dict:
        return {
            "id": key,
            "name": name,
            "state": state,
            "history": rows,
            "config": {"parameter_count": size, "trainer": {"seed": 0}},
        }

    def rows(floor: float) -> list:
        return [
            {
                "global_step": s,
                "_step": s + 3,
                "eval/loss": loss_at(s, floor),
                "optim/learning_rate": rate_at(s, 400),
                "_timestamp": 1.7e9 + s,
                "throughput/total_tokens": s * 524_288,
            }
            for s in range(0, 401, 40)
        ]

    runs = [
        run("aa1", "sweep", 10**8, "finished", rows(3.0)),
        run("bb2", "sweep", 3 * 10**8, "finished", rows(2.7)),
        run("cc3", "later", 10**8, "crashed", []),
        run(
            "dd4",
            "odd",
            10**8,
            "finished",
            [
                *rows(3.0)[:5],
                {"global_step": 200, "eval/loss": float("nan"), "optim/learning_rate": 1e-3},
            ],
        ),
    ]
    (folder / "runs.json").write_text(json.dumps(runs))
    return Layout(
        folder / "runs.json",
        {"aa1": loss_at(400), "bb2": loss_at(400, 2.7)},
        N={"aa1": 1e8, "bb2": 3e8},
        D={"aa1": 400 * 524_288, "bb2": 400 * 524_288},
        lr={"aa1": 1e-4},
        status={"aa1": "done", "bb2": "done", "dd4": "diverged"},
        noted=("left out: run later (cc3) has no rows",),
    )


@layout
def megatron_golden_values(folder: Path) -> Layout:
    """Metrics with their own intervals; the loss is that of training and must be said so."""
    values = {
        "lm loss": {
            "start_step": 1,
            "end_step": 96,
            "step_interval": 5,
            "values": [loss_at(s) for s in range(1, 97, 5)],
        },
        "num-zeros": {
            "start_step": 1,
            "end_step": 96,
            "step_interval": 5,
            "values": {str(s): 1000.0 + s for s in range(1, 97, 5)},
        },
        "iteration-time": {
            "start_step": 1,
            "end_step": 96,
            "step_interval": 5,
            "values": {"1": "nan", "6": 0.5},
        },
    }
    (folder / "golden_values.json").write_text(json.dumps(values, indent=1))
    return Layout(
        folder / "golden_values.json",
        {"golden_values": loss_at(96)},
        {"columns": {"loss": "lm loss", "batch": 32, "context": 1024}},
        D={"golden_values": 96 * 32 * 1024},
    )


@layout
def megatron_log(folder: Path) -> Layout:
    """A log of text with numbers like 1.2E-04, other lines between, and a last line torn off."""
    lines = ["> setting random seeds to 1234 ...", ""]
    for s in range(100, 1001, 100):
        lines.append(
            f" iteration {s:8d}/    1000 | consumed samples: {s * 64:12d} | learning rate:"
            f" {rate_at(s, 1000):.6E} | lm loss: {loss_at(s):.6E} | grad norm: 1.234 |"
        )
        lines.append("(min, max) time across ranks (ms):")
    (folder / "train.log").write_text(
        "\n".join(lines) + "\n iteration     1100/    1000 | consumed"
        " samples: 70400 | learning rate: 1.0E-04 | lm loss: 3."
    )
    pattern = (
        "iteration {step}/ {steps} | consumed samples: {samples} | learning rate: {lr} | "
        "lm loss: {loss}"
    )
    return Layout(
        folder / "train.log",
        {"train": loss_at(1000)},
        {"pattern": pattern, "columns": {"batch": 64, "context": 2048, "N": 3.5e8}},
        N={"train": 3.5e8},
        D={"train": 1000 * 64 * 2048},
        lr={"train": 1e-4},
    )


@layout
def megatron_ladder(folder: Path) -> Layout:
    """Console logs as Megatron writes them, up to 10B: arguments, a size for each of two pipeline
    ranks, a batch that grows, a launcher's prefix, a last validation that is longer."""
    sizes = {"125M": (1.25e8, 3.2), "1.3B": (1.3e9, 2.6), "10B": (1.0e10, 2.2)}
    for name, (size, floor) in sizes.items():
        lines = [
            "------------------------ arguments ------------------------",
            "  seq_length ...................................... 2048",
            "  global_batch_size ............................... 64",
            "  hidden_size ..................................... 768",
            "  pipeline_model_parallel_size .................... 2",
            "  num_experts ..................................... None",
            "  seed ............................................ 1234",
        ]
        lines += [
            f" > number of parameters on (tensor, pipeline) model parallel rank (0, {k}): "
            f"{int(size / 2)}"
            for k in (0, 1)
        ]
        samples = 0
        for s in range(100, 1001, 100):
            batch = 32 if s <= 200 else 64
            samples += 100 * batch
            lines.append(
                f"0: [2026-03-0{s // 200 + 1} 10:00:00] iteration {s:8d}/    1000 | consumed"
                f" samples: {samples:12d} | elapsed time per iteration (ms): 812.4 | throughput per"
                f" GPU (TFLOP/s/GPU): 401.2 | learning rate: {rate_at(s, 1000):.6E} | global batch"
                f" size: {batch:5d} | lm loss: {loss_at(s, floor - 0.1):.6E} | loss scale: 1.0 | "
                "grad norm: 1.234 | number of skipped iterations:   0 | number of nan iterations:  "
                " 0 |"
            )
            if s % 500 == 0:
                lines += [
                    "-" * 90,
                    f" validation loss at iteration {s} | lm loss value: {loss_at(s, floor):.6E} | "
                    f"lm loss PPL: {math.exp(loss_at(s, floor)):.6E} | ",
                ]
        for part in ("validation", "test"):
            lines.append(
                f" validation loss at iteration 1000 on {part} set | lm loss value: 9.0E+00 | lm"
                " loss PPL: 8.1E+03 | "
            )
        (folder / f"{name}.log").write_text("\n".join(lines) + "\n")
    return Layout(
        folder,
        {name: loss_at(1000, floor) for name, (_, floor) in sizes.items()},
        N={name: size for name, (size, _) in sizes.items()},
        D=dict.fromkeys(sizes, (200 * 32 + 800 * 64) * 2048),
        lr=dict.fromkeys(sizes, 1e-4),
        noted=("n_total is the sum over 2 model-parallel ranks",),
    )


@layout
def torchtitan_console(folder: Path) -> Layout:
    """A mixture of experts of 10B: colours, thousands with commas, validation between."""
    lines = [
        "[rank0]:[titan] 2026-03-01 10:00:00,000 - root - INFO - Total parameter count: dense"
        " 1,066,241,024, sparse 8,933,758,976, active 2,066,241,024",
        "[rank0]:[titan] 2026-03-01 10:00:00,001 - root - INFO - \x1b[34mModel deepseek_v3 10B"
        " \x1b[31msize: 10,000,000,000 total parameters\x1b[39m",
        "[rank0]:[titan] 2026-03-01 10:00:00,002 - root - INFO - Trainer is initialized with local"
        " batch size 8, global batch size 64, gradient accumulation steps 1, sequence length 4096,"
        " total steps 1000 (warmup 200)",
    ]
    for s in (1, *range(100, 1001, 100)):
        lines.append(
            f"[rank0]:[titan] 2026-03-01 10:00:01,000 - root - INFO - \x1b[31mstep: {s:2}  \x1b[32m"
            f"loss: {loss_at(s, 2.4):8.5f}  \x1b[38;2;180;60;0mgrad_norm:  1.2345  \x1b[36mmemory: "
            "60.01GiB(63.20%)  \x1b[34mtps: 7,456  \x1b[36mtflops: 401.20  \x1b[35mmfu: "
            "40.56%\x1b[39m"
        )
        if s % 500 == 0:
            lines.append(
                "[rank0]:[titan] 2026-03-01 10:00:02,000 - root - INFO - \x1b[33mvalidate step: "
                f"{s}  \x1b[32mloss: {loss_at(s, 2.5):7.4f}  \x1b[36mmemory: "
                "60.01GiB(63.20%)\x1b[39m"
            )
    (folder / "moe.log").write_text("\n".join(lines) + "\n")
    return Layout(
        folder / "moe.log",
        {"moe": round(loss_at(1000, 2.5), 4)},
        N={"moe": 1e10},
        D={"moe": 1000 * 64 * 4096},
        noted=("active parameters, n_active, contains the embedding",),
    )


@layout
def torchtitan_events(folder: Path) -> Layout:
    """TensorBoard events of torchtitan; Megatron's second copy of a metric, over samples."""
    from tests.analysis.importers.test_trackers import event

    data = b""
    for s in range(0, 101, 10):
        data += event(s, "loss_metrics/global_avg_loss", loss_at(s, 2.9), False)
        data += event(s, "grad_norm", 1.0, False) + event(s, "lr", rate_at(s, 100), False)
        data += event(s, "n_tokens_seen", s * 8192, False)
        data += event(s, "validation_metrics/loss", loss_at(s), False)
        data += event(s * 64, "lm loss vs samples", loss_at(s), False)
    (folder / "tb").mkdir()
    (folder / "tb" / "events.out.tfevents.1.host").write_bytes(data)
    return Layout(
        folder / "tb",
        {"tb": loss_at(100)},
        {"columns": {"N": 8.03e9}},
        N={"tb": 8.03e9},
        D={"tb": 100 * 8192},
        lr={"tb": 1e-4},
    )


@layout
def olmo_core_console(folder: Path) -> Layout:
    """Metrics below a line of the step, tokens in billions, an evaluation with its own lines."""
    lines = [
        "2026-03-01 10:00:00 INFO [olmo_core.nn.transformer.config:250] Building transformer with"
        " 7,298,011,136 total params, 6,887,272,448 non-embedding params",
    ]
    for s in (1, *range(100, 1001, 100)):
        lines += [
            "2026-03-01 10:01:00 INFO [olmo_core.train.callbacks.console_logger:68]"
            f" [step={s}/{'1,000'},epoch=1,eta=5h11m]",
            f"    train/CE loss={loss_at(s, 2.4)}",
            f"    train/PPL={math.exp(loss_at(s, 2.4)):.4f}",
            "    optim/total grad norm=0.4321",
            f"    optim/LR (group 0)={rate_at(s, 1000):.8f}",
            f"    throughput/total tokens={s * 4_194_304 / 1e9}B",
        ]
        if s % 500 == 0:
            lines += [
                "2026-03-01 10:01:30 INFO [olmo_core.train.callbacks.evaluator_callback:110] "
                "Finished lm evals in 12.3 seconds. Metrics:",
                f"    c4_en-validation/CE loss={loss_at(s, 2.5)}",
                f"    c4_en-validation/PPL={math.exp(loss_at(s, 2.5)):.4f}",
            ]
    (folder / "olmo-7B.log").write_text("\n".join(lines) + "\n")
    return Layout(
        folder / "olmo-7B.log",
        {"olmo-7B": loss_at(1000, 2.5)},
        N={"olmo-7B": 6_887_272_448},
        D={"olmo-7B": 1000 * 4_194_304},
        lr={"olmo-7B": 1e-4},
        noted=("validation losses are those of the step that was logged before them",),
    )


@layout
def wandb_chart(folder: Path) -> Layout:
    """A chart over tokens: three columns a run, the step beside, runs with patterns in names."""
    names = {"a [lr=1e-3]*": 3.0, "b - wide": 2.5}
    points = range(100, 501, 100)
    rows = [{"Step": s} for s in points]
    for name, floor in names.items():
        for row, s in zip(rows, points, strict=True):
            for tail in ("", "__MIN", "__MAX"):
                row[f"{name} - val/loss{tail}"] = loss_at(s, floor)
                row[f"{name} - _step{tail}"] = s
    pd.DataFrame(rows).to_csv(folder / "wandb_export.csv", index=False, quoting=1)
    return Layout(
        folder / "wandb_export.csv",
        {n: loss_at(500, f) for n, f in names.items()},
        noted=("may be samples",),
    )


@layout
def lightning_csv(folder: Path) -> Layout:
    """Two experiments with a version_0 each; zero-based steps; a monitored rate beside a configured
    one; rows of rates, training and validation apart."""
    for name, floor in (("small", 3.0), ("big", 2.5)):
        place = folder / "logs" / name / "version_0"
        place.mkdir(parents=True)
        rows = []
        for s in range(9, 200, 10):
            rows += [
                {"step": s, "lr-AdamW": rate_at(s, 199)},
                {"step": s, "epoch": 0, "train_loss": loss_at(s, floor - 0.1)},
            ]
        rows.append({"step": 199, "epoch": 0, "val_loss": loss_at(199, floor)})
        pd.DataFrame(rows, columns=["epoch", "lr-AdamW", "step", "train_loss", "val_loss"]).to_csv(
            place / "metrics.csv", index=False
        )
        (place / "hparams.yaml").write_text(
            "lr: 0.003\nbatch_size: 8\nblock_size: 16\nmax_steps: 200\nn_params: 1000000\n"
        )
    runs = {name: f"{name}/version_0" for name in ("small", "big")}
    return Layout(
        folder / "logs",
        {f"logs/{runs['small']}": loss_at(199), f"logs/{runs['big']}": loss_at(199, 2.5)},
        N={f"logs/{r}": 1e6 for r in runs.values()},
        D={f"logs/{r}": 200 * 8 * 16 for r in runs.values()},
        lr={f"logs/{r}": 1e-4 for r in runs.values()},
    )


@layout
def nanochat(folder: Path) -> Layout:
    """Bits per byte on validation: the unit and the bytes of a token have to be said."""
    rows = [
        {
            "step": s,
            "val/bpb": loss_at(s) / math.log(2) / 4.5,
            "train/loss": loss_at(s),
            "train/lrm": 1.0,
            "total_training_flops": s * 1e12,
            "total_training_time": s / 10,
        }
        for s in range(0, 501, 25)
    ]
    pd.DataFrame(rows).to_csv(folder / "d12.csv", index=False)
    return Layout(
        folder / "d12.csv",
        {"d12": loss_at(500)},
        {"unit": "bits_per_byte", "columns": {"loss": "val/bpb", "bytes_per_token": 4.5}},
    )


@layout
def hugging_face(folder: Path) -> Layout:
    """Checkpoints, each with the whole history so far; a summary as the last row."""
    for reached in (200, 400):
        place = folder / "gpt-small" / f"checkpoint-{reached}"
        place.mkdir(parents=True)
        rows: list[dict] = []
        for s in range(40, reached + 1, 40):
            rows.append(
                {
                    "epoch": s / 400,
                    "grad_norm": 1.0,
                    "learning_rate": rate_at(s, 400),
                    "loss": loss_at(s, 2.8),
                    "step": s,
                }
            )
            rows.append(
                {
                    "epoch": s / 400,
                    "eval_loss": loss_at(s),
                    "eval_runtime": 3.0,
                    "step": s,
                    "num_input_tokens_seen": s * 8192,
                }
            )
        if reached == 400:
            rows.append({"step": 400, "train_loss": 9.9, "train_runtime": 60.0, "total_flos": 1e15})
        (place / "trainer_state.json").write_text(
            json.dumps(
                {"global_step": reached, "max_steps": 400, "log_history": rows, "best_metric": None}
            )
        )
    return Layout(
        folder,
        {"gpt-small": loss_at(400)},
        D={"gpt-small": 400 * 8192},
        lr={"gpt-small": 1e-4},
        status={"gpt-small": "done"},
    )


@layout
def open_lm(folder: Path) -> Layout:
    """A file a run: a nested record with its hyper-parameters and a list of evaluations."""
    for size, loss in ((11e6, 4.2), (79e6, 3.4)):
        record = {
            "name": f"rpj-{size:.0f}",
            "uuid": "u",
            "failed": False,
            "hyperparameters": {
                "params": size * 1.5,
                "params_no_embed": size,
                "lr": 3e-3,
                "tokens": 20 * size,
                "seed": 124,
                "chinchilla_multiplier": 1,
            },
            "results": [
                {"loss": loss, "val_data": ["c4"], "loss_tokens_upper_95": loss + 1},
                {"loss": 9.0, "val_data": ["paloma"]},
            ],
        }
        (folder / f"{size:.0f}.json").write_text(json.dumps(record, indent=2))
    return Layout(
        folder,
        {"rpj-11000000": 4.2, "rpj-79000000": 3.4},
        {
            "columns": {
                "loss": "results.0.loss",
                "N": "hyperparameters.params_no_embed",
                "D": "hyperparameters.tokens",
                "run": "name",
            }
        },
        N={"rpj-11000000": 11e6, "rpj-79000000": 79e6},
        D={"rpj-79000000": 20 * 79e6},
    )


@layout
def tensorboard(folder: Path) -> Layout:
    """Event folders of one name below two experiments."""
    from tests.analysis.importers.test_trackers import event

    for name, floor in (("small", 3.0), ("big", 2.5)):
        place = folder / "logs" / name / "version_0"
        place.mkdir(parents=True)
        data = b"".join(
            event(s, "val_loss", loss_at(s, floor), False) + event(s, "lr", rate_at(s, 100), False)
            for s in range(0, 101, 10)
        )
        (place / "events.out.tfevents.1.host").write_bytes(data)
        (place / "hparams.yaml").write_text("n_params: 1000000\nbatch_size: 4\nblock_size: 32\n")
    return Layout(
        folder / "logs",
        {"small/version_0": loss_at(100), "big/version_0": loss_at(100, 2.5)},
        N={"small/version_0": 1e6, "big/version_0": 1e6},
        D={"small/version_0": 100 * 128, "big/version_0": 100 * 128},
        lr={"small/version_0": 1e-4},
    )


POINTS = [(1e8, 2e9, 3.5021), (1e9, 2e10, 2.6113), (7e9, 1.4e11, 2.2107)]


def _points(folder: Path, text: str, name: str = "points.csv", **options: Any) -> Layout:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return Layout(
        folder / name,
        {str(k): p[2] for k, p in enumerate(POINTS)},
        options,
        N={str(k): p[0] for k, p in enumerate(POINTS)},
        D={str(k): p[1] for k, p in enumerate(POINTS)},
    )


@layout
def spreadsheet_of_europe(folder: Path) -> Layout:
    """Semicolons, decimal commas, points between thousands, a byte-order mark, CRLF."""
    rows = "".join(
        f"{n:,.0f};{d:,.0f};".replace(",", ".") + f"{x:.4f}\r\n".replace(".", ",")
        for n, d, x in POINTS
    )
    return _points(folder, "\ufeffparams;tokens;val_loss\r\n" + rows)


@layout
def thousands_in_quotes(folder: Path) -> Layout:
    """Quoted cells with commas between thousands, names with spaces, a comma in a name."""
    rows = "".join(f'"run, {k}","{n:,.0f}","{d:,.0f}",{x}\n' for k, (n, d, x) in enumerate(POINTS))
    made = _points(folder, '"Run name","Num params","Train tokens","Val loss"\n' + rows)

    def rename(given):
        return {f"run, {k}": v for k, v in given.items()}

    made.loss, made.N, made.D = rename(made.loss), rename(made.N), rename(made.D)
    return made


@layout
def sizes_with_units(folder: Path) -> Layout:
    """Counts as people write them: 100M, 1B, 7B."""
    text = "model_size\ttokens\tloss\n100M\t2B\t3.5021\n1B\t20B\t2.6113\n7.0 B\t.14T\t2.2107\n"
    return _points(folder, text, "points.tsv")


@layout
def comments_and_a_comma_too_many(folder: Path) -> Layout:
    """Comments before and within, blank lines, and a comma at the end of every row."""
    rows = "".join(f"{n:.0f},{d:.0f},{x},\n" for n, d, x in POINTS)
    return _points(folder, f"# sweep of march\n\nN,D,loss\n# first\n{rows}\n\n")


@layout
def aligned_by_spaces(folder: Path) -> Layout:
    """Columns of a text file, the names in a comment."""
    rows = "".join(f"{n:12.0f} {d:14.0f} {x:8.4f}\n" for n, d, x in POINTS)
    return _points(folder, f"#  N  D  loss\n{rows}", "points.txt")


@layout
def sum_of_two_columns(folder: Path) -> Layout:
    """N as blocks and embeddings, D in billions."""
    rows = "".join(f"{n - 1e7:.0f},{1e7:.0f},{d / 1e9},{x}\n" for n, d, x in POINTS)
    return _points(
        folder,
        "block,embedding,tokens (B),val_loss\n" + rows,
        columns={"N": "block + embedding", "D": "tokens (B) * 1e9"},
    )


@layout
def perplexities(folder: Path) -> Layout:
    """Perplexities made losses, as said."""
    rows = "".join(f"{n:.0f},{d:.0f},{math.exp(x)!r}\n" for n, d, x in POINTS)
    return _points(folder, "params,tokens,wiki_ppl\n" + rows, columns={"loss": "log(wiki_ppl)"})


@layout
def runs_that_crashed(folder: Path) -> Layout:
    """A table of runs as trackers export it: states, final steps, names that repeat and ids."""
    states = ["finished", "crashed", "finished"]
    rows = "".join(
        f"r{k},same,{s},{n:.0f},{d:.0f},1000,{x}\n"
        for k, ((n, d, x), s) in enumerate(zip(POINTS, states, strict=True))
    )
    made = _points(folder, "ID,Name,State,params,total_tokens,_step,val_loss\n" + rows)
    made.loss = {"r0": POINTS[0][2], "r2": POINTS[2][2]}
    made.N, made.D = {"r1": POINTS[1][0]}, {"r2": POINTS[2][1]}
    made.status = {"r0": "done", "r1": "crashed"}
    return made


@layout
def nested_lines(folder: Path) -> Layout:
    """JSON lines with groups within, a step without validation, a last line torn off."""
    lines = [
        json.dumps(
            {
                "step": s,
                "optim": {"lr": rate_at(s, 300)},
                "tokens_seen": s * 1000,
                "metrics": {
                    "train": {"loss": loss_at(s, 2.8)},
                    "val": {"loss": loss_at(s) if s % 100 == 0 else None},
                },
            }
        )
        for s in range(0, 301, 20)
    ]
    (folder / "run7.jsonl").write_text("\n".join(lines) + '\n{"step": 320, "opt')
    return Layout(
        folder / "run7.jsonl",
        {"run7": loss_at(300)},
        {"columns": {"loss": "metrics.val.loss", "lr": "optim.lr"}},
        D={"run7": 300_000},
        lr={"run7": 1e-4},
        noted=("torn off",),
    )


@layout
def folder_of_logs(folder: Path) -> Layout:
    """A folder a run, each with a log of one name and its configuration; one log is damaged."""
    for name, size, floor in (("125m", 125e6, 3.5), ("350m", 350e6, 3.0)):
        place = folder / name
        place.mkdir()
        text = "iter,val_loss,lr\n" + "".join(
            f"{s},{loss_at(s, floor)},{rate_at(s, 200)}\n" for s in range(0, 201, 20)
        )
        (place / "log.csv").write_text(text)
        (place / "config.json").write_text(
            json.dumps({"n_params": size, "batch_size": 16, "block_size": 1024, "max_iters": 200})
        )
    (folder / "bad").mkdir()
    (folder / "bad" / "log.csv").write_text("iter,val_loss,lr\n0,5,1,7\n")
    return Layout(
        folder,
        {"125m/log": loss_at(200, 3.5), "350m/log": loss_at(200)},
        N={"125m/log": 125e6, "350m/log": 350e6},
        D={"125m/log": 200 * 16 * 1024},
        lr={"350m/log": 1e-4},
        status={"125m/log": "done"},
        noted=("left out", "line 2"),
    )


@layout
def resumed_nanogpt(folder: Path) -> Layout:
    """A run killed at 300 that went on from 200, with counts of tokens."""
    rows = [(s, loss_at(s) + (0.5 if s > 200 else 0)) for s in range(0, 301, 50)]
    rows += [(s, loss_at(s)) for s in range(200, 501, 50)]
    table = pd.DataFrame(rows, columns=["iter", "val/loss"])
    table.assign(lr=1e-3, tokens=table["iter"] * 491_520).to_csv(folder / "gpt2.csv", index=False)
    return Layout(
        folder / "gpt2.csv",
        {"gpt2": loss_at(500)},
        D={"gpt2": 500 * 491_520},
        lr={"gpt2": 1e-3},
        noted=("superseded",),
    )


@layout
def columns_of_pandas(folder: Path) -> Layout:
    """A table that pandas wrote as JSON, by columns, and its numbers with the index beside."""
    table = pd.DataFrame(POINTS, columns=["N", "D", "loss"])
    table.to_json(folder / "points.json")
    made = _points(folder, table.to_csv())  # an index without a name as the first column
    made.source = folder / "points.json"
    return made


@layout
def index_of_pandas(folder: Path) -> Layout:
    """The same as CSV: a column without a name that counts the rows."""
    made = columns_of_pandas(folder)
    made.source = folder / "points.csv"
    return made

"""A causal language model of transformers, dense or a mixture of experts, trained by its Trainer.

`scaling launch study=hf_trainer` starts it once for each run. What it is told and what it leaves is
the contract of docs/trainers.md; sizes come from `model`, what the laboratory has no key for from
`options`: experts, and how many of them (active) a token passes through.
"""

import csv
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from torch.utils.data import Dataset, SequentialSampler
from transformers import LlamaConfig, MixtralConfig, Trainer, TrainerCallback, TrainingArguments

from scalinglab.scaling.data.order import DataOrder

NEW, STATE = "new-{}", "trainer_state.json"


def build(config):
    """The network: each expert has 1/active of the width, so that a token passes through as much."""
    model, options = config["model"], config["options"]
    experts, active = options.get("experts", 1), options.get("active", 1)
    sizes = dict(
        vocab_size=model["vocab"],
        hidden_size=model["width"],
        num_hidden_layers=model["depth"],
        num_attention_heads=model["heads"],
        num_key_value_heads=model["heads"],
        intermediate_size=model["mlp_width"] // active,
        max_position_embeddings=model["context"],
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(config["seed"])
    if experts == 1:
        return transformers.LlamaForCausalLM(LlamaConfig(**sizes))
    if not 1 <= active <= experts or model["mlp_width"] % active:
        sys.exit(
            f"trainer.options.active = {active}: a number from 1 to experts = {experts} that "
            f"divides model.mlp_width = {model['mlp_width']}"
        )
    routing = dict(num_local_experts=experts, num_experts_per_tok=active, router_aux_loss_coef=0.01)
    return transformers.MixtralForCausalLM(MixtralConfig(**sizes, **routing))


def count(network):
    """Parameters as the laboratory counts them (docs/design.md, N)."""
    counts = dict.fromkeys(("embedding", "attention", "mlp", "gain", "unembedding"), 0)
    expert = 0
    for name, tensor in network.named_parameters():
        if tensor.ndim == 1:
            role = "gain"
        elif "embed_tokens" in name:
            role = "embedding"
        elif "lm_head" in name:
            role = "unembedding"
        else:
            role = "attention" if "self_attn" in name else "mlp"
        counts[role] += tensor.numel()
        expert += tensor.numel() if ".experts." in name else 0
    n_total = sum(counts.values())
    n_block = counts["attention"] + counts["mlp"]
    n_matmul = n_block + counts["unembedding"]
    idle = 0
    if expert:
        config = network.config
        idle = expert - expert * config.num_experts_per_tok // config.num_local_experts
    n_active = n_matmul - idle
    sums = dict(n_block=n_block, n_matmul=n_matmul, n_active=n_active, n_total=n_total)
    return counts | sums


class Windows(Dataset):
    """Windows of a file of tokens, in a given order."""

    def __init__(self, path, dtype, context, order):
        self.tokens, self.context, self.order = np.memmap(path, dtype, "r"), context, order

    def __len__(self):
        return len(self.order)

    def __getitem__(self, k):
        start = int(self.order[k]) * self.context
        window = self.tokens[start : start + self.context + 1].astype(np.int64)
        return {"input_ids": torch.from_numpy(window[:-1]), "labels": torch.from_numpy(window[1:])}


class Training(Trainer):
    """Hugging Face's Trainer; its log, which its checkpoints hold, is the curve."""

    cross_entropy: list  # of the micro-batches of this step

    def _get_train_sampler(self, *_):
        return SequentialSampler(self.train_dataset)  # the data are in order

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """The loss that is trained on; the cross-entropy alone is kept for the curve."""
        experts = hasattr(model.config, "num_local_experts")
        outputs = model(inputs["input_ids"], **({"output_router_logits": True} if experts else {}))
        loss = torch.nn.functional.cross_entropy(
            outputs.logits.flatten(0, 1).float(), inputs["labels"].flatten()
        )
        if model.training:
            self.cross_entropy.append(loss.item())
            if experts:  # balances the load; no part of the loss that is recorded
                loss = loss + model.config.router_aux_loss_coef * balance(outputs, model.config)
        return (loss, {"logits": outputs.logits}) if return_outputs else loss

    def _load_from_checkpoint(self, folder, model=None):
        """All weights, or an error; Trainer's own leaves out experts, whose names in files differ."""
        saved = type(self.model).from_pretrained(folder)
        self.model.load_state_dict(saved.state_dict())

    def log(self, logs, *rest):
        """Add the cross-entropy of the step to what is logged of it."""
        if "loss" in logs and self.cross_entropy:
            logs["cross_entropy"] = float(np.mean(self.cross_entropy))
            self.cross_entropy.clear()
        super().log(logs, *rest)

    def measure(self, windows, prefix):
        """Mean cross-entropy on windows, nats per token."""
        return self.evaluate(windows, metric_key_prefix=prefix)[f"{prefix}_loss"]


def balance(outputs, config):
    """The auxiliary loss of the Switch Transformer; 1 if all experts get equal shares."""
    module = transformers.models.mixtral.modeling_mixtral
    return module.load_balancing_loss_func(
        outputs.router_logits, config.num_local_experts, config.num_experts_per_tok
    )


class Watch(TrainerCallback):
    """Saves when it is asked to end, measures where our own runs would, and tells of its progress."""

    def __init__(self, config):
        self.config, self.stop, self.begun_at = config, False, None
        self.measured_at = set(config["validation_steps"])
        signal.signal(signal.SIGTERM, self.ask)

    def ask(self, *_):
        """Note that SIGTERM came."""
        self.stop = True

    def on_train_begin(self, args, state, control, **_):
        """Note the step of the checkpoint."""
        self.begun_at = state.global_step

    def on_step_end(self, args, state, control, **_):
        """Say what Trainer is to do after this step."""
        control.should_evaluate = state.global_step in self.measured_at
        if self.stop:
            control.should_save = control.should_training_stop = True
        return control

    def on_log(self, args, state, control, logs=None, **_):
        """Tell of the progress."""
        if "cross_entropy" in logs:
            said = {"step": state.global_step, "loss": logs["cross_entropy"]}
            write(Path(self.config["folder"]) / "progress.json", json.dumps(said))


def write(path, text):
    """Beside, then into place: whole or not at all."""
    aside = path.with_name(NEW.format(path.name))
    aside.write_text(text)
    os.replace(aside, path)


def arguments(config, network):
    """Trainer's arguments, and optimizer with schedule: one learning rate for each update."""
    told, steps = config["optimizer"], config["steps"]
    if told["name"] != "adamw" or config["processes"] > 1:
        sys.exit("this program trains with optimizer=adamw in one process (execution.processes=1)")
    micro = next(m for m in range(config["micro_batch"], 0, -1) if config["batch"] % m == 0)
    settings = TrainingArguments(
        output_dir=config["checkpoints"],
        max_steps=steps,
        per_device_train_batch_size=micro,
        per_device_eval_batch_size=micro,
        gradient_accumulation_steps=config["batch"] // micro,
        max_grad_norm=told["clip"] or 0.0,
        logging_steps=1,
        save_steps=max(1, steps // 4),
        save_total_limit=1,
        use_cpu=config["device"] == "cpu",
        bf16=config["precision"] == "bf16",
        seed=config["seed"],
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
    )
    gains = [p for p in network.parameters() if p.ndim == 1]
    matrices = [p for p in network.parameters() if p.ndim > 1]
    groups = [
        {"params": matrices, "weight_decay": told["weight_decay"]},
        {"params": gains, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=1.0, betas=(told["beta1"], told["beta2"]), eps=told["epsilon"]
    )
    rates = np.load(config["lr_file"])
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: float(rates[min(step, len(rates) - 1)])
    )
    return settings, (optimizer, schedule)


def last_checkpoint(folder):
    """The latest whole checkpoint; what was being written when a process was killed is removed."""
    there = sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    for path in there:
        if not (path / STATE).exists():  # it is written last
            shutil.rmtree(path)
    whole = [path for path in there if path.exists()]
    return whole[-1] if whole else None


def curve_of(history):
    """Rows of curve.csv from Trainer's log."""
    rows = {}
    for entry in history:
        row = rows.setdefault(entry["step"], {"step": entry["step"]})
        if "cross_entropy" in entry:
            row |= {"loss": entry["cross_entropy"], "grad_norm": entry.get("grad_norm")}
        if "eval_loss" in entry:
            row["validation_loss"] = entry["eval_loss"]
    return [row for _, row in sorted(rows.items()) if "loss" in row]


def main(config):
    """Train, or go on with, one run."""
    folder, data, model = Path(config["folder"]), config["data"], config["model"]
    torch.set_num_threads(config["threads"] or torch.get_num_threads())
    network = build(config)
    order = DataOrder(
        (data["train_tokens"] - 1) // model["context"],
        data["seed"],
        max(1, data["unique_tokens"] // model["context"]),
    ).windows_at(0, config["batch"] * config["steps"])
    held_out = np.load(data["validation_windows"])
    train, validation = (
        Windows(data[part], data["dtype"], model["context"], windows)
        for part, windows in (("train", order), ("validation", held_out))
    )
    settings, optimizers = arguments(config, network)
    watch = Watch(config)
    trainer = Training(
        network,
        settings,
        train_dataset=train,
        eval_dataset=validation,
        optimizers=optimizers,
        callbacks=[watch],
    )
    trainer.cross_entropy, trainer.model_accepts_loss_kwargs = [], False
    begin = last_checkpoint(Path(config["checkpoints"]))
    result = trainer.train(resume_from_checkpoint=str(begin) if begin else None)
    if trainer.state.global_step < config["steps"]:
        return  # asked to end; the checkpoint is written
    counts = count(network)
    seen = Windows(data["train"], data["dtype"], model["context"], order[: len(held_out)])
    final = {
        "counts": counts,
        # Causal attention: half of the map, 6 L d T (scalinglab.scaling.model.flops).
        "flops_per_token": 6 * counts["n_active"]
        + 6 * model["depth"] * model["width"] * model["context"],
        "validation_loss": trainer.measure(validation, "eval"),
        "losses": {"seen": trainer.measure(seen, "seen")},  # on what it was trained on first
        "metrics": {"active_share": counts["n_active"] / counts["n_matmul"]},
        "started_at_step": watch.begun_at,
        "seconds": result.metrics["train_runtime"],
        "versions": {"transformers": transformers.__version__, "torch": torch.__version__},
        "fingerprint": f"hf_trainer 1, transformers {transformers.__version__}",
    }
    with (folder / "curve.csv").open("w", newline="") as file:
        names = ["step", "loss", "grad_norm", "validation_loss"]
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(curve_of(trainer.state.log_history))
    write(folder / "final.json", json.dumps(final))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))

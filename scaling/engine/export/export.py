"""A checkpoint as a folder that other tools load: safetensors, config.json, a tokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from scalinglab.scaling.engine.export.form import FORMS
from scalinglab.scaling.engine.export.own_network import MODULE, how_to_load, library_config
from scalinglab.scaling.engine.export.tokenizer import BYTES, byte_tokenizer
from scalinglab.scaling.engine.trainer.checkpoint import Checkpoint, checkpoint_at
from scalinglab.scaling.engine.trainer.evaluation import evaluation_weights
from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.records.atomic import create_folder
from scalinglab.scaling.records.prefixes import no_checkpoint, stored_checkpoints
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec

AUTO = "auto"


@dataclass(frozen=True)
class Exported:
    """One exported checkpoint.

    Attributes
    ----------
    run_id : str
    step : int
    form : str
        A name of ``FORMS``, or ``module``.
    folder : Path
    tokenizer : bool
        Whether there is one beside the weights.
    new : bool
        Whether it was written now; False if the folder was there already.
    """

    run_id: str
    step: int
    form: str
    folder: Path
    tokenizer: bool
    new: bool


def chosen_form(architecture: Network, name: str) -> str:
    """The form for a network: the one of this name, or, for ``auto``, the first that fits.

    Raises
    ------
    ConfigError
        If there is no such form, or the network is not equal to it.
    """
    if not isinstance(architecture, Architecture):
        if name not in (AUTO, MODULE):
            raise ConfigError(
                f"form = {name!r}: a network of one's own (model=module) is exported under its own"
                f" names; allowed are {AUTO} and {MODULE}"
            )
        return MODULE
    if name == MODULE:
        raise ConfigError(f"form = {name!r} is of networks of one's own (model=module)")
    if name != AUTO:
        wrong = FORMS.find(name).misfit(architecture)
        if wrong is not None:
            raise ConfigError(f"form = {name!r} has no {wrong}; form=auto takes one that fits")
        return name
    by_name = sorted(FORMS.items(), key=lambda item: (item[1].general, item[0]))
    misfits = {name: form.misfit(architecture) for name, form in by_name}
    fitting = [name for name, wrong in misfits.items() if wrong is None]
    if not fitting:
        reasons = "; ".join(f"{name} has no {wrong}" for name, wrong in misfits.items())
        raise ConfigError(f"no form fits the network: {reasons}")
    return fitting[0]


def check_exports(
    folders: Sequence[RunFolder], to: Path, form: str = AUTO, step: int | None = None
) -> None:
    """Refuse what `export` would refuse for any of these runs, before the first is written.

    Raises
    ------
    ConfigError, UserError
        As `export`.
    """
    if to.exists() and not to.is_dir():
        raise ConfigError(f"to = {str(to)!r} is no folder; name another")
    for folder in folders:
        run, _, at = _requested(folder, form, step)
        _check_step(folder.outputs, run, at)


def export(folder: RunFolder, to: Path, form: str = AUTO, step: int | None = None) -> Exported:
    """Write a checkpoint of a run as a folder of its own below `to`, named by run and step.

    Parameters
    ----------
    folder : RunFolder
    to : Path
        The folder is made aside and moved into place whole; what is there already is kept.
    form : str
        A name of ``FORMS``, or ``auto``.
    step : int, optional
        Of the checkpoint. Default: the run's last.

    Raises
    ------
    ConfigError
        If no form fits, or there is no checkpoint of that step; it names those that there are.
    UserError
        If another program trained the run.
    """
    run, name, at = _requested(folder, form, step)
    place = to / f"{run.run_id}-{at}-{name}"
    _check_step(folder.outputs, run, at)
    checkpoint = checkpoint_at(folder.outputs, run, at)
    weights = evaluation_weights(run, checkpoint)
    tensors = (
        FORMS[name].tensors(run.architecture, weights)
        if isinstance(run.architecture, Architecture)
        else weights
    )
    texts = _texts(run, checkpoint, name)

    def fill(aside: Path) -> None:
        stored = {key: _stored(tensor) for key, tensor in tensors.items()}
        save_file(stored, aside / "model.safetensors", metadata={"format": "pt"})
        for file, text in texts.items():
            (aside / file).write_text(text, encoding="utf-8")
        # save_file lets only the writer read it; the other files have the person's own mode.
        shutil.copymode(aside / "scaling_run.json", aside / "model.safetensors")

    to.mkdir(parents=True, exist_ok=True)
    is_new = create_folder(place, fill)
    return Exported(run.run_id, checkpoint.step, name, place, "tokenizer.json" in texts, is_new)


def _requested(folder: RunFolder, form: str, step: int | None) -> tuple[RunSpec, str, int]:
    """A run, its form, and the requested step."""
    run = folder.spec()
    if run.is_command:
        raise UserError(f"run {run.run_id} was trained by another program, which has its weights")
    return run, chosen_form(run.architecture, form), run.steps if step is None else step


def _check_step(outputs: Path, run: RunSpec, step: int) -> None:
    """Refuse a step at which a run has no checkpoint."""
    if step not in dict(stored_checkpoints(outputs, run.science)):
        raise ConfigError(f"step = {step}: {no_checkpoint(outputs, run.run_id, run.science, step)}")


def _texts(run: RunSpec, checkpoint: Checkpoint, form: str) -> dict[str, str]:
    """The texts that are written beside the weights, by file name."""
    network, texts = run.architecture, {}
    if isinstance(network, ModuleNetwork):
        config = library_config(network)
    else:
        config, texts = FORMS[form].config(network), FORMS[form].files()
    if config is not None:
        if network.shape.vocab == BYTES and run.bytes_per_token == 1:
            texts |= byte_tokenizer(network.shape.context)
            config |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 0)
        texts["config.json"] = json.dumps(config, indent=1)
    provenance = {"run_id": run.run_id, "step": checkpoint.step, "science": run.science}
    return texts | {
        "scaling_run.json": json.dumps(provenance, indent=1),
        "README.md": _card(run, checkpoint, form, is_of_library=config is not None),
    }


def _stored(tensor: Tensor) -> Tensor:
    """A tensor as it is written: float32, or integers if it counts."""
    return (tensor.float() if tensor.is_floating_point() else tensor).contiguous()


def _loading(run: RunSpec, form: str, *, is_of_library: bool) -> str:
    """Lines of Python that load the weights, for the card."""
    if isinstance(run.architecture, ModuleNetwork):
        return how_to_load(run.architecture, is_of_library=is_of_library)
    code = ", trust_remote_code=True" if FORMS[form].general else ""
    return f"""    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained("."{code})"""


def _card(run: RunSpec, checkpoint: Checkpoint, form: str, *, is_of_library: bool) -> str:
    """A description of the folder for people."""
    loss = checkpoint.curve.validation.get(checkpoint.step)
    measured = "" if loss is None else f", validation loss {loss:.4f} nats/token"
    tokens = checkpoint.step * run.tokens_per_step
    return f"""# Run {run.run_id} after {checkpoint.step} steps

A language model of {run.counts["n_total"]:,} parameters after {tokens:,} training tokens
({run.data.source}){measured}.

{_loading(run, form, is_of_library=is_of_library)}

`scaling_run.json` has every setting of its training. Its context is {run.shape.context} tokens.
"""

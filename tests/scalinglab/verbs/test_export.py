"""Checkpoints of a trained study, opened by another library."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalinglab.scaling.records.run_folder import RunFolder

# In a process of its own: transformers keeps modelling files in a cache that an environment
# variable names, read once.
_OPEN = """
import json, sys
import torch
from transformers import AutoModelForCausalLM

folder, windows = sys.argv[1], json.loads(sys.stdin.read())
model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
tokens = torch.tensor(windows)
with torch.no_grad():
    logits = model(tokens[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
generated = model.generate(tokens[:1, :4], max_new_tokens=3, do_sample=False)
print(json.dumps({"loss": loss.item(), "generated": generated.shape[1]}))
"""


def exported(run, *arguments):
    code, out, err = run("export", "study=tiny", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)["exported"]


@pytest.mark.long
def test_another_library_measures_the_loss_of_the_record(run, finished, tiny_store, tmp_path):
    chosen = "runs=model.width == 16 and schedule.kind == 'cosine'"
    (one,) = exported(run, chosen, f"to={tmp_path / 'out'}")
    assert one["form"] == "scaling_laboratory" and not one["tokenizer"]  # eight tokens, no text
    folder = RunFolder(finished / "runs" / one["run_id"])
    windows = tiny_store.validation_batch(512, 16)
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _OPEN, one["folder"]],
        input=json.dumps(windows.tolist()),
        env=os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(answer.stdout.splitlines()[-1])
    assert measured["loss"] == pytest.approx(folder.record().final.validation_loss, rel=1e-5)
    assert measured["generated"] == 7


def test_a_second_time_what_is_there_is_kept(run, tmp_path):
    chosen = ("runs=model.width == 32", f"to={tmp_path}")
    (first,), (again,) = exported(run, *chosen), exported(run, *chosen)
    assert (first["new"], again["new"]) == (True, False)
    written = json.loads((Path(first["folder"]) / "scaling_run.json").read_text())
    assert (written["run_id"], written["step"]) == (first["run_id"], first["step"])


def test_what_cannot_be_exported_is_refused_before_anything_is_written(run, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments, words in [
        (("form=llama",), "form = 'llama' has no model.activation = 'relu2'"),
        (("form=lama",), "did you mean 'llama'?"),
        (("step=7",), "has no readable checkpoint of step 7; there are: "),
        (("runs=zzz",), "chooses none"),
        ((f"to={tmp_path / 'file'}",), "is no folder"),
    ]:
        to = () if any(a.startswith("to=") for a in arguments) else (f"to={tmp_path / 'out'}",)
        code, _, err = run("export", "study=tiny", *arguments, *to)
        assert code == 2 and words in err
    assert not (tmp_path / "out").exists()

"""Logs of wandb, Lightning and TensorBoard."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.importers.formats.tensorboard import _masked


def test_a_chart_that_wandb_exported(tmp_path) -> None:
    table = pd.DataFrame({"trainer/global_step": [100, 200, 300]})
    for run, loss in (("wide - lr 3e-3", [3.0, 2.5, None]), ("small", [4.0, 3.5, 3.25])):
        for tail in ("", "__MIN", "__MAX"):
            table[f"{run} - val/loss{tail}"] = loss
    table.to_csv(tmp_path / "chart.csv", index=False)
    found = analysis.read_runs(tmp_path / "chart.csv")
    assert found.runs.set_index("run_id")["loss"].to_dict() == {
        "wide - lr 3e-3": 2.5,
        "small": 3.25,
    }
    assert any("samples" in note for note in found.notes)


def test_runs_of_wandbs_api() -> None:
    def run(name: str, width: int, state: str = "finished") -> SimpleNamespace:
        rows = [
            {"_step": s, "val_loss": 9.0 / (s + 1), "lr": 1e-3, "_timestamp": 1e9 + s}
            for s in range(5)
        ]
        config = {"N": 1e6 * width, "batch_size": 4, "seq_len": 8, "optimizer": {"name": "muon"}}
        return SimpleNamespace(
            id=f"id-{name}", name=name, state=state, config=config, scan_history=lambda: iter(rows)
        )

    found = analysis.read_wandb([run("a", 1), run("b", 2), run("c", 3, "crashed")])
    runs = found.runs.set_index("run_id")
    assert runs["D"].tolist() == [4 * 32] * 3 and runs.loc["id-b", "N"] == 2e6
    assert runs["optimizer.name"].tolist() == ["muon"] * 3
    assert runs["status"].tolist() == ["done", "done", "crashed"]
    with pytest.raises(ValueError, match="there are no such runs"):
        analysis.read_wandb([])


def test_lightnings_csv_logs_with_a_version_that_goes_on(tmp_path) -> None:
    def version(number: int, steps: range, width: int) -> None:
        folder = tmp_path / "logs" / f"version_{number}"
        folder.mkdir(parents=True)
        rows = [{"epoch": 0, "step": s, "train_loss": 5 - s / 100, "lr": 1e-3} for s in steps]
        rows += [{"epoch": 0, "step": steps[-1], "val_loss": 4 - steps[-1] / 100}]
        pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
        (folder / "hparams.yaml").write_text(f"width: {width}\nmodel: {{layers: 2}}\n")

    version(0, range(0, 60, 10), 8)
    version(1, range(40, 101, 10), 8)  # went on from step 40
    version(2, range(0, 101, 10), 16)
    version(10, range(0, 101, 10), 24)
    found = analysis.read_runs(tmp_path / "logs")
    assert len(found.runs) == 3 and found.runs["model.layers"].tolist() == [2, 2, 2]
    assert found.runs["loss"].tolist() == [3.0, 3.0, 3.0]
    assert any("goes on with" in note for note in found.notes)
    assert found.curves.groupby("run")["step"].apply(list).iloc[0] == list(range(0, 101, 10))


def test_objects_of_python_in_hyperparameters_are_not_built(tmp_path) -> None:
    folder = tmp_path / "version_0"
    folder.mkdir()
    (folder / "metrics.csv").write_text("step,val_loss\n0,3\n1,2\n")
    (folder / "hparams.yaml").write_text(
        f"x: !!python/object/apply:os.system ['touch {tmp_path}/ran']\n"
    )
    assert analysis.read_runs(tmp_path).runs["loss"].tolist() == [2.0]
    assert not (tmp_path / "ran").exists()


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def event(step: int, tag: str, value: float, tensor: bool) -> bytes:
    number = struct.pack("<f", value)
    scalar = field(8, b"\x08\x01" + field(4, number)) if tensor else b"\x15" + number
    summary = field(1, field(1, tag.encode()) + scalar)
    data = b"\x09" + struct.pack("<d", 1e9 + step) + b"\x10" + varint(step) + field(5, summary)
    head = struct.pack("<Q", len(data))
    return head + struct.pack("<I", _masked(head)) + data + struct.pack("<I", _masked(data))


def test_the_checksum_is_that_of_the_standard() -> None:
    # CRC-32C of "123456789" is E3069283; event files rotate it by 15 and add a constant.
    crc = 0xE3069283
    assert _masked(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize("tensor", [False, True])
def test_scalars_of_tensorboard_with_a_resume_and_a_torn_end(tmp_path, tensor) -> None:
    folder = tmp_path / "run-a"
    folder.mkdir()
    first = b"".join(event(s, "val_loss", 5 - s / 100, tensor) for s in range(0, 300, 50))
    again = b"".join(event(s, "val_loss", 4 - s / 100, tensor) for s in range(200, 401, 50))
    rates = b"".join(event(s, "lr", 1e-3, tensor) for s in range(0, 300, 50))
    (folder / "events.out.tfevents.100.host").write_bytes(
        first + rates + event(300, "x", 1.0, tensor)[:9]
    )
    (folder / "events.out.tfevents.200.host").write_bytes(
        again + b"".join(event(s, "lr", 1e-3, tensor) for s in range(200, 401, 50))
    )
    found = analysis.read_runs(tmp_path)
    curve = found.curves.set_index("step")["loss"]
    assert curve[150] == pytest.approx(3.5) and curve[250] == pytest.approx(1.5)
    assert found.runs["loss"].tolist() == [0.0] and found.runs["run_id"].tolist() == ["run-a"]
    assert any("ends within a record" in note for note in found.notes)


def test_a_damaged_event_file_is_refused_with_the_byte(tmp_path) -> None:
    good = event(1, "val_loss", 3.0, False)
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes(good + good[:20] + b"\xff" + good[21:] + good)
    with pytest.raises(ValueError, match=f"byte {len(good)}: the record there is damaged"):
        analysis.read_runs(path)


def test_files_that_torchs_own_writer_left_are_read(tmp_path) -> None:
    writer = pytest.importorskip("torch.utils.tensorboard", reason="needs tensorboard")
    with writer.SummaryWriter(tmp_path) as log:
        for step in range(5):
            log.add_scalar("val_loss", 3.0 - step / 10, step)
    assert np.allclose(analysis.read_runs(tmp_path).curves["loss"], 3 - np.arange(5) / 10)

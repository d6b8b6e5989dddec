"""Files of safetensors are read as their own package reads them; what is damaged is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.weight_files import (
    check_finite,
    content_hash,
    keep_copy,
    read_copy,
    read_tensors,
    weight_files,
)

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "none": torch.empty(0, 4, dtype=torch.float16),
}


def saved(folder: Path, **tensors: torch.Tensor) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "model.safetensors"
    save_file(tensors or TENSORS, file)
    return file


def test_numbers_sizes_and_dtypes_are_those_that_were_saved(tmp_path):
    tensors = read_tensors([saved(tmp_path)])
    assert {n: t.size for n, t in tensors.items()} == {
        n: tuple(t.shape) for n, t in TENSORS.items()
    }
    assert np.array_equal(tensors["a"].read(), TENSORS["a"].numpy())
    bits = torch.from_numpy(tensors["b"].read().copy()).view(torch.bfloat16)
    assert torch.equal(bits, TENSORS["b"])
    assert tensors["count"].read() == 7


def test_the_hash_is_of_the_tensors_however_they_were_saved(tmp_path):
    one = content_hash(read_tensors([saved(tmp_path / "one")]))
    (tmp_path / "two").mkdir()
    for name, tensor in TENSORS.items():
        save_file({name: tensor}, tmp_path / "two" / f"{name}.safetensors", metadata={"x": name})
    files = weight_files(tmp_path / "two", "file")
    assert len(files) == 4 and content_hash(read_tensors(files)) == one
    other = TENSORS | {"b": TENSORS["b"] + 1}
    assert content_hash(read_tensors([saved(tmp_path / "three", **other)])) != one


def test_a_copy_is_kept_and_its_bytes_are_looked_at(tmp_path):
    file = saved(tmp_path)
    content = content_hash(read_tensors([file]))
    keep_copy([file], content, tmp_path)
    copy = tmp_path / "weights" / content
    assert set(read_copy(copy)) == set(TENSORS)
    data = bytearray((copy / file.name).read_bytes())
    data[-1] ^= 1
    (copy / file.name).write_bytes(data)
    with pytest.raises(DamagedFile, match="not those that were copied"):
        read_copy(copy)


def test_what_is_no_file_of_weights_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not there"):
        weight_files(tmp_path / "gone", "init_from.file")
    with pytest.raises(ConfigError, match="holds no .safetensors"):
        weight_files(tmp_path, "init_from.file")
    file = saved(tmp_path)
    whole = file.read_bytes()
    for damaged in (b"", whole[:5], whole[:-1], whole[:8] + b"x" + whole[9:]):
        file.write_bytes(damaged)
        with pytest.raises(DamagedFile, match="shorter than its header says|its header is none"):
            read_tensors([file])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_numbers_that_are_not_finite_are_refused_by_name(tmp_path, dtype):
    tensors = {"good": torch.ones(3), "bad": torch.tensor([1.0, float("nan")]).to(dtype)}
    read = read_tensors([saved(tmp_path, **tensors)])
    with pytest.raises(ConfigError, match="not finite in bad:"):
        check_finite(read, "file")
    check_finite({"good": read["good"]}, "file")

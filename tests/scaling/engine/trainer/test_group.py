"""What ranks tell each other."""

import pytest
import torch
import torch.distributed as dist

from scalinglab.scaling.engine.trainer.group import Group


@pytest.fixture
def group(tmp_path):
    """The group of a process that is alone: what gloo refuses, it refuses here, too."""
    dist.init_process_group("gloo", rank=0, world_size=1, init_method=f"file://{tmp_path}/ranks")
    alone = Group.__new__(Group)
    alone.rank, alone.size, alone._hosts = 0, 1, None
    yield alone
    alone.leave()


@pytest.mark.parametrize("dtype", [torch.int16, torch.uint16, torch.bool, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (3, 2), (0,)])
def test_tensors_of_any_dtype_are_shared(group, dtype, shape):
    tensor = torch.ones(shape).to(dtype)
    assert torch.equal(group.share(tensor), tensor)
    across = torch.arange(6).reshape(2, 3).to(dtype).T  # not contiguous
    assert torch.equal(group.share(across), across)

"""Networks that somebody else wrote (model=module): their weights under their own names.

For a class of transformers its configuration is written too, so that transformers can load it; any
other network is built by its own code.
"""

from __future__ import annotations

from typing import Any

import torch

from scalinglab.scaling.engine.network.module import build
from scalinglab.scaling.model.module import ModuleNetwork

MODULE = "module"  # the form


def library_config(network: ModuleNetwork) -> dict[str, Any] | None:
    """The content of ``config.json`` of a class of transformers; None of any other network."""
    with torch.device("meta"):
        module = build(network, 0)
    kind = type(module)
    if kind.__module__.partition(".")[0] != "transformers" or not hasattr(module, "config"):
        return None
    content: dict[str, Any] = module.config.to_dict()  # type: ignore[operator, union-attr]
    return content | {"architectures": [kind.__name__], "dtype": "float32", "use_cache": True}


def how_to_load(network: ModuleNetwork, *, is_of_library: bool) -> str:
    """Lines of Python for the card."""
    if is_of_library:
        return """    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(".")"""
    return f"""    from safetensors.torch import load_file
    model.load_state_dict(load_file("model.safetensors"), strict=False)

where `model` is `{network.target}` with the options in `scaling_run.json`."""

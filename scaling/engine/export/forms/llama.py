"""LlamaForCausalLM of transformers, arXiv 2302.13971: no norm of queries and keys."""

from __future__ import annotations

from scalinglab.scaling.engine.export.form import FORMS
from scalinglab.scaling.engine.export.rotary_swiglu import RotarySwiglu

FORMS.register("llama")(RotarySwiglu("Llama", qk_norm=False))

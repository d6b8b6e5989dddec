"""Qwen3ForCausalLM of transformers (arXiv 2505.09388): norms of queries and keys in each head."""

from __future__ import annotations

from scalinglab.scaling.engine.export.form import FORMS
from scalinglab.scaling.engine.export.rotary_swiglu import RotarySwiglu

FORMS.register("qwen3")(RotarySwiglu("Qwen3", qk_norm=True))

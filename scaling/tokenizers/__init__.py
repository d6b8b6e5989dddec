"""How text becomes tokens: tokenizers as artefacts with a hash."""

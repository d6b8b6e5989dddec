"""Checkpoints for other tools: weights by their names, a configuration, a tokenizer."""

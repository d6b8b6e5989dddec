"""Checkpoints read as models, and the numbers of each probe."""

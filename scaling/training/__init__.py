"""A training from its start to its end: events, checkpoints, failures, other programs; no torch."""

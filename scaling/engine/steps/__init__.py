"""A training step, in each of the ways that it is executed."""

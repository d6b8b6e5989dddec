"""Probes of stored checkpoints and the files of their results; without torch."""

"""Hydra groups: values, no logic."""

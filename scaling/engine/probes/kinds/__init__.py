"""The arithmetic of the shipped probes: one file each, under the name of its description."""

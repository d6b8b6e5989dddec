"""The shipped probes: one file each, registered by its name."""

"""The norms: a file each, with its arithmetic."""

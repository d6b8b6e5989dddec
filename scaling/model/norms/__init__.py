"""The norms: a file each, with its keys and sizes."""

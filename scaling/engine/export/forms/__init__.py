"""Architectures of other libraries that a network may be equal to: a file each."""

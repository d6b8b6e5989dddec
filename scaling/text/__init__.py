"""Texts that people write and read: what is printable, shell words, conditions on rows."""

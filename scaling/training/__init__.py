"""One training from its start to its end, chunk by chunk, whatever happens."""

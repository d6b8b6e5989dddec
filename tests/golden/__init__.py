"""Golden records: what the product made at a known commit, and must go on to make and to read."""

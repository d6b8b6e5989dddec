"""A study as a list of requested runs."""

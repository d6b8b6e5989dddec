"""Two recipes compared."""

"""The files of a run on disk: its identity, its claims, its records."""

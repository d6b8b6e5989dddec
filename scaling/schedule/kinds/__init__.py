"""The kinds of schedule: a file each, which nothing else knows by name."""

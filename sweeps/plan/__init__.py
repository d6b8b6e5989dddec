"""The plan of a study: which runs, what they share, what they cost."""

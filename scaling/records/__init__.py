"""What is on disk of a run: its identity, who may write it, what it leaves."""

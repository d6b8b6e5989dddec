"""What can be asked of stored checkpoints, and where the answers lie; without torch."""

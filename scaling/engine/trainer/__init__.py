"""Training from event to event: loops, checkpoints, processes."""

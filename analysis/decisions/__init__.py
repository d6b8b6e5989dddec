"""What to do: the split of a budget, learning rates, schedules, and what to train next."""

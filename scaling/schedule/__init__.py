"""Learning rates as pure functions of the step."""

"""Learning rates, and shares of pools, as pure functions of the step."""

"""Where tokens come from, and which of them each step sees."""

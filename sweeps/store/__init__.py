"""What is on disk of a study: its plan, its launches, the states of its runs."""

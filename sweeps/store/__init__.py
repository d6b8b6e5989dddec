"""A study on disk: its plan, its launches, the states of its runs."""

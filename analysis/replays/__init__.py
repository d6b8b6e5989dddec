"""Published tables of runs, answered again: what was printed beside what we find."""

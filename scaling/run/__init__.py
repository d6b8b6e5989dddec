"""One run before it is trained: its values resolved, checked, described."""

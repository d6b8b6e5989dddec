"""The choice between laws: origins, predictions ahead of them, and shares in a mixture."""

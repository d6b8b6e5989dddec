"""The network: its keys, its counts, its first weights, how each tensor follows the shape."""

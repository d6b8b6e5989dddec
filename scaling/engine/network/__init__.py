"""The network: weights, forward pass, loss."""

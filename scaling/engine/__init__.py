"""One step of training: k models of one shape as one stacked model."""

"""One fitter for every law: many starts and resamples as one batch of problems."""

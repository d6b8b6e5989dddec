"""Training what a plan lacks: workers on SLURM, on local devices, or inline."""

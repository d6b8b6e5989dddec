"""Runs made elsewhere, as the tables that the laws take.

    imported = analysis.read_runs("sweep.csv", columns={"N": "params", "loss": "val/loss"})
    analysis.fit("chinchilla", imported.runs)

Each reader gives raw rows under their own names; `analysis.importers.assemble` makes runs and curves
of them, and says what it had to decide. Nothing that can hold a pickle is ever opened.
"""

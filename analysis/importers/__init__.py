"""Runs made elsewhere, as the tables that the laws take.

    imported = analysis.read_runs("sweep.csv", columns={"N": "params", "loss": "val/loss"})
    analysis.fit("chinchilla", imported.runs)

Each format (`scalinglab.analysis.importers.formats`) gives raw rows under their own names; `typed`
renames them to ours, `assemble` makes runs and curves of them and notes its decisions, `points`
makes the table that a law is fitted to. Files that can hold a pickle are never opened.
"""

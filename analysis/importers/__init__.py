"""Runs made elsewhere, as the tables that the laws take.

    imported = analysis.read_runs("sweep.csv", columns={"N": "params", "loss": "val/loss"})
    analysis.fit("chinchilla", imported.runs)

Each format (`scalinglab.analysis.importers.formats`) gives raw rows under their own names; `typed`
puts them under ours, `assemble` makes runs and curves of them and says what it had to decide,
`points` makes the table that a law is fitted to. Nothing that can hold a pickle is ever opened.
"""

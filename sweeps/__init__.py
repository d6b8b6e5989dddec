"""Which runs happen and where: study -> plan -> workers -> state."""

if __name__ != "scalinglab.sweeps":  # found in the current folder, not in the installed package
    raise ImportError("'sweeps' is a part of scalinglab: from scalinglab import sweeps")

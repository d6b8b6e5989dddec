"""Formats that are read, one file each. The first that knows a path reads it: order matters."""

# Files: what is known by its suffix. Folders: the surest first.
from scalinglab.analysis.importers.formats import (
    delimited,
    folders,
    json_files,
    lightning,
    parquet,
    tensorboard,
    text_log,
)

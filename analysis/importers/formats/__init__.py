"""Formats that are read, one file each. The first that knows a path reads it: order matters."""

# Files: what is known by its suffix. Folders: the surest first.
from analysis.importers.formats import (  # noqa: F401, I001
    tensorboard,
    delimited,
    parquet,
    json_files,
    text_log,
    lightning,
    folders,
)

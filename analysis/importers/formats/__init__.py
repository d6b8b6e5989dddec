"""Formats that are read, one file each. The first that knows a path reads it: order matters."""

from importlib import import_module

# Files: what is known by its suffix. Folders: the surest first.
ORDER = ("tensorboard", "delimited", "parquet", "json_files", "text_log", "lightning", "folders")

for _name in ORDER:
    import_module(f"{__name__}.{_name}")

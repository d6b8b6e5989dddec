"""The linear maps that a block may use: a file each, with its keys and sizes."""

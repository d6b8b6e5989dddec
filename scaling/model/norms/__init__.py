"""What normalises: a file each, with its keys and sizes."""
